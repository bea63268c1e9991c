/**
 * What every part of a running platform shares.
 */
import type { StartProcess } from "../base/started-process.ts";
import type { Clock } from "../base/clock.ts";
import { type DurationMicros, MICROS_PER_MINUTE } from "../base/micros.ts";
import type { BackfillBudget } from "../ingest/backfill-budget.ts";
import type { EngineSettings, QueryEngine } from "../offline-store/engine.ts";
import type { OfflineStore } from "../offline-store/offline-store.ts";
import type { FitStore } from "../registry/fitted-service.ts";
import type { Registry } from "../registry/registry.ts";
import type { WorkerTablesOptions } from "./kafka/worker-tables.ts";
import type { StateMemory } from "./state-memory.ts";
import type { ViewCatalog } from "./view-catalog.ts";

/** How far a vector's time may be bumped past the clock where no source says more. */
export const MAX_FUTURE_MICROS: DurationMicros = MICROS_PER_MINUTE;

/** Told of the advance of long work; `total` is null where it is unknown. */
export type OnProgress = (progress: {
  readonly phase: string;
  readonly done: number;
  readonly total: number | null;
}) => void;

export interface RuntimeContext {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fits: FitStore;
  readonly catalog: ViewCatalog;
  /** Counts whatever outdates plans that were compiled before: see `ServePorts`. */
  readonly revision: { count: number };
  readonly stateMemory: StateMemory;
  /** Whether what is flushed is copied to another store. */
  readonly publishes: boolean;
  readonly pollsWhileServing: boolean;
  /** Writes and reads the offline tables. */
  readonly engine: QueryEngine;
  /** A fresh engine for one piece of work; its caller closes it. */
  openEngine(settings?: EngineSettings): Promise<QueryEngine>;
  /** The same for work on all events of a source: where something is served beside it, in a process that yields to that. */
  readonly openEngineBeside: () => Promise<QueryEngine>;
  /** Of the process that folds beside what is served: its engine's settings, and what starts it; null while nothing is served. */
  readonly foldingBeside: () => { readonly settings: EngineSettings; readonly start: StartProcess } | null;
  /** Opening does not wait for views that are to be computed from history. */
  readonly buildsBehind: boolean;
  /** Of all backfills together: all of the time while nothing is served. */
  readonly backfillBudget: BackfillBudget;
  readonly offline: OfflineStore;
  /** Where workers have archived the events of sources on Kafka. */
  readonly workerTables?: WorkerTablesOptions;
}

export interface ImportOptions {
  /** File column that says when a row became known; else its event time plus the source's `availableAfter`. */
  readonly knownTimeColumn?: string;
  /** File column of a source column, where the names differ. */
  readonly columnMap?: Readonly<Record<string, string>>;
  /** Columns of the files that are passed over though they are called nearly as one that is not there. */
  readonly passOver?: readonly string[];
  /** Imports files that were imported before, though their events have no id and count twice then. */
  readonly again?: boolean;
  readonly onProgress?: OnProgress;
  /** Stops the import before its commit; a folding that follows the commit is not stopped. */
  readonly signal?: AbortSignal;
}

export interface ImportReport {
  readonly rows: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly epochOpened: boolean;
  readonly epoch: number;
  /** Columns of the files that the source does not declare. */
  readonly ignoredColumns: readonly string[];
  /** Nullable columns of the source that a file does not have: null in its rows. */
  readonly absentColumns: readonly string[];
}
