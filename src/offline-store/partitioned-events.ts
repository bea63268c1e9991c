/**
 * Events that come in several partitions, each with offsets of its own, as one open table.
 *
 * Columns: the source's stored columns (all nullable in the table), `_event_time`, `_known_time`, `_offset`, `_id` as
 * in the archive of a single log, and `_partition`. An entity's events are all of one partition: sorted by entity and
 * offset they are in the order in which they were folded. A retraction is a row as it is there; it takes back events of
 * its own partition, and stands in all of them.
 *
 * A commit adds events of any number of partitions together with, for each, its place: the `txn` of application id
 * `<topic>/<partition>`, whose version is the offset of the last record that was considered, and what the writer must
 * know to go on behind it, in the file's tag `places`. A commit goes on from the place that the table holds, or fails:
 * so whatever crashes, repeats or comes late, no event is in the table twice, and none is left out.
 *
 * Small files are joined as they add up, by whoever comes first; the joined file takes their places over.
 */
import { randomUUID } from "node:crypto";
import type { SourceDefinition } from "../define/definition.ts";
import type { Column, Row } from "../schema/value.ts";
import { type ArchivePlace, placesOf, placesTags } from "./archive-places.ts";
import { type QueryEngine, sqlName } from "./engine.ts";
import { ownFiles } from "./foreign-files.ts";
import type { NewFile, OfflineStore, OfflineTable, TableFile } from "./offline-store.ts";
import { writeParquetFiles } from "./parquet-file.ts";
import { retractionsOf, retractionTag } from "./retractions.ts";
import { batchOfRows } from "./row-batch.ts";
import { compactTable, FILES_WORTH_JOINING } from "./table-compaction.ts";
import { kindOfTable } from "./table-kinds.ts";

/** Joined files stay for readers that still have them in their lists. */
const JOINED_KEPT_MS = 24 * 3_600_000;

export const PARTITION: Column = { name: "_partition", type: { name: "int64" }, nullable: true };

const META_COLUMNS: readonly Column[] = [
  { name: "_event_time", type: { name: "timestamp" }, nullable: true },
  { name: "_known_time", type: { name: "timestamp" }, nullable: true },
  { name: "_offset", type: { name: "int64" }, nullable: true },
  { name: "_id", type: { name: "string" }, nullable: true },
  PARTITION,
];

export interface PartitionedEvent {
  readonly partition: number;
  readonly offset: number;
  /** NaN for a retraction. */
  readonly eventTime: number;
  readonly knownTime: number;
  readonly id: string | null;
  /** Begins with the stored columns in schema order. */
  readonly row: Row;
}

export interface PlaceChange<P> extends ArchivePlace<P> {
  readonly partition: number;
  /** The place that the events follow on; null where there was none. */
  readonly after: ArchivePlace<P> | null;
}

export interface PartitionedEvents<P> {
  /** Where each partition's archive ends, in the newest version of the table. */
  places(): Promise<Map<number, ArchivePlace<P>>>;
  /** Adds events in one atomic commit. Throws `TABLE_CONFLICT` where another writer has moved one of the places. */
  append(events: readonly PartitionedEvent[], changes: readonly PlaceChange<P>[]): Promise<void>;
  /** Throws `TABLE_INVALID` where another engine has written one, as `places` does. */
  files(): Promise<readonly TableFile[]>;
}

/** Opens the table `events/<topic>`, creating it or adding columns the source gained. */
export async function openPartitionedEvents<P>(
  store: OfflineStore,
  engine: QueryEngine,
  source: SourceDefinition,
  topic: string,
): Promise<PartitionedEvents<P>> {
  const stored = source.columns.map(({ name, type, description }): Column => ({
    name,
    type,
    nullable: true,
    ...(description === undefined ? {} : { description }),
  }));
  const table = await store.table(`events/${topic}`, {
    columns: [...stored, ...META_COLUMNS],
    partitionBy: { column: "_month", of: "_known_time" },
  });
  return new DeltaPartitionedEvents<P>(table, engine, stored, topic);
}

class DeltaPartitionedEvents<P> implements PartitionedEvents<P> {
  readonly #table: OfflineTable;
  readonly #engine: QueryEngine;
  readonly #stored: readonly Column[];
  readonly #columns: readonly Column[];
  readonly #topic: string;

  constructor(table: OfflineTable, engine: QueryEngine, stored: readonly Column[], topic: string) {
    this.#table = table;
    this.#engine = engine;
    this.#stored = stored;
    this.#columns = [...stored, ...META_COLUMNS];
    this.#topic = topic;
  }

  async files(): Promise<readonly TableFile[]> {
    return ownFiles(this.#table);
  }

  async places(): Promise<Map<number, ArchivePlace<P>>> {
    return placesOf(await this.files());
  }

  async append(events: readonly PartitionedEvent[], changes: readonly PlaceChange<P>[]): Promise<void> {
    const width = this.#stored.length;
    const rows = events.map(({ row, eventTime, knownTime, offset, id, partition }) => [
      ...row.slice(0, width),
      Number.isNaN(eventTime) ? null : eventTime,
      knownTime,
      offset,
      id,
      partition,
    ]);
    const batch = batchOfRows(
      this.#columns.map(({ type }) => type),
      rows,
    );
    const loaded = `live_${randomUUID()}`;
    const places = new Map(changes.map(({ partition, offset, memory }) => [partition, { offset, memory }]));
    try {
      await this.#engine.fill(loaded, this.#columns, [batch]);
      const files = await this.#write(`SELECT * FROM ${sqlName(loaded)}`, places);
      const txn = changes.map(({ partition, offset, after }) => ({
        applicationId: `${this.#topic}/${partition}`,
        version: offset - 1,
        after: after === null ? null : after.offset - 1,
      }));
      try {
        await this.#table.commit({ add: files, txn, operation: "ARCHIVE LIVE" });
      } catch (error) {
        // Another was faster, and its rows may be taken out of the table: they must not be left in a file of none.
        await this.#table.discard(files);
        throw error;
      }
    } finally {
      await this.#engine.run(`DROP TABLE IF EXISTS ${sqlName(loaded)}`);
    }
    // The events are archived whatever becomes of this: the next append tries again.
    await this.#join().catch(() => {});
  }

  async #join(): Promise<void> {
    const { schema } = await this.#table.snapshot();
    const { replaced } = await compactTable(this.#table, this.#engine, kindOfTable(schema)!, FILES_WORTH_JOINING);
    if (replaced.length > 0) await this.#table.vacuum(JOINED_KEPT_MS, ({ tags }) => tags["segment"] === "live");
  }

  async #write(select: string, places: ReadonlyMap<number, ArchivePlace<P>>): Promise<NewFile[]> {
    const { schema } = await this.#table.snapshot();
    return writeParquetFiles(this.#engine, {
      select,
      folder: this.#table.folder,
      prefix: `live-${randomUUID()}`,
      columns: this.#columns,
      partitionBy: schema.partitionBy,
      tagsOf: (file) => ({ ...placesTags(places), ...retractionTag(retractionsOf(file)) }),
    });
  }
}
