/**
 * What is asked: the address with its parameters, and the headers. Secrets are read from the environment for one
 * request and are in nothing that is stored or said.
 */
import { OnefoldError } from "../../base/errors.ts";
import { packageVersion } from "../../base/version.ts";
import type { PollDefinition, PollText } from "../../define/poll-definition.ts";
import type { PollState } from "./poll-state.ts";

const USER_AGENT = `onefold/${packageVersion()}`;

/** The value of an environment variable. */
export type Environment = (name: string) => string | undefined;

export interface PollRequest {
  /** With secrets: for the wire alone. */
  readonly url: URL;
  /** The same without secrets. */
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Throws `POLL_SECRET_MISSING`. */
export function pollRequest(poll: PollDefinition, state: PollState, environment: Environment): PollRequest {
  const address = addressOf(poll, state);
  const url = new URL(address);
  for (const text of poll.query) {
    if ("env" in text) url.searchParams.set(text.name, secretOf(text, environment));
  }
  const headers: Record<string, string> = {
    accept: "application/json",
    "user-agent": USER_AGENT,
  };
  for (const text of poll.headers) {
    headers[text.name.toLowerCase()] = "env" in text ? secretOf(text, environment) : text.value;
  }
  const { validators } = state;
  if (validators !== null && state.page === null && validators.address === address) {
    if (validators.etag !== null) headers["if-none-match"] = validators.etag;
    if (validators.lastModified !== null) headers["if-modified-since"] = validators.lastModified;
  }
  return { url, address, headers };
}

/** What is asked next, without secrets: it identifies the question. */
export function addressOf(poll: PollDefinition, { cursor, page }: PollState): string {
  const { pages } = poll;
  if (page !== null && (pages?.kind === "link" || pages?.kind === "url")) return page;
  const url = new URL(poll.url);
  for (const text of poll.query) if ("value" in text) url.searchParams.set(text.name, text.value);
  if (poll.cursor !== undefined) {
    const sent = cursor?.sent ?? poll.cursor.start;
    if (sent !== undefined) url.searchParams.set(poll.cursor.param, sent);
  }
  if (pages?.kind === "number") url.searchParams.set(pages.param, page ?? String(pages.from));
  if (pages?.kind === "token" && page !== null) url.searchParams.set(pages.param, page);
  return url.href;
}

/**
 * An address that the API gave, without the parameters that are secret: APIs repeat them in the links of pages.
 * Throws `POLL_REFUSED` where it is of another origin, which must not be sent what is meant for this one.
 */
export function addressGiven(poll: PollDefinition, given: string, from: string, what: string): string {
  if (!URL.canParse(given, from)) {
    throw new OnefoldError("POLL_ANSWER_INVALID", `${what} is no address`, { where: placeOf(from) });
  }
  const url = new URL(given, from);
  const { origin } = new URL(poll.url);
  if (url.origin !== origin) {
    throw new OnefoldError("POLL_REFUSED", `${what} leads to ${url.origin}, away from ${origin}`, {
      where: placeOf(from),
      hint: "headers of the poll are not sent to another origin: if it is the right one, make it the url",
    });
  }
  for (const text of poll.query) if ("env" in text) url.searchParams.delete(text.name);
  url.hash = "";
  return url.href;
}

/** An address as it may be shown: without its parameters. */
export function placeOf(address: string): string {
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname}`;
}

function secretOf(
  { name, env, prefix = "" }: Extract<PollText, { readonly env: string }>,
  environment: Environment,
): string {
  const value = environment(env);
  if (value === undefined || value === "") {
    throw new OnefoldError(
      "POLL_SECRET_MISSING",
      `the environment variable ${env}, which is sent as "${name}", is not set`,
      {
        where: env,
        hint: "set it for the process that serves the data folder, and start that again",
      },
    );
  }
  // What the runtime says of such a value repeats it.
  if (!/^[\x20-\x7e]+$/.test(value) || value.trim() !== value) {
    throw new OnefoldError(
      "POLL_SECRET_MISSING",
      `the environment variable ${env} has characters that cannot be sent as "${name}"`,
      {
        where: env,
        hint: "it holds a line break, a space at an end, or a character beyond ASCII",
      },
    );
  }
  return prefix + value;
}
