/**
 * Profiles on disk: a Parquet file a month, one row for each day and column, with the sketch that the next values are merged
 * into as JSON text beside what it says. DuckDB and others read the files as they are.
 *
 * A file is replaced whole, and says up to where it has read: what is in the files is always the profile of exactly the
 * events below the largest `end_offset` among them, or, where events come in partitions with offsets of their own, below the
 * largest of each in `partitions`. So a crash loses nothing but time, and no event counts twice.
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { formatMicros, MICROS_PER_DAY, type Micros } from "../../base/micros.ts";
import { type QueryEngine, sqlName, sqlText } from "../../offline-store/engine.ts";
import { parquetSql } from "../../offline-store/file-sql.ts";
import { writeParquetFile } from "../../offline-store/parquet-file.ts";
import { batchOfRows } from "../../offline-store/row-batch.ts";
import type { Column, Value, ValueType } from "../../schema/value.ts";
import { type ColumnSketch, PROFILE_QUANTILES, profileOf } from "./column-profile.ts";
import { quantileName } from "./report.ts";

/** How far the files have read, and in which arrangement of history. */
export interface ProfilePlace {
  readonly epoch: number;
  readonly endOffset: number;
  /** Of events in partitions: the end of each. `endOffset` says nothing then. */
  readonly partitions?: PartitionEnds;
}

export type PartitionEnds = Readonly<Record<string, number>>;

/** By day (whole days since the epoch), then by column. */
export type DaySketches = Map<number, Map<string, ColumnSketch>>;

const NUMBERS = ["mean", "stddev", "min", "max", ...PROFILE_QUANTILES.map(quantileName), "quantile_error"];
const COLUMNS: readonly Column[] = [
  column("day", "timestamp"),
  column("column_name", "string"),
  column("type", "string"),
  ...["row_count", "nulls", "non_finite"].map((name) => column(name, "int64")),
  ...NUMBERS.map((name) => column(name, "float64")),
  column("top", "string"),
  column("top_error", "float64"),
  column("distinct_count", "int64"),
  column("distinct_error", "float64"),
  column("sketch", "string"),
  column("epoch", "int64"),
  column("end_offset", "int64"),
  column("partitions", "string"),
];

function column(name: string, type: Exclude<ValueType["name"], "array">): Column {
  return { name, type: { name: type }, nullable: true };
}

