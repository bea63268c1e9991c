/** How a platform is opened, what its callers may ask for, and what they get. */
import type { Clock } from "../base/clock.ts";
import type { OnefoldError } from "../base/errors.ts";
import type { Value } from "../schema/value.ts";
import type { AuditRequest } from "../training/audit.ts";
import type { AuditResult } from "../training/audit-result.ts";
import type { StateAuditResult } from "../training/audit-states.ts";
import type { FitRequest } from "../training/fit-service.ts";
import type { LeakageRequest } from "../training/leakage.ts";
import type { TrainRequest } from "../training/training-set.ts";
import type { GeneratedLabelOptions, LabelOptions } from "./label-options.ts";
import type { WorkerTablesOptions } from "./kafka/worker-tables.ts";
import type { StandingChecksOptions } from "./monitoring/standing-checks.ts";
import type { AlertsOptions } from "./monitoring/alerts.ts";
import type { DefinitionCode } from "./registrations.ts";
import type { OnProgress } from "./runtime-context.ts";
import type { TrainingJobsOptions } from "./training-jobs/training-jobs.ts";

export interface PlatformOptions extends StandingChecksOptions {
  readonly dataDir: string;
  /**
   * "own" takes the folder's lock, ingests, folds and serves. "read" takes no lock and works beside the
   * owner: registry, training sets, audit, explain and preview, from what is archived. Default "own".
   */
  readonly mode?: "own" | "read";
  /**
   * What to do where nothing was ever registered: create the folder (in mode "read", go on as with an empty
   * one), or refuse. Default true in mode "own", false in mode "read", where it is most likely mistyped.
   */
  readonly create?: boolean;
  readonly clock?: Clock;
  /**
   * Code for views with functions of their own, or where to get it: that is asked again whenever another server has
   * registered something. Views without functions need none.
   */
  readonly definitions?: DefinitionCode;
  /**
   * URL of a PostgreSQL that holds the registry, for several servers: `postgres://user:password@host:5432/database`
   * (docs/registry.md). Default: in files of the data folder, for this one.
   */
  readonly registry?: string;
  /** Told when what other servers register cannot be taken up, and (null) when it can again. */
  readonly onRegistryTrouble?: (trouble: OnefoldError | null) => void;
  /**
   * What states of entities that were read or changed lately may take in memory, over all views: beside the heap where
   * they are numbers and values of `first` and `last` over all time, on it else. Others are read from the online store. Default a quarter of the memory that the
   * machine has or the process may have, and of the heap two fifths of what it may grow to.
   */
  readonly stateMemoryBytes?: number;
  /**
   * What answers may take in memory, beside the heap, to be given again while nothing can have changed; 0 keeps none,
   * 2 GiB is the most. Default an eighth of what the heap may grow to.
   */
  readonly keptVectorsBytes?: number;
  /** Share of the entities whose served vectors are kept for the audit, 0 to 1. Default 0.01. */
  readonly servingLogSampleRate?: number;
  /** Share of the served vectors of services that are looked at for drift, 0 to 1 (docs/drift.md). Default 0.005. */
  readonly driftSampleRate?: number;
  /**
   * A Redis (`redis://...`, docs/redis.md) that every flush is copied to, for servers on other machines to serve from.
   * It may be away: nothing waits for it, and it is caught up when it is back.
   */
  readonly publish?: string;
  /** Where the address has none. */
  readonly publishPassword?: string;
  /** Told of the first of each run of failures to copy. */
  readonly onPublishError?: (error: unknown) => void;
  /** Offline tables of `onefold worker --archive`: the events of sources on Kafka are read from there. */
  readonly workerTables?: WorkerTablesOptions;
  /** Whether serving asks the APIs of polled sources. Default true; `startPolls` begins it at any time. */
  readonly poll?: boolean;
  /**
   * Has servers build training sets on request (`POST /training-sets`), in processes that run this module: a file of yours
   * that calls `runTrainingJob({ definitions })`. Default: none are built.
   */
  readonly trainingJobs?: TrainingJobsOptions;
  /** How alerts are judged while something is served (docs/alerts.md); false judges none. */
  readonly alerts?: AlertsOptions | false;
  /**
   * Whether opening waits until views that are new, or whose backfill was cut short, are computed from history. Else they
   * are while the platform is open, and reading them is refused until they stand. Default "wait".
   */
  readonly backfill?: "wait" | "behind";
  /** Told of what opening waits for. */
  readonly onProgress?: OnProgress;
  /**
   * The part of the time that backfills may work at most while something is served, above 0 and up to 1. Default 0.3. They take
   * less where requests and live events leave less. 1: as much as they get.
   */
  readonly backfillShare?: number;
  /** What one piece of batch work may hold in memory before it spills to disk. Default 768 MiB. */
  readonly memoryBytes?: number;
}

export type TrainOptions = Omit<TrainRequest, "ports" | "labels" | "split" | "onProgress"> &
  (LabelOptions | GeneratedLabelOptions);
export type LeakageOptions = Omit<LeakageRequest, "ports" | "labels" | "split" | "onProgress"> &
  (LabelOptions | GeneratedLabelOptions);
export type FitOptions = Omit<FitRequest, "ports" | "labels" | "onProgress"> & LabelOptions;

export interface AuditOptions extends Pick<AuditRequest, "mismatchesKept" | "signal"> {
  /** Also folds the stored states of every view again and compares their bytes. */
  readonly states?: boolean;
  readonly onProgress?: OnProgress;
}

/** A registered view. Without a version the newest. */
export interface BackfilledView {
  readonly name: string;
  readonly version?: number | "dev";
}

export interface BackfillOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface AuditReport extends AuditResult {
  /** By `view@version`; only with `states`. */
  readonly states?: Readonly<Record<string, StateAuditResult>>;
}

export interface VectorOptions {
  readonly metadata?: boolean | "full";
  readonly token?: boolean;
}

export interface ServiceVectorOptions extends VectorOptions {
  /** Request data by column, as the service's on-demand views declare it. */
  readonly request?: Readonly<Record<string, unknown>>;
  /** Version of the fit to transform with, and the definition it is of. Default: the newest of the present one. */
  readonly fit?: number;
}

export interface VectorAnswer {
  readonly features: Readonly<Record<string, Value>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}
