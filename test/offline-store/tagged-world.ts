/** A table whose files nobody looks into: tags name the rows that they would hold. By a clock that the test turns. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import type { QueryEngine } from "../../src/offline-store/engine.ts";
import type { NewFile, OfflineTable, TableFile } from "../../src/offline-store/offline-store.ts";
import type { TableStorage } from "../../src/offline-store/table-storage.ts";
import { datedStorage } from "./dated-storage.ts";
import { LETTERS } from "./offline-table-conformance.ts";

let serial = 0;

export class TaggedWorld {
  readonly clock: ReplayClock = new ReplayClock(parseMicros("2001-06-01T00:00:00Z"));
  readonly folder: string;
  readonly #engine: QueryEngine;

  constructor(folder: string, engine: QueryEngine) {
    this.folder = folder;
    this.#engine = engine;
  }

  pass(millis: number): void {
    this.clock.advanceTo((this.clock.now() + millis * 1000) as Micros);
  }

  open(storage: TableStorage = datedStorage(this.clock)): Promise<OfflineTable> {
    return openOfflineStore(this.folder, this.#engine, { clock: this.clock, storage }).table("letters", LETTERS);
  }

  /** A file of these rows, which a tag names: nobody looks into it. */
  async file(table: OfflineTable, rows: readonly string[]): Promise<NewFile> {
    const path = `part-${serial++}.parquet`;
    await writeFile(join(table.folder, path), "rows");
    const stats = { numRecords: rows.length, minValues: { letter: rows[0] }, maxValues: { letter: rows.at(-1) } };
    return { path, bytes: 4, rows: rows.length, stats: JSON.stringify(stats), tags: { rows: rows.join() } };
  }

  async append(table: OfflineTable, row: string): Promise<number> {
    const txn = [{ applicationId: row, version: 1 }];
    return table.commit({ add: [await this.file(table, [row])], txn, operation: "APPEND" });
  }

  /** All files written anew in one. */
  async join(table: OfflineTable): Promise<void> {
    const { files } = await table.snapshot();
    if (files.length < 2) return;
    const by = await this.file(table, rowsIn(files));
    const paths = files.map(({ path }) => path.slice(table.folder.length + 1));
    await table.commit({ add: [], replace: [{ paths, by }], operation: "COMPACT", dataChange: false });
  }
}

export async function rowsOf(table: OfflineTable): Promise<string[]> {
  return rowsIn((await table.snapshot()).files);
}

export function rowsIn(files: readonly TableFile[]): string[] {
  return files.flatMap(({ tags }) => tags["rows"]!.split(",")).toSorted();
}
