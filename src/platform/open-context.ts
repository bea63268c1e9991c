/**
 * What every part of a running platform shares, opened: engine, offline store, and how fast what is computed from history
 * may go.
 */
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { ProcessStarter } from "../base/process-starter.ts";
import { startHere, type StartProcess } from "../base/started-process.ts";
import { BackfillBudget } from "../ingest/backfill-budget.ts";
import { openOfflineStore } from "../offline-store/delta-table.ts";
import { openEngineApart } from "../offline-store/engine-apart.ts";
import { EngineWhenAsked, openDuckDb } from "../offline-store/open-duckdb.ts";
import type { EngineSettings } from "../offline-store/engine.ts";
import { refuseOtherFormat } from "./folder-format.ts";
import { ENGINE_MEMORY_BYTES } from "./no-folder.ts";
import type { OpenedRegistry } from "./open-registry.ts";
import type { PlatformOptions } from "./platform-options.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import { StateMemory } from "./state-memory.ts";
import { ViewCatalog } from "./view-catalog.ts";

/** The part of the time that a backfill may work while something is served, unless said otherwise. */
const BACKFILL_SHARE = 0.3;

/** Of an engine beside a server: with more it would have every core of a small machine. */
const BESIDE_THREADS = 1;

/** `onServing`: from then on a backfill must leave time to requests. What is opened is closed by `closers`. */
export async function openContext(
  options: PlatformOptions,
  clock: Clock,
  { registry, fits }: OpenedRegistry,
  closers: (() => Promise<void>)[],
): Promise<{ readonly context: RuntimeContext; onServing(): Promise<void> }> {
  const { dataDir, backfillShare = BACKFILL_SHARE, memoryBytes = ENGINE_MEMORY_BYTES } = options;
  const openEngine: RuntimeContext["openEngine"] = (settings = {}) => openDuckDb({ memoryBytes, ...settings });
  const settingsBeside: EngineSettings = { memoryBytes, threads: BESIDE_THREADS };
  if (options.workerTables !== undefined) await refuseOtherFormat(options.workerTables.folder);
  let isServing = false;
  let starter: ProcessStarter | null = null;
  const start: StartProcess = (program, yielding) =>
    starter === null ? startHere(program, yielding) : starter.start(program, yielding);
  closers.push(async () => starter?.close());
  const engine = new EngineWhenAsked(openEngine);
  closers.push(() => engine.close());
  const context: RuntimeContext = {
    dataDir,
    clock,
    registry,
    fits,
    catalog: new ViewCatalog(registry),
    revision: { count: 0 },
    pollsWhileServing: options.poll ?? true,
    stateMemory: new StateMemory(options.stateMemoryBytes),
    publishes: options.publish !== undefined,
    engine,
    openEngine,
    openEngineBeside: () =>
      isServing || options.mode === "read" ? openEngineApart(settingsBeside, start) : openEngine(),
    foldingBeside: () => (isServing ? { settings: settingsBeside, start } : null),
    buildsBehind: options.backfill === "behind",
    backfillBudget: new BackfillBudget(() => (isServing ? backfillShare : 1)),
    offline: openOfflineStore(join(dataDir, "offline"), engine, { clock }),
    ...(options.workerTables === undefined ? {} : { workerTables: options.workerTables }),
  };
  return {
    context,
    onServing: async () => {
      isServing = true;
      starter ??= ProcessStarter.open();
      // To load and open it holds this thread up for some tenths of a second, which nobody's request is to wait for.
      await engine.open();
    },
  };
}
