/**
 * Where a vector is computed: one slot for each value that is read from a view, computed or returned.
 */
import type { ErrorCode } from "../base/errors.ts";
import { Status, type StatusCode } from "../fold/view-fold.ts";
import type { Value } from "../schema/value.ts";

/** Parallel lists. Filled and emptied within one turn, so one of them serves all requests of a program. */
export interface VectorSlots {
  readonly values: Value[];
  readonly statuses: StatusCode[];
  /** Why a computed slot has status ERROR; null for all others. */
  readonly codes: (ErrorCode | null)[];
  /** What was said of it; null where nothing was. */
  readonly messages: (string | null)[];
  /** On-demand views that failed in the last run, whatever became of the vector; whoever tells of them empties it. */
  readonly failures: OnDemandFailure[];
}

/** A failure of a view's function, as its operator is told of it. */
export interface OnDemandFailure {
  /** `view@version`. */
  readonly view: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** File and line of the definition; null where its code is not loaded from a file. */
  readonly where: string | null;
}

export function createSlots(count: number): VectorSlots {
  return {
    values: Array.from<Value>({ length: count }).fill(null),
    statuses: Array.from<StatusCode>({ length: count }).fill(Status.NOT_FOUND),
    codes: Array.from<ErrorCode | null>({ length: count }).fill(null),
    messages: Array.from<string | null>({ length: count }).fill(null),
    failures: [],
  };
}

/** A value that was computed: null is a value too, unlike an error. */
export function setSlot(slots: VectorSlots, slot: number, value: Value): void {
  slots.values[slot] = value;
  slots.statuses[slot] = value === null ? Status.NULL_VALUE : Status.PRESENT;
  slots.codes[slot] = null;
  slots.messages[slot] = null;
}

export function failSlot(slots: VectorSlots, slot: number, code: ErrorCode, message: string | null): void {
  slots.values[slot] = null;
  slots.statuses[slot] = Status.ERROR;
  slots.codes[slot] = code;
  slots.messages[slot] = message;
}
