/**
 * A plan's vector: made once, filled anew at every read.
 */
import type { ErrorCode } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { StatusCode, ViewState } from "../fold/view-fold.ts";
import type { Row, Value } from "../schema/value.ts";
import { createSlots } from "../vector/vector-slots.ts";

/** A plan's vector: good until the plan is read again, which is not within the same turn. */
export interface FeatureVector {
  readonly asOf: Micros;
  /** In the order of the plan's outputs. */
  readonly values: readonly Value[];
  readonly statuses: readonly StatusCode[];
  /** Why a computed value has status ERROR, null for others; null where nothing is computed. */
  readonly codes: readonly (ErrorCode | null)[] | null;
  /** What was read of views, in the order of the plan's features (and more behind them). */
  readonly read: { readonly values: readonly Value[]; readonly statuses: readonly StatusCode[] };
  /** Of each of the plan's views; null where the entity is unseen. */
  readonly states: readonly (ViewState | null)[];
  /** Request data as it was used, in the order of the plan's request columns. */
  readonly request: Row;
}

/** The same, as `readVector` fills it in. */
export interface VectorBuffer extends FeatureVector {
  asOf: Micros;
  readonly values: Value[];
  readonly statuses: StatusCode[];
  readonly codes: (ErrorCode | null)[] | null;
  readonly read: { readonly values: Value[]; readonly statuses: StatusCode[] };
  readonly states: (ViewState | null)[];
  request: Row;
}

/** `read` is what the features are put into; without outputs of their own those are the vector. */
export function createVector(viewCount: number, read: VectorBuffer["read"], outputCount: number | null): VectorBuffer {
  const own = outputCount === null ? null : createSlots(outputCount);
  return {
    asOf: 0 as Micros,
    values: own === null ? read.values : own.values,
    statuses: own === null ? read.statuses : own.statuses,
    codes: own === null ? null : own.codes,
    read,
    states: Array.from<null>({ length: viewCount }).fill(null),
    request: [],
  };
}
