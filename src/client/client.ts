/**
 * The client: feature vectors and events, typed by the definitions, with time-outs and retries.
 */
import type { EntitiesOf, FeaturesOf, NameOf, RequestDataOf, RowOf, ServiceNameOf } from "./answered.ts";
import { Coalescer } from "./coalescer.ts";
import { OnefoldError } from "../base/errors.ts";
import { HttpTransport } from "./http-transport.ts";
import { RespTransport } from "./resp-transport.ts";
import { withRetries } from "./retry.ts";
import {
  type Answered,
  type Asked,
  type AskOptions,
  isOfQuestion,
  isPassing,
  isRefusal,
  type PushAnswer,
  timedOut,
  type Transport,
} from "./transport.ts";

/** Timers count in 32 bits: with more one ends at once. */
const MILLIS_MIN = 1;
const MILLIS_MAX = 2 ** 31 - 1;
/** More the server does not take at a time. */
const BATCH_MAX = 5000;

export interface ClientOptions {
  /**
   * Where the server is: `http://host:port` or `https://host:port`, or `redis://[:password@]host:port` for its
   * RESP door, which takes the package ioredis.
   */
  readonly url: string;
  /**
   * Under what name the server counts what this client reads (docs/monitoring.md): that of a model, a job, a team. Letters,
   * digits and signs, without spaces.
   */
  readonly consumer?: string;
  /** Headers of every HTTP request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long a call may take in all, retries included: up to 24 days. Default 1000. */
  readonly timeoutMs?: number;
  /** How often a call that failed in passing is tried again. Default 2. */
  readonly retries?: number;
  /** HTTP connections open at a time. Default 32. */
  readonly connections?: number;
  /** Vectors asked for within one turn of the event loop go in calls of up to so many, 5,000 at most; 1 sends each alone. Default 500. */
  readonly batchMax?: number;
  /** Uniform in [0, 1), for the pauses between retries. Default `Math.random`. */
  readonly random?: () => number;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  /** Ends the call from outside; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

interface VectorMetadataOptions extends CallOptions {
  /** Adds status, event time and window of each feature to the metadata. */
  readonly metadata?: boolean;
  /** Adds a token, from which a training set has the very same values. */
  readonly token?: boolean;
}

/** `request` is the request data of the service's on-demand features: required where some of it may not be null. */
export type VectorCallOptions<S> = VectorMetadataOptions &
  ({} extends RequestDataOf<S> ? { readonly request?: RequestDataOf<S> } : { readonly request: RequestDataOf<S> });

/** The options of a call for a vector, which may be left out where all of them may. */
export type VectorArguments<S> =
  {} extends VectorCallOptions<S> ? [options?: VectorCallOptions<S>] : [options: VectorCallOptions<S>];

export interface PushCallOptions extends CallOptions {
  /**
   * The rows have ids, so that pushing them twice counts once: they are then pushed again where it is not known
   * whether they arrived. Without it only what the server refused for now is.
   */
  readonly idempotent?: boolean;
}

export interface TypedVector<S> {
  readonly features: FeaturesOf<S>;
  readonly metadata: VectorMetadata;
}

export interface VectorMetadata extends Readonly<Record<string, unknown>> {
  /** Where it was asked for by an experiment's name: that, and the version that was served, as `delay@2`. */
  readonly experiment?: string;
  readonly variant?: string;
}

type AnyOptions = VectorMetadataOptions & { readonly request?: unknown };

/** What waits to be asked. */
interface Waiting extends Asked {
  readonly deadline: number;
  readonly place: number | null;
}

export class OnefoldClient {
  readonly #transport: Transport;
  readonly #coalescer: Coalescer<Waiting, Answered>;
  readonly #timeoutMs: number;
  readonly #retries: number;
  readonly #random: () => number;
  #isClosed = false;

  /** Use `createClient`. */
  constructor(transport: Transport, options: Omit<ClientOptions, "url">) {
    const { timeoutMs = 1000, retries = 2, batchMax = 500, random = Math.random } = options;
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
    this.#retries = retries;
    this.#random = random;
    this.#coalescer = new Coalescer<Waiting, Answered>(batchMax, (group, asked) => this.#ask(group, asked));
  }

