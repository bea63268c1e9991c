/**
 * What a part of monitoring tells of one subject at one time: a measure, what it is held against, and whether
 * that is beyond. Alerts judge signals; they know nothing of how one came to be.
 */
import type { WatchedKind } from "../define/alert-definition.ts";

/** What can be watched, but for parts of monitoring that fail: they tell nothing of it themselves. */
export type SignalKind = Exclude<WatchedKind, "signal-source">;

export interface SignalSubject {
  readonly source?: string;
  /** `view@version`. */
  readonly view?: string;
  readonly feature?: string;
  /** As `serviceSubject` has it. */
  readonly service?: string;
  /** Name of an expectation. */
  readonly expectation?: string;
}

export interface Signal {
  readonly kind: SignalKind;
  readonly subject: SignalSubject;
  /** What was measured, with its unit last: "age_seconds", "psi", "null_ratio", "ks_p_value". */
  readonly measure: string;
  readonly value: number;
  /** Null where nothing is promised. */
  readonly threshold: number | null;
  readonly isBeyond: boolean;
  /** Of a statistical test; null where there is none. */
  readonly pValue: number | null;
  /** Values it was measured over. */
  readonly samples: number;
  readonly windowStartMicros: number;
  readonly windowEndMicros: number;
  /** Plain JSON for people: worst entities, top categories, what the baseline was. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A part of monitoring that can be asked. To answer may take a moment, and must not hold the serving path. */
export interface SignalSource {
  signals(nowMicros: number): Promise<readonly Signal[]>;
}
