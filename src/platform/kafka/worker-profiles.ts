/**
 * Profiles by day of the sources whose events workers archive, kept beside the tables. Of a source the worker that folds the
 * first partition of its first topic brings them up to date, once a minute, in at most a twentieth of the time.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import type { SourceDefinition } from "../../define/definition.ts";
import type { TopicPartition } from "../../ingest/kafka/records.ts";
import type { SourceRoutes } from "../../ingest/kafka/routes.ts";
import { ProfileFiles } from "../../monitor/quality/profile-files.ts";
import { type PartitionMemory, profilePartitions } from "../../monitor/quality/partition-profiler.ts";
import { profileFolder } from "../../monitor/quality/profiler.ts";
import { placesOf } from "../../offline-store/archive-places.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { OfflineStore } from "../../offline-store/offline-store.ts";

/** Of the time. */
const SHARE = 0.05;

export interface WorkerProfilesOptions {
  /** Of the tables. */
  readonly folder: string;
  readonly tables: OfflineStore;
  readonly plans: readonly SourceRoutes[];
  /** Partitions that this worker folds now. */
  folded(): readonly TopicPartition[];
  openEngine(): Promise<QueryEngine>;
  readonly everyMs: number;
  /** Told of what it failed at; it tries again the next time. */
  onTrouble(error: OnefoldError): void;
}

export class WorkerProfiles {
  readonly #options: WorkerProfilesOptions;
  readonly #memories = new Map<string, PartitionMemory>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: WorkerProfilesOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { everyMs, onTrouble } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      await this.#pass().catch((error: unknown) => {
        const known = asOnefoldError(error);
        if (known.code !== "CANCELLED" && known.code !== "TABLE_CONFLICT") onTrouble(known);
      });
    }
  }

  async #pass(): Promise<void> {
    const { plans, folded, openEngine } = this.#options;
    const owned = new Set(folded().flatMap(({ topic, partition }) => (partition === 0 ? [topic] : [])));
    const ours = plans.flatMap(({ source, routes: [first] }) => {
      return first !== undefined && owned.has(first.topic) ? [{ source, topic: first.topic }] : [];
    });
    for (const name of this.#memories.keys()) {
      if (!ours.some(({ source }) => source.name === name)) this.#memories.delete(name);
    }
    if (ours.length === 0) return;
    const engine = await openEngine();
    try {
      for (const { source, topic } of ours) await this.#profile(engine, source, topic);
    } finally {
      await engine.close();
    }
  }

  async #profile(engine: QueryEngine, source: SourceDefinition, topic: string): Promise<void> {
    const { folder, tables } = this.#options;
    const { signal } = this.#stopping;
    const table = await tables.find(`events/${topic}`);
    if (table === null) return;
    const { files } = await table.snapshot();
    const ends = new Map(Array.from(placesOf(files), ([partition, { offset }]) => [partition, offset]));
    const memory = this.#memories.get(source.name) ?? { files: new Set(), place: null };
    this.#memories.set(source.name, memory);
    const options = {
      engine,
      files: workerProfileFiles(folder, source),
      rest: async (workedMs: number): Promise<void> => {
        await sleep(workedMs * (1 / SHARE - 1), undefined, { signal, ref: false }).catch(() => undefined);
      },
      check: (): void => {
        if (signal.aborted) throw new OnefoldError("CANCELLED", "the work was cancelled");
      },
    };
    await profilePartitions(options, source, { files, ends }, memory);
  }
}

/** Profiles of a source that workers fold, beside their tables in `folder`. */
export function workerProfileFiles(folder: string, source: SourceDefinition): ProfileFiles {
  return new ProfileFiles(join(folder, "monitor", "quality", profileFolder(source)));
}