  /**
   * A service's vector, or an experiment's. `client.vector<typeof fraud>("fraud", { user_id: "ada" })` is typed by the definition;
   * without a type, values are unknown. Rejects with the server's error, `SERVER_UNREACHABLE`, `CALL_TIMED_OUT`.
   */
  async vector<S = unknown>(
    service: ServiceNameOf<S>,
    entities: EntitiesOf<S>,
    ...[options]: VectorArguments<S>
  ): Promise<TypedVector<S>> {
    return (await this.#vector(service, entities, options ?? {}, null)) as TypedVector<S>;
  }

  /** Vectors of many entities, in their order. One that cannot be answered rejects them all, and the error says which. */
  vectors<S = unknown>(
    service: ServiceNameOf<S>,
    entities: readonly EntitiesOf<S>[],
    ...[options]: VectorArguments<S>
  ): Promise<TypedVector<S>[]> {
    const asked = entities.map((one, place) => this.#vector(service, one, options ?? {}, place));
    return Promise.all(asked) as Promise<TypedVector<S>[]>;
  }

  /** `place` is the one in a caller's list; null of one that was asked for by itself. */
  async #vector(service: string, entities: unknown, options: AnyOptions, place: number | null): Promise<Answered> {
    const { request, metadata = false, token = false, timeoutMs = this.#timeoutMs, signal } = options;
    requireNumber("timeoutMs", timeoutMs, MILLIS_MIN, MILLIS_MAX);
    const group = JSON.stringify([service, { metadata, token } satisfies AskOptions]);
    const asked = {
      entities: entities as Asked["entities"],
      request: request as Asked["request"],
      deadline: performance.now() + timeoutMs,
      place,
    };
    return within(this.#coalescer.ask(group, asked), `service ${service}`, timeoutMs, signal);
  }

  /**
   * Pushes events; resolves once those that were accepted are durable and folded. Rows that the source refuses
   * are among the outcomes, not an error.
   */
  async push<S = unknown>(
    source: NameOf<S>,
    rows: readonly RowOf<S>[],
    options: PushCallOptions = {},
  ): Promise<PushAnswer> {
    const { timeoutMs = this.#timeoutMs, idempotent = false, signal } = options;
    requireNumber("timeoutMs", timeoutMs, MILLIS_MIN, MILLIS_MAX);
    const what = `a push to ${source}`;
    return withDeadline(timeoutMs, what, signal, (ends) =>
      withRetries(async () => this.#open().push(source, rows, ends), {
        ...this.#pauses(),
        mayRetry: (error) => isRefusal(error) || (idempotent && isPassing(error)),
        signal: ends,
      }),
    );
  }

  /** Ends all connections for good: calls under way fail, and later ones with `CANCELLED`. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#transport.close();
  }

  /** A connection that a late call or another try opened would be nobody's to close. */
  #open(): Transport {
    if (!this.#isClosed) return this.#transport;
    throw new OnefoldError("CANCELLED", "the client is closed", { hint: "make another with createClient" });
  }

  #ask(group: string, asked: readonly Waiting[]): Promise<(Answered | OnefoldError)[]> {
    const [service, options] = JSON.parse(group) as [string, AskOptions];
    // Each caller keeps its own time; the call goes on as long as one of them waits.
    const timeoutMs = Math.max(1, Math.max(...asked.map(({ deadline }) => deadline)) - performance.now());
    return withDeadline(timeoutMs, `service ${service}`, undefined, (ends) =>
      withRetries(async () => this.#open().vectors(service, asked, options, ends), {
        ...this.#pauses(),
        mayRetry: isPassing,
        signal: ends,
      }),
    ).then((answers) =>
      answers.map((answer, i) =>
        answer instanceof OnefoldError ? atPlace(answer, asked[i]!.place) : withNumbers(answer),
      ),
    );
  }

  #pauses(): { retries: number; firstPauseMs: number; longestPauseMs: number; random: () => number } {
    return { retries: this.#retries, firstPauseMs: 20, longestPauseMs: 1000, random: this.#random };
  }
}

/** Throws `REQUEST_INVALID` for an address that is none, and for options out of range. Nothing is connected before the first call. */
export function createClient(options: ClientOptions): OnefoldClient {
  const { url, headers, consumer, connections = 32, ...rest } = options;
  requireNumber("timeoutMs", rest.timeoutMs, MILLIS_MIN, MILLIS_MAX);
  requireWhole("retries", rest.retries, 0, Number.MAX_SAFE_INTEGER);
  requireWhole("connections", connections, 1, Number.MAX_SAFE_INTEGER);
  requireWhole("batchMax", rest.batchMax, 1, BATCH_MAX);
  if (consumer !== undefined && !/^[!-~]{1,64}$/.test(consumer)) {
    throw new OnefoldError("REQUEST_INVALID", `consumer ${JSON.stringify(consumer)} is no name`, {
      where: "consumer",
      hint: "give 1 to 64 letters, digits and signs, without spaces",
    });
  }
  return new OnefoldClient(createTransport({ url, headers, consumer, connections }), rest);
}

function requireWhole(name: string, value: number | undefined, least: number, most: number): void {
  requireNumber(name, value, least, most);
  if (value !== undefined && !Number.isInteger(value)) throw outside(name, value, least, most);
}

function requireNumber(name: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined && !(value >= least && value <= most)) throw outside(name, value, least, most);
}

