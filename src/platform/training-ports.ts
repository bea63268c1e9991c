/**
 * Training, audit, explain and preview see the house through these ports.
 */
import type { ViewDefinition } from "../define/definition.ts";
import { readBatchState } from "../ingest/batch/batch-state.ts";
import { openEventArchive } from "../offline-store/delta-event-archive.ts";
import type { EventArchive } from "../offline-store/event-archive.ts";
import type { TrainingPorts } from "../training/ports.ts";
import { WorkerTables } from "./kafka/worker-tables.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import type { SourceRuntimes } from "./source-runtimes.ts";

/** What training needs of a platform, or of the part of one that only builds training sets. */
export type TrainingContext = Pick<
  RuntimeContext,
  "catalog" | "clock" | "dataDir" | "registry" | "fits" | "engine" | "offline" | "openEngine" | "workerTables"
>;

/**
 * `sources` where this process owns the logs: then archives are brought up to their ends first. Sources on Kafka are
 * read from what workers have archived, where that was named.
 */
export function openTrainingPorts(context: TrainingContext, sources: SourceRuntimes | null): TrainingPorts {
  const workerTables = context.workerTables === undefined ? null : new WorkerTables(context.workerTables, context);
  const { catalog, clock, dataDir, registry, fits, engine, offline } = context;
  const opened = new Map<string, Promise<EventArchive>>();
  return {
    clock,
    registry,
    fits,
    view: (name: string, version: ViewDefinition["version"]) => catalog.viewOfAnyTime(name, version),
    archive: async (source) => {
      const { definition } = registry.source(source);
      if (workerTables?.has(definition) === true) return workerTables.archive(definition);
      if (sources !== null) {
        const runtime = sources.get(source);
        await runtime.archiveNow();
        return runtime.archive;
      }
      let archive = opened.get(source);
      if (archive === undefined) opened.set(source, (archive = openEventArchive(offline, engine, definition)));
      return archive;
    },
    closedUpTo: (source) => {
      if (workerTables?.has(registry.source(source).definition) === true) return null;
      return sources?.get(source).closedUpTo() ?? null;
    },
    completeUpTo: async (source) => {
      if (sources !== null || registry.source(source).definition.kind !== "batch") return null;
      // One that cannot be read says nothing.
      const state = await readBatchState(dataDir, source).catch(() => null);
      return state?.complete ?? null;
    },
    openEngine: (settings) => context.openEngine(settings),
  };
}
