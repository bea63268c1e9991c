/**
 * What the composition root has opened for a platform, besides the context that all its parts share.
 */
import type { OnefoldError } from "../base/errors.ts";
import type { SharedOnlineStore } from "../online-store/online-store.ts";
import type { ServingLog } from "../serve/serving-log.ts";
import type { OpenedRegistry } from "./open-registry.ts";
import type { DefinitionCode } from "./registrations.ts";
import type { SourceRuntimes } from "./source-runtimes.ts";

/** The registry as others may have it, too. */
export interface Shared extends OpenedRegistry {
  readonly code: DefinitionCode;
  onTrouble(trouble: OnefoldError | null): void;
  /** From then on a backfill must leave time to requests. */
  onServing(): void;
}

/** What only the owner of the folder has. */
export interface Owned {
  readonly online: SharedOnlineStore;
  readonly sources: SourceRuntimes;
  readonly servingLog: ServingLog;
  readonly keptVectorsBytes: number;
  readonly sampleRate: number;
}
