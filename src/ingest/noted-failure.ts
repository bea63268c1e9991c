/** What went wrong with a source that is read again and again, as its state file keeps it. */
import { asOnefoldError } from "../base/errors.ts";

export interface NotedFailure {
  /** Microseconds. */
  readonly at: number;
  readonly code: string;
  readonly message: string;
  readonly where: string | null;
  readonly hint: string | null;
}

export function notedFailure(thrown: unknown, at: number): NotedFailure {
  const { code, message, where = null, hint = null } = asOnefoldError(thrown);
  return { at, code, message, where, hint };
}
