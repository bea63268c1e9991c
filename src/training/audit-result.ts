/**
 * What an audit of served vectors reports.
 */
import type { StatusName } from "../fold/view-fold.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { ServedVector } from "../schema/served-vector.ts";
import type { Value } from "../schema/value.ts";

export interface AuditMismatch {
  /**
   * "value": value or status differ; "position": the log has no such last event for the entity;
   * "time": the token's asOf lies before an event it had folded; "computed": what was computed from the
   * features that were read differs.
   */
  readonly kind: "value" | "position" | "time" | "computed";
  readonly service: string;
  /** `view@version`. */
  readonly view: string;
  /** Null where not one feature but the whole view is concerned. */
  readonly feature: string | null;
  readonly keys: Readonly<Record<string, string>>;
  /** Microseconds. */
  readonly asOf: number;
  readonly lastOffset: number | null;
  readonly served: Value;
  readonly servedStatus: StatusName | null;
  readonly recomputed: Value;
  readonly recomputedStatus: StatusName | null;
  /** The likely cause. */
  readonly explanation: string;
}

export interface AuditResult {
  readonly vectors: number;
  /** Values compared. */
  readonly compared: number;
  /** Values that differ, and views of a vector whose position or time cannot be right. */
  readonly mismatched: number;
  /** Values whose view, feature, epoch or key is no longer there to compute them from. */
  readonly missing: number;
  /** Values read after events that are not archived yet. */
  readonly pending: number;
  /**
   * Values that were a fallback, because what their view promises of its freshness was broken: they are compared with that. A
   * training set of label times does not have them, one of tokens does.
   */
  readonly fellBack: number;
  readonly firstMismatches: readonly AuditMismatch[];
  /** What is missing, a line a cause, at most as many as mismatches are kept. */
  readonly missingReasons: readonly string[];
  /** Nothing mismatched and nothing missing. */
  readonly clean: boolean;
}

/** A mismatch of a computed value: it needs no look at the log. */
export interface ComputedMismatch extends Omit<AuditMismatch, "explanation"> {
  readonly kind: "computed";
}

/** A mismatch of what was read, before it is explained. */
export interface FoundMismatch extends Omit<AuditMismatch, "explanation"> {
  readonly kind: "value" | "position" | "time";
  readonly key: EntityKey;
  readonly epoch: number;
  readonly vector: ServedVector;
  /** Where the vector carries features of this view. */
  readonly positions: readonly { readonly position: number; readonly feature: string }[];
}

/** One value as it was served, and as it was computed again. */
export interface ValueComparison {
  /** `view@version`; of what a service computed from features, the service. */
  readonly of: string;
  readonly feature: string;
  readonly vector: ServedVector;
  readonly served: Value;
  readonly recomputed: Value;
  /** Value and status are the same, to the bit. */
  readonly isSame: boolean;
}
