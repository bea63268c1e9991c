/**
 * What the tables of the platform are, as far as their files may be joined: events of one log, events in partitions,
 * feature rows. A table is told by its columns.
 *
 * Files that are joined are of one month and mean one thing (a live segment, the history of an epoch); in an event archive
 * they are neighbours, so that the offsets of a file still reach from its first to the next file's first.
 */
import { eventRelation } from "./event-relation.ts";
import type { TableFile, TableSchema } from "./offline-store.ts";
import { placesOf, placesTags } from "./archive-places.ts";
import { sqlName, sqlType } from "./engine.ts";
import { parquetSql } from "./file-sql.ts";
import { isOwnFile } from "./foreign-files.ts";
import { joinedRetractionTag } from "./retractions.ts";

export interface TableKind {
  readonly name: "events" | "partitioned events" | "feature rows";
  /** Files of one group may be joined; null for one that is left alone. */
  groupOf(file: TableFile): string | null;
  /** The order of a group's files; only neighbours are joined. */
  readonly compare: (a: TableFile, b: TableFile) => number;
  /** The rows of files in the order in which they stand in a joined file. */
  select(files: readonly TableFile[]): string;
  /** Of the file that takes the place of these, which are in order. */
  tagsOf(files: readonly TableFile[]): Readonly<Record<string, string>>;
  prefixOf(files: readonly TableFile[]): string;
  /** Of a file that left the table and was not replaced: whether it means something still. */
  isKept(file: TableFile): boolean;
}

/** Null for a table that is none of the platform's. */
export function kindOfTable(schema: TableSchema): TableKind | null {
  const has = (name: string): boolean => schema.columns.some((column) => column.name === name);
  if (has("_offset") && has("_known_time")) return has("_partition") ? partitionedEvents(schema) : events(schema);
  return has("_minute") ? featureRows(schema) : null;
}

/** By the offsets of their events; history that an earlier version wrote by its known times. */
export function byPlace(a: TableFile, b: TableFile): number {
  const isOffset = a.tags["firstOffset"] !== undefined && b.tags["firstOffset"] !== undefined;
  const tag = isOffset ? "firstOffset" : "firstKnownTime";
  return Number(a.tags[tag]) - Number(b.tags[tag]) || (a.path < b.path ? -1 : 1);
}

function events(schema: TableSchema): TableKind {
  const stored = schema.columns.filter(({ name }) => !name.startsWith("_"));
  return {
    name: "events",
    groupOf(file) {
      if (!isOwnFile(file)) return null;
      return file.tags["segment"] === "live" ? "live" : `history ${file.tags["epoch"]}`;
    },
    compare: byPlace,
    select: (files) => `SELECT * FROM ${eventRelation(files, stored)} ORDER BY _offset`,
    tagsOf(files) {
      const lastKnownTime = String(Math.max(...files.map((file) => Number(file.tags["lastKnownTime"]))));
      const { endOffset: _firstEnd, ...firstTags } = files[0]!.tags;
      const joined = { ...firstTags, lastKnownTime, ...joinedRetractionTag(files) };
      if (files[0]!.tags["segment"] === "live") {
        // Not there where an earlier version wrote the last of them.
        const { endOffset } = files.at(-1)!.tags;
        return endOffset === undefined ? joined : { ...joined, endOffset };
      }
      // What was taken out of a file leaves its offset unused: it counts all the same.
      return { ...joined, rows: String(files.reduce((sum, { tags, rows }) => sum + Number(tags["rows"] ?? rows), 0)) };
    },
    prefixOf: ([first]) =>
      first!.tags["segment"] === "live"
        ? `live-${first!.tags["firstOffset"]!.padStart(16, "0")}`
        : `history-${first!.tags["epoch"]}`,
    // An earlier epoch consists of them: tokens go on meaning what they meant.
    isKept: ({ tags }) => tags["segment"] === "history",
  };
}

function partitionedEvents(schema: TableSchema): TableKind {
  const stored = schema.columns.filter(({ name }) => !name.startsWith("_") || name === "_partition");
  return {
    name: "partitioned events",
    groupOf: (file) => (isOwnFile(file) ? "live" : null),
    compare: (a, b) => (a.path < b.path ? -1 : 1),
    select: (files) => `SELECT * FROM ${eventRelation(files, stored)} ORDER BY _partition, _offset`,
    tagsOf: (files) => ({ ...placesTags(placesOf(files)), ...joinedRetractionTag(files) }),
    prefixOf: () => "live",
    isKept: () => false,
  };
}

function featureRows(schema: TableSchema): TableKind {
  return {
    name: "feature rows",
    groupOf: () => "rows",
    compare: (a, b) => (a.path < b.path ? -1 : 1),
    select(files) {
      const typed = schema.columns.map(({ name, type }) => `NULL::${sqlType(type)} AS ${sqlName(name)}`).join(", ");
      const paths = files.map(({ path }) => path);
      return `SELECT * FROM (SELECT ${typed} WHERE false UNION ALL BY NAME
        SELECT * FROM ${parquetSql(paths, "union_by_name = true")}) ORDER BY _minute`;
    },
    tagsOf: () => ({}),
    prefixOf: () => "rows",
    isKept: () => false,
  };
}