export class ProfileFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Null where there are none, or one cannot be read: then all is to be read again. */
  async place(engine: QueryEngine): Promise<ProfilePlace | null> {
    const months = await this.#months();
    if (months.length === 0) return null;
    const paths = months.map((month) => join(this.#folder, month));
    try {
      const [found] = await engine.rows(
        `SELECT max(epoch)::DOUBLE AS epoch, min(epoch)::DOUBLE AS least, max(end_offset)::DOUBLE AS place,
           string_agg(DISTINCT partitions, chr(10)) AS partitions FROM ${profileRelation(paths)}`,
      );
      const { epoch, least, place } = found as Record<string, number | null>;
      if (epoch === null || epoch !== least || place === null) return null;
      const told = found!["partitions"];
      const partitions = typeof told === "string" ? { partitions: furthest(told) } : {};
      return { epoch: epoch!, endOffset: place!, ...partitions };
    } catch {
      return null;
    }
  }

  /** Sketches of days of one month; those that there is no profile of are not among them. */
  async days(engine: QueryEngine, month: string, wanted: readonly number[]): Promise<DaySketches> {
    const days: DaySketches = new Map();
    for (const { day, name, sketch } of await this.#rows(engine, month, wanted)) {
      const columns = days.get(day) ?? new Map<string, ColumnSketch>();
      days.set(day, columns.set(name, sketch));
    }
    return days;
  }

  /** Of one day, with the types that the columns had; null where there is no profile of it. */
  async day(engine: QueryEngine, day: number): Promise<{ name: string; type: string; sketch: ColumnSketch }[] | null> {
    const found = await this.#rows(engine, monthOf(day), [day]);
    return found.length === 0 ? null : found;
  }

  /** Puts a month's file in the place of the one that is there, whose other days it takes over as they are. */
  async write(
    engine: QueryEngine,
    month: string,
    days: DaySketches,
    types: ReadonlyMap<string, string>,
    { epoch, endOffset, partitions }: ProfilePlace,
  ): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const ends = partitions === undefined ? null : JSON.stringify(partitions);
    const rows = [...days]
      .toSorted(([a], [b]) => a - b)
      .flatMap(([day, columns]) =>
        [...columns].map(([name, sketch]) => {
          return [...rowOf(day, name, types.get(name) ?? "", sketch), epoch, endOffset, ends];
        }),
      );
    const loaded = `profile_${randomUUID()}`;
    const name = `${month}.${randomUUID()}.writing`;
    try {
      await engine.fill(loaded, COLUMNS, [
        batchOfRows(
          COLUMNS.map(({ type }) => type),
          rows,
        ),
      ]);
      const before = await this.#pathOf(month);
      const place = `${epoch}::BIGINT AS epoch, ${endOffset}::BIGINT AS end_offset, ${ends === null ? "NULL" : sqlText(ends)}::VARCHAR AS partitions`;
      const others = `SELECT * REPLACE (${place}) FROM ${profileRelation([before ?? ""])} WHERE day NOT IN (SELECT day FROM ${sqlName(loaded)})`;
      const all = `SELECT * FROM ${sqlName(loaded)}${before === null ? "" : ` UNION ALL BY NAME ${others}`}`;
      const select = `SELECT * FROM (${all}) ORDER BY day, column_name`;
      await writeParquetFile(engine, { select, folder: this.#folder, name, columns: COLUMNS, tags: {} });
      await rename(join(this.#folder, name), join(this.#folder, `${month}.parquet`));
    } finally {
      await engine.run(`DROP TABLE IF EXISTS ${sqlName(loaded)}`);
      await rm(join(this.#folder, name), { force: true });
    }
  }

  async clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #months(): Promise<string[]> {
    const names = await readdir(this.#folder).catch(() => []);
    return names.filter((name) => name.endsWith(".parquet"));
  }

  async #pathOf(month: string): Promise<string | null> {
    return (await this.#months()).includes(`${month}.parquet`) ? join(this.#folder, `${month}.parquet`) : null;
  }

  async #rows(
    engine: QueryEngine,
    month: string,
    days: readonly number[],
  ): Promise<{ day: number; name: string; type: string; sketch: ColumnSketch }[]> {
    const path = await this.#pathOf(month);
    if (path === null || days.length === 0) return [];
    const times = days.map((day) => `make_timestamptz(${day * MICROS_PER_DAY})`).join(", ");
    const rows = await engine.rows(
      `SELECT day, column_name, type, sketch FROM ${parquetSql(path)} WHERE day IN (${times})`,
    );
    return rows.map((row) => ({
      day: Math.round(Number(row["day"]) / MICROS_PER_DAY),
      name: String(row["column_name"]),
      type: String(row["type"]),
      sketch: JSON.parse(String(row["sketch"])) as ColumnSketch,
    }));
  }
}

/** Files of an earlier version know of no partitions. */
function profileRelation(paths: readonly string[]): string {
  const read = `SELECT * FROM ${parquetSql(paths, "union_by_name = true")}`;
  return `(SELECT NULL::VARCHAR AS partitions WHERE false UNION ALL BY NAME ${read})`;
}

/** Of each partition the largest end that a file tells. */
function furthest(told: string): PartitionEnds {
  const ends: Record<string, number> = {};
  for (const one of told.split("\n")) {
    for (const [partition, end] of Object.entries(JSON.parse(one) as PartitionEnds)) {
      ends[partition] = Math.max(end, ends[partition] ?? 0);
    }
  }
  return ends;
}

function rowOf(day: number, name: string, type: string, sketch: ColumnSketch): Value[] {
  const profile = profileOf(sketch);
  return [
    day * MICROS_PER_DAY,
    name,
    type,
    profile.rows,
    profile.nulls,
    profile.nonFinite,
    profile.mean,
    profile.stddev,
    profile.min,
    profile.max,
    ...profile.quantiles,
    profile.quantileError,
    JSON.stringify(profile.top),
    profile.topError,
    profile.distinct,
    profile.distinctError,
    JSON.stringify(sketch),
  ];
}

/** `2026-11` of a day since the epoch. */
export function monthOf(day: number): string {
  return formatMicros((day * MICROS_PER_DAY) as Micros).slice(0, 7);
}
