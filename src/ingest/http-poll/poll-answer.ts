/**
 * One question and its answer, within limits of time and size. Whatever goes wrong becomes an error with a code that
 * says which address, without its parameters; no text of the API's is in it, since some repeat what they were sent.
 */
import { type ErrorCode, messageOf, OnefoldError } from "../../base/errors.ts";
import { MICROS_PER_SECOND } from "../../base/micros.ts";
import type { PollDefinition } from "../../define/poll-definition.ts";
import { parseJsonText, parseWideJson } from "../../schema/json-text.ts";
import { addressGiven, placeOf, type PollRequest } from "./poll-request.ts";
import { retryAfterMicros } from "./retry-after.ts";

export type Fetch = (url: URL, options: RequestInit) => Promise<Response>;

export interface PollAnswer {
  /** Undefined where there is no content. */
  readonly data: unknown;
  /** Address that answered, after redirects. */
  readonly address: string;
  readonly link: string | null;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

/** An API that answers with an error: with what status, and when it wants to be asked again. */
export class PollRefusal extends OnefoldError {
  readonly httpStatus: number;
  readonly retryAfterMicros: number | null;

  constructor(
    code: ErrorCode,
    what: string,
    where: string,
    answered: { status: number; retryAfterMicros: number | null },
  ) {
    super(code, what, { where, hint: HINTS[answered.status] ?? "it is asked again, later each time" });
    this.httpStatus = answered.status;
    this.retryAfterMicros = answered.retryAfterMicros;
  }
}

const HINTS: Readonly<Record<number, string>> = {
  400: "compare the parameters that the source sends with the API's documents",
  401: "check the environment variables that hold its secrets",
  403: "check the environment variables that hold its secrets, and what they permit",
  404: "check the source's url",
  429: "it is asked again when it wants to be; a longer every asks less often",
};

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const REDIRECTS_MAX = 5;

export interface AskOptions {
  readonly poll: PollDefinition;
  readonly fetch: Fetch;
  /** Aborted where the poll is no longer wanted. */
  readonly signal: AbortSignal;
  /** For `Retry-After` that names a time. */
  readonly nowMicros: number;
  /** Whole numbers beyond 2^53 are kept as text. */
  readonly wide: boolean;
}

/** Null where it has not changed. Throws `POLL_REFUSED`, `POLL_ANSWER_INVALID`, `SERVER_UNREACHABLE`, `CALL_TIMED_OUT`, `CANCELLED`. */
export async function ask(request: PollRequest, options: AskOptions): Promise<PollAnswer | null> {
  const { poll, signal } = options;
  const stop = new AbortController();
  const stopNow = (): void => stop.abort();
  signal.addEventListener("abort", stopNow);
  if (signal.aborted) stopNow();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    stopNow();
  }, poll.timeoutMicros / 1000);
  try {
    return await answerOf(request, options, stop.signal);
  } catch (error) {
    if (error instanceof OnefoldError) throw error;
    const where = placeOf(request.address);
    if (signal.aborted) throw new OnefoldError("CANCELLED", "the poll was stopped", { where });
    if (timedOut) {
      throw new OnefoldError("CALL_TIMED_OUT", `no whole answer within ${poll.timeoutMicros / MICROS_PER_SECOND} s`, {
        where,
        hint: "give the poll a longer timeout, or ask for fewer rows at a time",
      });
    }
    throw new OnefoldError("SERVER_UNREACHABLE", `the API cannot be reached: ${faultOf(error)}`, {
      where,
      hint: "check the source's url, and that this machine reaches it",
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stopNow);
    stopNow();
  }
}

async function answerOf(request: PollRequest, options: AskOptions, signal: AbortSignal): Promise<PollAnswer | null> {
  const { poll } = options;
  let { url } = request;
  let place = request.address;
  for (let redirects = 0; ; redirects++) {
    const response = await options.fetch(url, { headers: request.headers, redirect: "manual", signal });
    const { status, headers } = response;
    if (REDIRECTS.has(status)) {
      if (redirects === REDIRECTS_MAX)
        throw refusal(response, place, `it redirects more than ${REDIRECTS_MAX} times`, options);
      const location = headers.get("location");
      if (location === null) throw refusal(response, place, `it answers ${status} and does not say whereto`, options);
      place = addressGiven(poll, location, place, "its redirect");
      url = withSecretsOf(request.url, place, poll);
      continue;
    }
    const isConditional = "if-none-match" in request.headers || "if-modified-since" in request.headers;
    if (status === 304 && isConditional) return null;
    if (!response.ok) throw refusal(response, place, `it answers ${status}`, options);
    const data = status === 204 ? undefined : await dataOf(response, place, options);
    const {
      link,
      etag,
      "last-modified": lastModified,
    } = Object.fromEntries(headers) as Record<string, string | undefined>;
    return { data, address: place, link: link ?? null, etag: etag ?? null, lastModified: lastModified ?? null };
  }
}

/** The secret parameters of the question, for the address that it was sent on to. */
function withSecretsOf(asked: URL, place: string, poll: PollDefinition): URL {
  const url = new URL(place);
  for (const text of poll.query) {
    if ("env" in text) url.searchParams.set(text.name, asked.searchParams.get(text.name) ?? "");
  }
  return url;
}

function refusal({ status, headers }: Response, place: string, what: string, { nowMicros }: AskOptions): PollRefusal {
  const wait = retryAfterMicros(headers.get("retry-after"), nowMicros);
  return new PollRefusal("POLL_REFUSED", what, placeOf(place), { status, retryAfterMicros: wait });
}

async function dataOf(response: Response, place: string, { poll, wide }: AskOptions): Promise<unknown> {
  const where = placeOf(place);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read().catch((error: unknown) => broken(error, where))) ?? { done: true };
    if (done || value === undefined) break;
    bytes += value.length;
    if (bytes > poll.bodyBytesMax) {
      throw new OnefoldError("POLL_ANSWER_INVALID", `the answer is larger than ${poll.bodyBytesMax} bytes`, {
        where,
        hint: "ask for fewer rows at a time, or raise bodyBytesMax",
      });
    }
    chunks.push(value);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new OnefoldError("POLL_ANSWER_INVALID", "the answer is no UTF-8 text", { where });
  }
  try {
    return wide ? parseWideJson(text) : parseJsonText(text);
  } catch (error) {
    throw new OnefoldError("POLL_ANSWER_INVALID", `the answer is ${messageOf(error)}`, { where });
  }
}

/** Throws what the break is, where it is not that the question was given up. */
function broken(error: unknown, where: string): never {
  if ((error as Error | null)?.name === "AbortError") throw error;
  throw new OnefoldError("POLL_ANSWER_INVALID", `the answer broke off: ${faultOf(error)}`, { where });
}

/** The system's own word for a fault; never a text, which may repeat what was sent. */
function faultOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (typeof code === "string") return code;
  }
  return "the connection failed";
}
