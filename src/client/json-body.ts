/**
 * Requests and answers as JSON: the same over both transports.
 */
import { ERROR_CODES, type ErrorCode, OnefoldError } from "../base/errors.ts";
import type { Asked, AskOptions } from "./transport.ts";

export type Json = Readonly<Record<string, unknown>>;

export function jsonText(value: unknown): string {
  return JSON.stringify(value, sendable);
}

/** JSON has no big integers, NaN or bytes; the doors take their text. */
function sendable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  // A Uint8Array reaches a replacer as it is, a Buffer as what its own toJSON made of it.
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  const { type, data } = (value ?? {}) as { readonly type?: unknown; readonly data?: unknown };
  return type === "Buffer" && Array.isArray(data) ? Buffer.from(data as number[]).toString("base64") : value;
}

/** What is asked for one set of entities. */
export function questionOf({ entities, request }: Asked, options: AskOptions): Json {
  return { entities, ...(request === undefined ? {} : { request }), ...optionMembers(options) };
}

export function optionMembers({ metadata, token }: AskOptions): Json {
  return { ...(metadata ? { metadata: "full" } : {}), ...(token ? { token: true } : {}) };
}

/** Null for what is no JSON object. */
export function parseObject(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Json) : null;
  } catch {
    return null;
  }
}

/** The error that a body carries under `error`; null where that is none. `fallback` is for a code that is not known here. */
export function serverError(error: unknown, fallback: ErrorCode): OnefoldError | null {
  const { code, message, where, hint, candidates } = (error ?? {}) as Json;
  if (typeof message !== "string") return null;
  return new OnefoldError(isErrorCode(code) ? code : fallback, message, {
    ...(typeof where === "string" ? { where } : {}),
    ...(typeof hint === "string" ? { hint } : {}),
    ...(Array.isArray(candidates) ? { candidates: candidates.map(String) } : {}),
  });
}

/** For what answers, and not as Onefold does. `start` is what starts a server that would. */
export function otherServer(address: string, answered: string, start: string, cause?: unknown): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", `${address} does not answer as Onefold does: ${answered}`, {
    where: "url",
    hint: `give the address of ${start}, of the client's version; this may be another server`,
    cause,
  });
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(ERROR_CODES, code);
}

export function unreachable(address: string, reason: string, start: string, cause?: unknown): OnefoldError {
  return new OnefoldError("SERVER_UNREACHABLE", `no answer from ${address}: ${reason}`, {
    hint: `check the address, and that the server runs: ${start}`,
    cause,
  });
}
