/**
 * The life of a process that the owner of a data folder has started for one piece of training work: told what to do, it
 * opens what it needs of the house, read-only, does it, and ends; at once when the owner is gone.
 */
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { Definition } from "../../define/definition.ts";
import { openOfflineStore } from "../../offline-store/delta-table.ts";
import { openDuckDb } from "../../offline-store/duckdb.ts";
import type { EngineSettings, QueryEngine } from "../../offline-store/engine.ts";
import { openFileRegistry } from "../../registry/file-registry.ts";
import { openFitStore } from "../../registry/fit-files.ts";
import { explainLeakage } from "../../training/leakage.ts";
import { train, type TrainRequest } from "../../training/training-set.ts";
import type { TrainingManifest } from "../../training/manifest.ts";
import { ENGINE_MEMORY_BYTES } from "../no-folder.ts";
import { openTrainingPorts } from "../training-ports.ts";
import { ViewCatalog } from "../view-catalog.ts";
import { errorToWire } from "../../base/wire-error.ts";
import { trainingRequest } from "./training-request.ts";
import type { JobMessage, JobProgress, JobResult, JobWork } from "./job-messages.ts";

export interface TrainingJobOptions {
  /** Code for views with functions of their own, or where to get it. Views without functions need none. */
  readonly definitions?: readonly Definition[] | (() => Promise<readonly Definition[]>);
}

/** Between two words on how it goes, within one phase. */
const PROGRESS_MILLIS_MIN = 200;

/** Resolves once the work is done, or has failed, and that was told. Throws `TRAINING_INTERRUPTED` in a process that was not started for it. */
export async function runTrainingJob(options: TrainingJobOptions = {}): Promise<void> {
  if (process.send === undefined) {
    throw new OnefoldError("TRAINING_INTERRUPTED", "this process was not started to build a training set", {
      hint: "ask a server: POST /training-sets; or run `onefold train`",
    });
  }
  // Nobody would hear of the result.
  process.once("disconnect", () => process.exit(1));
  const cancelling = new AbortController();
  const told = new Promise<JobWork>((resolve) => {
    process.on("message", (message: JobMessage) => {
      if (message.kind === "work") resolve(message.work);
      if (message.kind === "cancel") cancelling.abort();
    });
  });
  await tell({ kind: "ready" });
  try {
    await tell({ kind: "done", result: await doWork(await told, options, cancelling.signal) });
  } catch (error) {
    await tell({ kind: "failed", error: errorToWire(error) });
  }
  process.removeAllListeners("disconnect").disconnect();
}

async function doWork(work: JobWork, options: TrainingJobOptions, signal: AbortSignal): Promise<JobResult> {
  const [rows, features] =
    work.kind === "train" ? await buildSet(work, options, signal) : [await convert(work), [] as string[]];
  return { rows, features, bytes: (await stat(work.out)).size };
}

async function buildSet(
  { house, labels, out, leakageOut, options: asked, closedUpTo }: JobWork & { readonly kind: "train" },
  { definitions = [] }: TrainingJobOptions,
  signal: AbortSignal,
): Promise<[number, string[]]> {
  const clock: Clock = { now: () => house.now };
  const registry = await openFileRegistry(house.registryFolder, { clock });
  registry.attachCode(typeof definitions === "function" ? await definitions() : definitions);
  const openEngine = (settings: EngineSettings = {}): Promise<QueryEngine> =>
    openDuckDb({ memoryBytes: house.memoryBytes ?? ENGINE_MEMORY_BYTES, ...settings });
  const engine = await openEngine();
  try {
    const ports = openTrainingPorts(
      {
        clock,
        dataDir: house.dataDir,
        registry,
        fits: await openFitStore(house.registryFolder),
        catalog: new ViewCatalog(registry),
        engine,
        openEngine,
        offline: openOfflineStore(join(house.dataDir, "offline"), engine, { clock }),
        ...(house.workerTables === undefined ? {} : { workerTables: house.workerTables }),
      },
      null,
    );
    const request: TrainRequest = {
      ...trainingRequest(asked, labels),
      ports: { ...ports, closedUpTo: (source) => closedUpTo[source] ?? null },
      out,
      format: "parquet",
      onProgress: throttled((progress) => void tell({ kind: "progress", progress })),
      signal,
    };
    const { rows, manifest } =
      asked.explain_leakage === true ? await trainAndExplain(request, leakageOut) : await trainAlone(request);
    return [rows, manifest.features.map(({ name }) => name)];
  } finally {
    await engine.close();
    await registry.close();
  }
}

interface Built {
  readonly rows: number;
  readonly manifest: TrainingManifest;
}

async function trainAlone(request: TrainRequest): Promise<Built> {
  const { rowCount, manifest } = await train(request);
  return { rows: rowCount, manifest };
}

/** The report is what the command line prints, without what the set's own files say. */
async function trainAndExplain({ knowledge: _, ...request }: TrainRequest, leakageOut: string): Promise<Built> {
  const { out: _out, manifest, ...report } = await explainLeakage(request);
  await writeFile(leakageOut, JSON.stringify(report));
  return { rows: report.rows, manifest };
}

async function convert({ from, out }: JobWork & { readonly kind: "arrow" }): Promise<number> {
  // Whoever only builds sets does without Arrow's library.
  const { writeArrowStream } = await import("../../offline-store/arrow-stream.ts");
  const engine = await openDuckDb({ memoryBytes: ENGINE_MEMORY_BYTES });
  try {
    return await writeArrowStream(engine, from, out);
  } finally {
    await engine.close();
  }
}

/** The first and the last word of each phase always get through. */
function throttled(
  say: (progress: JobProgress) => void,
): (progress: Omit<JobProgress, "view"> & { readonly view?: string }) => void {
  let before = "";
  let saidMillis = 0;
  return ({ phase, view = null, done, total }) => {
    const now = performance.now();
    const what = `${phase} ${view}`;
    if (what === before && done < total && now - saidMillis < PROGRESS_MILLIS_MIN) return;
    before = what;
    saidMillis = now;
    say({ phase, view, done, total });
  };
}

/** Resolves once it is on its way, or cannot be any more. */
function tell(message: JobMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected) return resolve();
    process.send!(message, undefined, undefined, () => resolve());
  });
}
