/** An error as plain data, from one process to another. */
import { asOnefoldError, ERROR_CODES, type ErrorCode, OnefoldError } from "./errors.ts";

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly where?: string;
  readonly hint?: string;
  readonly candidates?: readonly string[];
}

export function errorToWire(error: unknown): WireError {
  return asOnefoldError(error).toJSON() as unknown as WireError;
}

/** A code that this version does not know is `INTERNAL`. */
export function errorFromWire({ code, message, ...details }: WireError): OnefoldError {
  return new OnefoldError(Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : "INTERNAL", message, details);
}
