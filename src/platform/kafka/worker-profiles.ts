/**
 * Profiles by day of the sources whose events workers archive, and of the views that they fold, kept beside the tables. Of a
 * source the worker that folds the first partition of its first topic brings them up to date, once a minute, in at most a
 * twentieth of the time; of views see `view-profiles.ts`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { throwIfCancelled } from "../../base/cancelled.ts";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import { formatViewName, type SourceDefinition, type ViewDefinition } from "../../define/definition.ts";
import type { ForgottenNotes } from "../../ingest/kafka/forgotten-notes.ts";
import type { TopicPartition } from "../../ingest/kafka/records.ts";
import type { SourceRoutes } from "../../ingest/kafka/routes.ts";
import { type PartitionMemory, profilePartitions } from "../../monitor/quality/partition-profiler.ts";
import { placesOf } from "../../offline-store/archive-places.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import { ownFiles } from "../../offline-store/foreign-files.ts";
import type { OfflineStore } from "../../offline-store/offline-store.ts";
import type { ViewProfiles } from "./view-profiles.ts";
import { workerProfileFiles } from "./worker-profile-files.ts";

/** Of the time. */
const SHARE = 0.05;

export interface WorkerProfilesOptions {
  /** Of the tables. */
  readonly folder: string;
  readonly tables: OfflineStore;
  readonly plans: readonly SourceRoutes[];
  /** What is noted of entities that were forgotten, by source. */
  forgotten(source: string): Pick<ForgottenNotes, "state">;
  /** Partitions that this worker folds now. */
  folded(): readonly TopicPartition[];
  openEngine(): Promise<QueryEngine>;
  readonly everyMs: number;
  /** Absent where nothing that is folded is looked at. */
  readonly views?: ViewProfiles;
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
    await this.#options.views?.keep().catch((error: unknown) => this.#options.onTrouble(asOnefoldError(error)));
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
    const { plans, folded, openEngine, views } = this.#options;
    await views?.keep();
    const owned = new Set(folded().flatMap(({ topic, partition }) => (partition === 0 ? [topic] : [])));
    const ours = plans.flatMap(({ source, routes: [first] }) => {
      return first !== undefined && owned.has(first.topic) ? [{ source, topic: first.topic }] : [];
    });
    for (const name of this.#memories.keys()) {
      if (!ours.some(({ source }) => source.name === name)) this.#memories.delete(name);
    }
    const viewsOfOurs = plans.flatMap(({ routes }) =>
      routes.flatMap((route) =>
        owned.has(route.topic) ? route.views.map(({ definition }) => definition).filter(isProfiled) : [],
      ),
    );
    views?.letGo((name) => viewsOfOurs.some((view) => formatViewName(view) === name));
    if (ours.length === 0 && viewsOfOurs.length === 0) return;
    const engine = await openEngine();
    try {
      for (const { source, topic } of ours) await this.#profile(engine, source, topic);
      for (const view of viewsOfOurs) await views?.bringUp(engine, view);
    } finally {
      await engine.close();
    }
  }

  async #profile(engine: QueryEngine, source: SourceDefinition, topic: string): Promise<void> {
    const { folder, tables, forgotten } = this.#options;
    const { signal } = this.#stopping;
    const notes = forgotten(source.name);
    const noted = await notes.state();
    const table = await tables.find(`events/${topic}`);
    if (table === null) return;
    const files = await ownFiles(table);
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
        throwIfCancelled(signal);
      },
    };
    const stillHold = async (): Promise<void> => {
      if ((await notes.state()) === noted) return;
      throw new OnefoldError("TABLE_CONFLICT", `an entity of source ${source.name} is being forgotten`, {
        where: source.name,
        hint: "nothing has to be done: what is left is profiled",
      });
    };
    await profilePartitions(options, source, { files, ends, stillHold }, memory);
  }
}

function isProfiled({ version, offline }: ViewDefinition): boolean {
  return version !== "dev" && offline;
}
