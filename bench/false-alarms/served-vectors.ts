/** Vectors that were served, or would have been, in the order of time. */
import type { FeatureColumn } from "../../src/monitor/drift/drift-window.ts";

export interface ServedVectors {
  readonly columns: readonly FeatureColumn[];
  /** In which each was served, since the epoch; ascending. */
  readonly hours: Int32Array;
  /** By column; NaN is missing. */
  readonly values: readonly Float64Array[];
}
