/**
 * What is asked of the house at each scrape.
 */
import type { AlertHouse } from "../alerts/alert-metrics.ts";
import type { FreshnessFacts, Judged } from "../freshness/judge.ts";
import type { QualityHouse } from "../quality/quality-metrics.ts";
import type { SkewHouse } from "../skew/skew-metrics.ts";
import type { RemoteStoreHouse } from "./remote-store-metrics.ts";

export interface SourceGauges {
  readonly source: string;
  /** Rows taken in and not yet durable and folded. */
  readonly pendingRows: number;
  /** Durable events that are not in the offline archive yet; null until the archive was first looked at. */
  readonly archiveLagEvents: number | null;
  readonly openDeadLetters: number;
  readonly droppedDeadLetters: number;
  /** Whether it takes events: false once a write has failed. */
  readonly up: boolean;
  /** Whether an offline table that its events or feature rows go to is refused until it is restored. */
  readonly isTableRefused: boolean;
  readonly views: readonly ViewGauges[];
  /** Null where it is not polled. */
  readonly poll: PollGauges | null;
  /** The same of the runs of a batch source. */
  readonly batch: PollGauges | null;
}

export interface PollGauges {
  /** Null before the first success. */
  readonly sinceSuccessSeconds: number | null;
  /** Below 0 while a poll is under way. */
  readonly dueInSeconds: number | null;
  /** Polls that failed since one succeeded. */
  readonly failures: number;
}

export interface ViewGauges {
  /** `view@version`. */
  readonly view: string;
  /** Durable events it has not folded yet. */
  readonly lagEvents: number;
  /** States changed since they were last written to the online store. */
  readonly unflushedStates: number;
  /** Since the process began. */
  readonly cost: RunningCost;
}

/** What is judged of freshness, and what it is judged by. */
export interface FreshnessGauges {
  readonly facts: FreshnessFacts;
  readonly judged: readonly Judged[];
  readonly nowMicros: number;
}

/** What a view has taken since the process began. */
export interface RunningCost {
  readonly foldSeconds: number;
  /** Encoding its changed states. */
  readonly encodeSeconds: number;
  readonly eventsFolded: number;
  readonly bytesWritten: number;
}

/** What open RESP doors have counted. */
export interface RespCounts {
  readonly connections: number;
  /** Requests by command; those of unknown commands under an empty name. */
  readonly commands: ReadonlyMap<string, number>;
}

export interface WorkerCounts {
  /** That serve now. */
  readonly warm: number;
  /** Times that one was started again. */
  readonly restarts: number;
}

/** What is asked at each scrape; to answer must be cheap. */
export interface MonitoredHouse extends RemoteStoreHouse, AlertHouse, QualityHouse, SkewHouse {
  sources(): readonly SourceGauges[];
  /** Null where nothing is folded. */
  freshness(): FreshnessGauges | null;
  resp(): RespCounts;
  /** Fits on disk that could not be read when they were last looked for. */
  unreadFits(): number;
  /** Whether what other servers register is taken up; null where no others share the registry. */
  registryUp(): boolean | null;
  /** Null where this process has none. */
  workers(): WorkerCounts | null;
  /** Null where the store does not say. */
  onlineStoreBytes(): Promise<number | null>;
  /** What each store of the data folder takes on disk, by its name; none where this process owns no folder. */
  storeBytes(): Promise<readonly (readonly [store: string, bytes: number])[]>;
  /** Names of the status codes that vectors carry, by code. */
  readonly statusNames: readonly string[];
}