function outside(name: string, value: number, least: number, most: number): OnefoldError {
  const range = most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`;
  return new OnefoldError("REQUEST_INVALID", `${name} is ${value}`, { where: name, hint: `give a number ${range}` });
}

type TransportOptions = Pick<ClientOptions, "url"> & { readonly connections: number } & {
  readonly [N in "headers" | "consumer"]: ClientOptions[N] | undefined;
};

function createTransport({ url, headers, consumer, connections }: TransportOptions): Transport {
  if (!/^rediss?:/i.test(url)) {
    const named = consumer === undefined ? {} : { "x-onefold-consumer": consumer };
    return new HttpTransport({ url, connections, headers: { ...headers, ...named } });
  }
  if (headers === undefined) return new RespTransport({ url, ...(consumer === undefined ? {} : { consumer }) });
  throw new OnefoldError("REQUEST_INVALID", "headers are HTTP's, and the address is of the RESP door", {
    where: "headers",
    hint: "give the password in the address: redis://:PASSWORD@host:port",
  });
}

/** Runs `work` under a signal that aborts at the deadline, or when the caller's does. */
async function withDeadline<T>(
  timeoutMs: number,
  what: string,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ends = new AbortController();
  const timer = setTimeout(() => ends.abort(timedOut(what, Math.round(timeoutMs))), timeoutMs);
  const onAbort = (): void => ends.abort(outer!.reason);
  if (outer?.aborted === true) onAbort();
  outer?.addEventListener("abort", onAbort, { once: true });
  try {
    return await work(ends.signal);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", onAbort);
  }
}

/** The error of an element of a caller's list, which says which one; what is wrong with all of them it does not. */
function atPlace(error: OnefoldError, place: number | null): OnefoldError {
  if (place === null || !isOfQuestion(error)) return error;
  const where = `entities[${place}]${error.where === undefined ? "" : ` ${error.where}`}`;
  return new OnefoldError(error.code, error.message, { ...error.toJSON(), where, cause: error });
}

/** JSON has no number that is not finite: of the features that the metadata names as such, the texts become numbers. */
function withNumbers(answer: Answered): Answered {
  if (answer.metadata?.["non_finite_features"] === undefined) return answer;
  const names = new Set(answer.metadata["non_finite_features"] as readonly string[]);
  const entries = Object.entries(answer.features);
  const features = entries.map(([name, value]) => [name, names.has(name) ? numbersIn(value) : value]);
  return { ...answer, features: Object.fromEntries(features) };
}

/** Of a float64's JSON form, or of a list's. */
function numbersIn(value: unknown): unknown {
  return Array.isArray(value) ? value.map(numbersIn) : typeof value === "string" ? Number(value) : value;
}

/** One caller's wait for a call that it shares with others. */
function within<T>(answer: Promise<T>, what: string, timeoutMs: number, outer: AbortSignal | undefined): Promise<T> {
  return withDeadline(timeoutMs, what, outer, (signal) => {
    return new Promise<T>((resolve, reject) => {
      const stop = (): void => reject(signal.reason as Error);
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
      answer.then(resolve, reject);
    });
  });
}
