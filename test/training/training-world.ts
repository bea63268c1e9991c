/**
 * A registry and event archives in a folder of their own, and the ports through which training sees them.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReplayClock } from "../../src/base/clock.ts";
import { isOnefoldError, type OnefoldError } from "../../src/base/errors.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import type { Definition, ViewDefinition } from "../../src/define/definition.ts";
import { compileDerived } from "../../src/fold/derive.ts";
import type { FoldEvent } from "../../src/fold/view-fold.ts";
import { type HistoryArchive, openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { type QueryEngine, sqlText, type TableColumn } from "../../src/offline-store/engine.ts";
import { batchOfRows } from "../../src/offline-store/row-batch.ts";
import { ViewCatalog } from "../../src/platform/view-catalog.ts";
import { openFileRegistry } from "../../src/registry/file-registry.ts";
import { openFitStore } from "../../src/registry/fit-files.ts";
import type { FitStore } from "../../src/registry/fitted-service.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { Value } from "../../src/schema/value.ts";
import type { TrainingPorts } from "../../src/training/ports.ts";
import { train, type TrainingSet, type TrainRequest } from "../../src/training/training-set.ts";
import { appendLive } from "../offline-store/live-events.ts";

export const START: number = parseMicros("2026-03-01T00:00:00Z");
export const SECOND = 1_000_000;
export const MINUTE: number = 60 * SECOND;

/** Microseconds of so many minutes after the start. */
export function minute(minutes: number): Micros {
  return (START + Math.round(minutes * MINUTE)) as Micros;
}

/** An event as it is archived: the stored columns of its row. */
export interface WorldEvent {
  readonly eventTime: number;
  readonly knownTime: number;
  readonly row: readonly Value[];
}

export class TrainingWorld {
  readonly folder: string;
  readonly clock: ReplayClock = new ReplayClock(START as Micros);
  readonly engine: QueryEngine;
  readonly registry: Registry;
  readonly ports: TrainingPorts;
  /** Time up to which all logs are closed; null where nobody can tell. */
  closedUpTo: number | null = null;
  readonly #archives = new Map<string, Promise<HistoryArchive>>();

  private constructor(folder: string, engine: QueryEngine, registry: Registry, fits: FitStore) {
    this.folder = folder;
    this.engine = engine;
    this.registry = registry;
    const catalog = new ViewCatalog(registry);
    this.ports = {
      clock: this.clock,
      registry,
      fits,
      view: (name: string, version: ViewDefinition["version"]) => catalog.view(name, version),
      archive: (source) => this.archive(source),
      closedUpTo: () => this.closedUpTo,
      completeUpTo: async () => null,
      openEngine: () => openDuckDb({ threads: 2 }),
    };
  }

  static async open(definitions: readonly Definition[]): Promise<TrainingWorld> {
    const folder = await mkdtemp(join(tmpdir(), "onefold-training-"));
    const engine = await openDuckDb({ threads: 2 });
    const registry = await openFileRegistry(join(folder, "registry"), { clock: new ReplayClock(START as Micros) });
    await registry.apply(definitions);
    return new TrainingWorld(folder, engine, registry, await openFitStore(join(folder, "registry")));
  }

  async close(): Promise<void> {
    await this.engine.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  archive(source: string): Promise<HistoryArchive> {
    let archive = this.#archives.get(source);
    if (archive === undefined) {
      const store = openOfflineStore(join(this.folder, "offline"), this.engine);
      archive = openEventArchive(store, this.engine, this.registry.source(source).definition);
      this.#archives.set(source, archive);
    }
    return archive;
  }

  /** Appends live events; returns them as the fold sees them. */
  async live(source: string, events: readonly WorldEvent[]): Promise<FoldEvent[]> {
    const archive = await this.archive(source);
    const { liveEnd } = await archive.files();
    await appendLive(
      archive,
      events.map(({ row, ...times }, i) => ({ ...times, row, offset: liveEnd + i, id: null })),
    );
    return this.#asFolded(source, events, liveEnd);
  }

  /** Appends history to the present epoch, or puts it in place of all there was and opens the next one. */
  async history(
    source: string,
    events: readonly WorldEvent[],
    how: "append" | "replace" = "append",
  ): Promise<FoldEvent[]> {
    const archive = await this.archive(source);
    const files = await archive.files();
    const first = how === "append" ? files.historyEnd : -(2 ** 52);
    const rows = events.map(({ row, eventTime, knownTime }, i) => [...row, eventTime, knownTime, first + i, null]);
    await this.engine.fill("history", archive.columns, [
      batchOfRows(
        archive.columns.map(({ type }) => type),
        rows,
      ),
    ]);
    const write = {
      engine: this.engine,
      select: "SELECT * FROM history",
      firstKnownTime: events[0]!.knownTime,
      lastKnownTime: events.at(-1)!.knownTime,
    };
    await (how === "append" ? archive.appendHistory(files, write) : archive.replaceHistory(files, write));
    return this.#asFolded(source, events, first);
  }

  #asFolded(source: string, events: readonly WorldEvent[], first: number): FoldEvent[] {
    const derived = compileDerived(this.registry.source(source).definition);
    return events.map(({ eventTime, knownTime, row }, i) => ({
      offset: first + i,
      eventTime: eventTime as Micros,
      knownTime: knownTime as Micros,
      row: derived.derive([...row]),
    }));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Writes a text file; returns its path. */
  async file(ending: string, text: string): Promise<string> {
    const path = this.path(`${randomUUID()}.${ending}`);
    await writeFile(path, text);
    return path;
  }

  /** Writes rows as Parquet; returns the path. */
  async parquet(columns: readonly TableColumn[], rows: readonly (readonly Value[])[]): Promise<string> {
    await this.engine.fill("to_write", columns, [
      batchOfRows(
        columns.map(({ type }) => type),
        rows,
      ),
    ]);
    return this.query("SELECT * FROM to_write");
  }

  /** Writes a query's result as Parquet; returns the path. */
  async query(sql: string): Promise<string> {
    const path = this.path(`${randomUUID()}.parquet`);
    await this.engine.run(`COPY (${sql}) TO ${sqlText(path)} (FORMAT parquet)`);
    return path;
  }

  train(labels: string, request: Partial<TrainRequest> = {}): Promise<TrainingSet> {
    return train({ service: "model", ...request, ports: this.ports, labels: { path: labels, ...request.labels } });
  }

  /** Names of the files beside the offline tables and the registry. */
  async files(): Promise<string[]> {
    const entries = await readdir(this.folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();
  }
}

/** Values of a training set, row by row, in the order of the vector. */
export function rowsOf(set: TrainingSet): Value[][] {
  return Array.from({ length: set.rowCount }, (_, row) => set.columns.map((column) => column.value(row)));
}

/** The platform's error that a promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<OnefoldError> {
  try {
    await promise;
  } catch (error) {
    if (isOnefoldError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
