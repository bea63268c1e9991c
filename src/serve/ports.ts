/**
 * What serving needs from the rest of the house, as interfaces the composition root fills in.
 */
import type { Clock } from "../base/clock.ts";
import type { OnefoldError } from "../base/errors.ts";
import type { DurationMicros, Micros } from "../base/micros.ts";
import type { EntityDefinition, Fallback, SourceDefinition, ViewDefinition } from "../define/definition.ts";
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import type { FitStore } from "../registry/fitted-service.ts";
import type { Registry } from "../registry/registry.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { ServedVector } from "../schema/served-vector.ts";
import type { Value, ValueType } from "../schema/value.ts";
import type { MonitoringDesks } from "./monitoring-desks.ts";
import type { ShadowSight } from "./shadow-sight.ts";
import type { TrainingDesk } from "./training-desk.ts";

/**
 * A view that is loaded, folding and may be read. One object for as long as the view is loaded: plans keep
 * it, so `epoch` and `state` answer for the present moment and agree with each other within one turn.
 */
export interface ServedView {
  readonly definition: ViewDefinition;
  readonly entity: EntityDefinition;
  readonly source: SourceDefinition;
  readonly fold: ViewFold;
  /** Epoch its states belong to now; moves when a rebuilt epoch is switched to. */
  readonly epoch: number;
  /** Tells when what was read of an entity is out of date; absent where the house cannot tell. */
  readonly changes?: StateChanges;
  /** What is served in its place now; absent where nobody says. */
  readonly fallback?: { readonly active: Fallback | null };
  /** Of states that another process folds: all that was folded by then is in them. Absent where they are live, null where nobody says. */
  readonly snapshotTime?: Micros | null;
  /** Live state of an entity, coherent with the fold, or null where it is unseen. Not to be kept past the turn. */
  state(key: EntityKey): ViewState | null;
}

/** Counts that move when states change. */
export interface StateChanges {
  /** Where changes of the entity's state are counted, from now on. To be asked in the turn that reads the state. */
  cellOf(key: EntityKey): number;
  /** As long as it is the same for an entity's cell, a read would find the same state. */
  of(cell: number): number;
}

/** States that another process writes. */
export interface StateSnapshot {
  /**
   * Called before each vector: its states, read in the same turn, are all of one moment then, the newest there is;
   * or are those that were fetched for it.
   */
  renew(fetched?: FetchedStates): void;
  /** Called before anything is said of a kept answer: what is said of its views is of this moment then. */
  renewKept?(): void;
}

/** States of one or more vectors, fetched from a store that cannot be read within a turn. What is in them is its own. */
export type FetchedStates = object;

/** A state that a vector reads. */
export interface StateAsk {
  readonly view: ServedView;
  readonly key: EntityKey;
}

/** As the pipeline reports it; the HTTP door passes it on. */
export interface PushReport {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly outcomes: readonly Record<string, unknown>[];
}

/** As the pipeline reports it. */
export interface CorrectionReport {
  readonly corrected: number;
  readonly rejected: number;
  readonly outcomes: readonly Record<string, unknown>[];
}

/** What sampling goes by. */
export interface SampledPlan {
  readonly service: string;
  readonly entities: readonly EntityDefinition[];
  readonly views: readonly { readonly view: ServedView }[];
}

/** What a plan says of its vectors; one object a plan. */
export interface SeenPlan {
  /** Empty where features were asked for by name. */
  readonly service: string;
  readonly outputs: readonly { readonly name: string; readonly view: string; readonly type: ValueType }[];
  readonly program: { readonly fit: { readonly version: number } | null } | null;
}

/** Is shown a part of the vectors that are served. */
export interface VectorSight {
  /** Vectors until the next that it is shown: whoever serves counts them down. An answer given again is a vector, too. */
  left: number;
  /** Shows it that one; the values are good within the turn. Sets `left` anew. Must not throw. */
  see(plan: SeenPlan, values: readonly Value[], asOf: Micros): void;
}

export interface ServePorts {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fits: FitStore;
  /** Absent where this process folds: then states are live. */
  readonly snapshot?: StateSnapshot;
  /**
   * Absent where states are read in the turn that asks. Else what is to be read must be fetched first: all of it in one
   * round trip. Throws `STORE_UNAVAILABLE`, `STORE_TIMEOUT`.
   */
  fetch?(asks: readonly StateAsk[]): Promise<FetchedStates>;
  /** The same in this turn, where all of them are known here; else null. Throws as `fetch`. */
  fetchHere?(asks: readonly StateAsk[]): FetchedStates | null;
  /** How far a vector's asOf may be bumped past the clock before `CLOCK_BEHIND`. */
  readonly maxFutureMicros: DurationMicros;
  /**
   * Another number whenever `registry`, `fits` or `view` would answer differently (an apply, a fit, a view loaded,
   * replaced or refused): plans compiled before are thrown away then. An epoch switch is no such change.
   */
  revision(): number;
  /** Throws `VIEW_UNKNOWN`, `FINGERPRINT_MISMATCH`, `NOT_READY`, `FEATURE_NOT_ONLINE`. */
  view(name: string, version: number | "dev"): ServedView;
  /**
   * Resolves once accepted rows are durable and folded. Rows with a fault, by index, are rejected with it.
   * Throws `SOURCE_UNKNOWN`, `SOURCE_IS_BATCH`, `BACKPRESSURE`, `STORAGE_FAILED`.
   */
  push(source: string, rows: readonly unknown[], faults?: ReadonlyMap<number, OnefoldError>): Promise<PushReport>;
  /**
   * Absent where no events are taken in. Resolves once the corrections are durable and folded. Throws `SOURCE_UNKNOWN`, `SOURCE_IS_BATCH`, `REQUEST_INVALID`,
   * `STORAGE_FAILED`.
   */
  correct?(
    source: string,
    corrections: readonly (
      | { readonly op: "retract"; readonly id: string }
      | { readonly op: "replace"; readonly id: string; readonly event: unknown }
    )[],
  ): Promise<CorrectionReport>;
  /** What kept answers may take in memory; 0, or absent, keeps none. */
  readonly keptVectorsBytesMax?: number;
  /** Whether the vectors of these entities go to the serving log. */
  samples(plan: SampledPlan, keys: readonly EntityKey[]): boolean;
  /** Called for every vector that is sampled. Must not throw, and keeps nothing that it is given but in text. */
  record(vector: ServedVector): void;
  /** Absent where nobody looks at what is served. */
  readonly sight?: VectorSight;
  /** Is shown what shadows of experiments would have said; absent, none are computed. */
  readonly shadow?: ShadowSight;
  /** Builds training sets; absent where this server does not. */
  readonly training?: TrainingDesk;
  /** What else monitoring can be asked; absent where this server does not watch. */
  readonly monitoring?: MonitoringDesks;
  /** What monitoring has to say, as text for a scraper. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** How fresh everything is (docs/monitoring.md), as JSON data; absent where nothing is folded. `oldest`: entities to name. */
  freshness?(options: { readonly oldest: number }): Promise<object>;
  /** Whether everything is loaded; what is still missing otherwise, and what is wrong all the same. */
  readiness(): {
    readonly ready: boolean;
    readonly waitingFor: readonly string[];
    /** What it does not answer because of its code, however long it is waited for: it should get no traffic. */
    readonly refused?: readonly string[];
    /** What is wrong although it serves. */
    readonly warnings?: readonly string[];
    /** Views that are being computed from history; all others are served meanwhile. */
    readonly building?: readonly string[];
  };
}
