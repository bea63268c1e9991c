/**
 * What a source's pipeline does with rows: check, de-duplicate, make durable, fold, flush.
 */
import type { ErrorCode, OnefoldError } from "../base/errors.ts";

/** What became of one pushed row; the order is the order of the rows. */
export type RowOutcome =
  | { readonly status: "accepted"; readonly offset: number }
  /** `differs`: it holds something else than the first event of its id, which is the one that counts. */
  | { readonly status: "duplicate"; readonly id: string; readonly differs?: true }
  | RejectedRow;

/** Why, as the error says it. */
export interface RejectedRow extends RowReason {
  readonly status: "rejected";
  readonly code: ErrorCode;
  readonly message: string;
  readonly deadLetterId: string;
}

/** What an error says beside its code and message. */
export interface RowReason {
  /** The column. */
  readonly where?: string;
  readonly hint?: string;
  readonly candidates?: readonly string[];
}

/** Why a row could not even be read, by its index in the push; the row itself is then the text that came. */
export type RowFaults = ReadonlyMap<number, OnefoldError>;

/** Names each row of a push by its index: for those that have no id, it is theirs, and so it is of the letter of one that is refused. */
export type RowNames = (index: number) => string;

export interface PushResult {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly outcomes: readonly RowOutcome[];
}

export interface DeadLetter {
  readonly id: string;
  readonly source: string;
  /** Where it failed: at the door, in an import, or in the fold of a view. */
  readonly stage: "door" | "import" | "fold";
  /** For stage "fold". */
  readonly view?: string;
  readonly offset?: number;
  readonly code: ErrorCode;
  readonly message: string;
  /** Of code EXPECTATION_FAILED: the expectation's name. */
  readonly expectation?: string;
  /** The row as it came, as JSON data (bytes as base64). */
  readonly payload: unknown;
  /** RFC 3339. */
  readonly at: string;
}
