/** What a platform is made of beside its context. */
import type { OnefoldError } from "../base/errors.ts";
import type { SharedOnlineStore } from "../online-store/online-store.ts";
import type { ServingLog } from "../serve/serving-log.ts";
import type { ShadowCounts } from "./experiments/shadow-counts.ts";
import type { StandingChecksOptions } from "./monitoring/standing-checks.ts";
import type { FreshnessWatch } from "./monitoring/freshness-watch.ts";
import type { Monitoring } from "./monitoring/monitoring.ts";
import type { OwnedDrift } from "./monitoring/open-drift.ts";
import type { OwnedStore } from "./online/open-published.ts";
import type { OpenedRegistry } from "./open-registry.ts";
import type { DefinitionCode } from "./registrations.ts";
import type { SourceRuntimes } from "./source-runtimes.ts";
import type { TrainingJobs } from "./training-jobs/training-jobs.ts";

/** The registry as others may have it, too. */
export interface Shared extends OpenedRegistry {
  readonly code: DefinitionCode;
  onTrouble(trouble: OnefoldError | null): void;
  /** From then on a backfill must leave time to requests. */
  onServing(): Promise<void>;
}

/** What only the owner of the folder has. */
export interface Owned {
  readonly online: SharedOnlineStore;
  readonly publishing: OwnedStore["publishing"];
  readonly sources: SourceRuntimes;
  readonly freshness: FreshnessWatch;
  /** Null where it builds no training sets on request. */
  readonly training: TrainingJobs | null;
  readonly monitoring: Monitoring;
  readonly servingLog: ServingLog;
  readonly keptVectorsBytes: number;
  readonly sampleRate: number;
  readonly checks: StandingChecksOptions;
  readonly drift: OwnedDrift;
  readonly shadows: ShadowCounts;
}
