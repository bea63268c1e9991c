/**
 * A worker with the stores of its choice: the online store on Redis, offline tables in a folder where they are wanted.
 *
 * Kafka's client is loaded when a worker is first asked for: whoever runs none need not have it installed.
 */
import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { type Clock, systemClock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { Definition } from "../../define/definition.ts";
import { ForgottenNotes, ForgottenWatch } from "../../ingest/kafka/forgotten-notes.ts";
import { type KafkaSettings, kafkaSettings } from "../../ingest/kafka/settings.ts";
import type * as ConnectionModule from "../../ingest/kafka/connection.ts";
import type * as TopicModule from "../../ingest/kafka/topic-setup.ts";
import type * as WorkerModule from "../../ingest/kafka/worker.ts";
import { openOfflineStore } from "../../offline-store/delta-table.ts";
import { openDuckDb } from "../../offline-store/open-duckdb.ts";
import { openPartitionedEvents } from "../../offline-store/partitioned-events.ts";
import type { OfflineStore } from "../../offline-store/offline-store.ts";
import { openRedisStore } from "../../online-store/redis/redis-store.ts";
import { markFormat, refuseOtherFormat } from "../folder-format.ts";
import { DRIFT_SAMPLE_RATE } from "../monitoring/drift-recorder.ts";
import { FoldedRecorder } from "../monitoring/folded-recorder.ts";
import { FoldedProfiler } from "../../monitor/quality/folded-profiler.ts";
import { ViewProfiles } from "./view-profiles.ts";
import { WorkerProfiles } from "./worker-profiles.ts";

/** What is not given has a default (docs/kafka.md). */
export type KafkaGiven = Partial<KafkaSettings> & Pick<KafkaSettings, "brokers">;

export interface KafkaWorkerOptions {
  readonly definitions: readonly Definition[];
  readonly kafka: KafkaGiven;
  /** `redis://...`, as in docs/redis.md. */
  readonly onlineUrl: string;
  readonly onlinePassword?: string;
  /** Where the offline tables are; none without it. */
  readonly archiveFolder?: string;
  readonly archiveIntervalMs?: number;
  /** How often profiles of what is archived are brought up to date; 0 never. Default a minute. */
  readonly profileIntervalMs?: number;
  /** The part of the events whose values are looked at for drift, 0 to 1, beside the tables. Default 0.005. */
  readonly driftSampleRate?: number;
  /** Also folds drafts (`view@dev`). */
  readonly drafts?: boolean;
  /** States kept in memory. */
  readonly statesMax?: number;
  readonly clock?: Clock;
  /** Told of trouble that the worker gets over by itself. */
  onTrouble?(error: OnefoldError): void;
}

export interface KafkaWorker {
  readonly progress: WorkerModule.WorkerProgress;
  /** Resolves with what the worker failed at. */
  readonly failed: Promise<OnefoldError>;
  /** Finishes the batch at hand, leaves the groups, closes what was opened. */
  stop(): Promise<void>;
}

const PROFILE_MS = 60_000;

/** Throws `REQUEST_INVALID`, `DATA_FOLDER_FORMAT`, `STORE_FORMAT`, `STORE_UNAVAILABLE`, and what `Worker.start` throws. */
export async function startKafkaWorker(options: KafkaWorkerOptions): Promise<KafkaWorker> {
  const { definitions, kafka, onlineUrl, onlinePassword, statesMax, onTrouble, clock = systemClock } = options;
  const { Worker } = await kafkaModules();
  const store = await openRedisStore({
    url: onlineUrl,
    ...(onlinePassword === undefined ? {} : { password: onlinePassword }),
  });
  const closing: (() => Promise<unknown>)[] = [() => store.close()];
  const close = async (): Promise<void> => {
    for (const one of closing.toReversed()) await one();
  };
  try {
    const { archiveFolder, profileIntervalMs = PROFILE_MS } = options;
    if (archiveFolder !== undefined) await takeArchive(archiveFolder);
    await store.ping();
    const tables = archiveFolder === undefined ? null : await openTables(archiveFolder, clock, closing);
    const forgotten = notesOf(archiveFolder ?? "", kafkaSettings(kafka).prefix);
    const seen =
      archiveFolder === undefined ? null : lookAtFolded(archiveFolder, profileIntervalMs > 0, options, forgotten);
    if (seen !== null) closing.push(() => seen.recorder.close());
    const sight = seen?.recorder.sight ?? null;
    const workerOptions: WorkerModule.WorkerOptions = {
      definitions,
      kafka: kafkaSettings(kafka),
      store,
      clock,
      ...(options.drafts === undefined ? {} : { drafts: options.drafts }),
      ...(statesMax === undefined ? {} : { statesMax }),
      ...(onTrouble === undefined ? {} : { onTrouble }),
      ...(sight === null ? {} : { sight }),
      ...(tables === null
        ? {}
        : {
            openArchive: tables.openArchive,
            openEngine: () => openDuckDb({ threads: 1 }),
            archiveIntervalMs: options.archiveIntervalMs,
            forgotten,
          }),
    };
    const started = await Worker.start(workerOptions);
    closing.push(() => started.stop());
    if (tables !== null && profileIntervalMs > 0) {
      const profiles = new WorkerProfiles({
        folder: archiveFolder!,
        tables: tables.store,
        plans: started.plans,
        forgotten,
        folded: () => started.progress.fold.partitions,
        openEngine: () => openDuckDb({ threads: 1 }),
        everyMs: profileIntervalMs,
        ...(seen === null || sight === null ? {} : { views: seen.views }),
        onTrouble: (error) => onTrouble?.(error),
      });
      closing.push(() => profiles.close());
    }
    return {
      get progress() {
        return started.progress;
      },
      failed: started.failed,
      stop: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One for each source: it remembers what it has read. */
function notesOf(archiveFolder: string, prefix: string): (source: string) => ForgottenNotes {
  const notes = new Map<string, ForgottenNotes>();
  return (source) => {
    const known = notes.get(source) ?? new ForgottenNotes(archiveFolder, prefix, source);
    notes.set(source, known);
    return known;
  };
}

/** Its tables, profiles and samples are in the format of a data folder's. */
async function takeArchive(folder: string): Promise<void> {
  await refuseOtherFormat(folder);
  await mkdir(folder, { recursive: true });
  await markFormat(folder);
}

/** Several workers may have the folder. */
function lookAtFolded(
  folder: string,
  isProfiled: boolean,
  { clock = systemClock, driftSampleRate: rate = DRIFT_SAMPLE_RATE, definitions }: KafkaWorkerOptions,
  forgotten: (source: string) => ForgottenNotes,
): { readonly recorder: FoldedRecorder; readonly views: ViewProfiles } {
  const writer = randomUUID().slice(0, 8);
  const seen = new FoldedProfiler();
  const notes = definitions.flatMap(({ kind, name }) => (kind === "stream" ? [forgotten(name)] : []));
  const watch = (): { readonly isForgotten: () => Promise<boolean> } => {
    const each = new ForgottenWatch(notes);
    return { isForgotten: () => each.hasChanged() };
  };
  const also = isProfiled ? { also: seen } : {};
  const recorder = new FoldedRecorder({ folder, writer, clock, rate, ...also, ...watch() });
  return { recorder, views: new ViewProfiles({ folder, writer, clock, seen, ...watch() }) };
}

async function openTables(
  folder: string,
  clock: Clock,
  closing: (() => Promise<unknown>)[],
): Promise<{
  readonly store: OfflineStore;
  readonly openArchive: NonNullable<WorkerModule.WorkerOptions["openArchive"]>;
}> {
  const engine = await openDuckDb({ threads: 1 });
  closing.push(() => engine.close());
  const store = openOfflineStore(folder, engine, { clock });
  return { store, openArchive: (source, topic) => openPartitionedEvents(store, engine, source, topic) };
}

/** Throws `REQUEST_INVALID` where Kafka's client is not installed. */
export async function kafkaModules(): Promise<
  Pick<typeof WorkerModule, "Worker"> &
    Pick<typeof ConnectionModule, "KafkaConnection"> &
    Pick<typeof TopicModule, "sourceTopicProblems">
> {
  try {
    const [{ Worker }, { KafkaConnection }, { sourceTopicProblems }] = await Promise.all([
      import("../../ingest/kafka/worker.ts"),
      import("../../ingest/kafka/connection.ts"),
      import("../../ingest/kafka/topic-setup.ts"),
    ]);
    return { Worker, KafkaConnection, sourceTopicProblems };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new OnefoldError("REQUEST_INVALID", "Kafka needs the package @platformatic/kafka", {
      hint: "install it: npm install @platformatic/kafka@1.35.0",
      cause,
    });
  }
}
