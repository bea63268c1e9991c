/**
 * How a client reaches a server. Contract:
 *
 * - `vectors` answers one element for each that was asked, in their order; one that is wrong by itself (a key
 *   that is null, say) is an error in its place, the same as if it had been asked alone, and costs the others
 *   nothing. It throws where nothing at all could be answered.
 * - Asking is safe to repeat; pushing is, where `push` throws an error for which `isRefusal` holds: nothing
 *   of the push was taken in then.
 * - Both end with `CALL_TIMED_OUT` once their signal aborts.
 */
import { OnefoldError } from "../base/errors.ts";

export interface Asked {
  readonly entities: Readonly<Record<string, unknown>>;
  readonly request: Readonly<Record<string, unknown>> | undefined;
}

export interface AskOptions {
  readonly metadata: boolean;
  readonly token: boolean;
}

export interface Answered {
  readonly features: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface PushAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** One a row, in their order. */
  readonly outcomes: readonly Readonly<Record<string, unknown>>[];
}

export interface Transport {
  vectors(
    service: string,
    asked: readonly Asked[],
    options: AskOptions,
    signal: AbortSignal,
  ): Promise<(Answered | OnefoldError)[]>;
  push(source: string, rows: readonly unknown[], signal: AbortSignal): Promise<PushAnswer>;
  close(): Promise<void>;
}

/** Whether the server said that it took nothing in, for now: to be tried again later. */
export function isRefusal(error: OnefoldError): boolean {
  return error.code === "BACKPRESSURE" || error.code === "NOT_READY";
}

/** Whether what was asked is wrong, and not what it was asked of: the service, the server, its address. */
export function isOfQuestion(error: OnefoldError): boolean {
  return error.status === 400 && error.where !== "url";
}

/** Whether asking again may help. */
export function isPassing(error: OnefoldError): boolean {
  return isRefusal(error) || error.code === "SERVER_UNREACHABLE" || error.code === "CLOCK_BEHIND";
}

export function timedOut(what: string, timeoutMs: number, cause?: unknown): OnefoldError {
  return new OnefoldError("CALL_TIMED_OUT", `${what} was not answered within ${timeoutMs} ms`, {
    hint: "give more time with timeoutMs, or find out why the server is slow: GET /metrics",
    cause,
  });
}
