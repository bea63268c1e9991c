/**
 * Drift of what is served from a data folder whose events and tables are elsewhere: what was served is compared with what was
 * served, with the baseline that was chosen, or with a training set or file. Of what is folded it knows nothing.
 */
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { openDuckDb } from "../../offline-store/open-duckdb.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { TrainingPorts } from "../../training/ports.ts";
import { DriftDesk } from "../monitoring/drift-desk.ts";
import { foldedWindows } from "../monitoring/folded-recorder.ts";
import type { OwnedDrift } from "../monitoring/open-drift.ts";
import type { WatchedRegistry } from "./watched-registry.ts";

export function openOnlineDrift(
  { dataDir, clock }: { readonly dataDir: string; readonly clock: Clock },
  { registry, fits, catalog }: WatchedRegistry,
  drift: OwnedDrift,
): DriftDesk {
  const openEngine = (): Promise<QueryEngine> => openDuckDb({ threads: 1 });
  const ports: TrainingPorts = {
    clock,
    registry,
    fits,
    view: (name, version) => catalog.view(name, version),
    archive: async (source) => {
      throw new OnefoldError("STORAGE_LOCKED", "this server folds nothing, and has no events", {
        where: source,
        hint: "ask the process that owns the data folder",
      });
    },
    closedUpTo: () => null,
    completeUpTo: async () => null,
    openEngine,
  };
  const context = { dataDir, clock, openEngine, offline: { find: async () => null } };
  const folded = foldedWindows(dataDir);
  return new DriftDesk({ context, ports, windows: drift.windows, folded }, () => drift.recorder.flush());
}
