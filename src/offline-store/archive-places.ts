/**
 * Where the archive of each partition ends: kept in the tag `places` of the files, so that it is committed with them.
 */
import type { TableFile } from "./offline-store.ts";

/** Where a partition's archive ends. */
export interface ArchivePlace<P> {
  /** Offset of the next record. */
  readonly offset: number;
  /** What the writer must know to go on there; JSON data. */
  readonly memory: P;
}

/** The furthest place of each partition among the files. */
export function placesOf<P>(files: readonly TableFile[]): Map<number, ArchivePlace<P>> {
  const furthest = new Map<number, ArchivePlace<P>>();
  for (const { tags } of files) {
    for (const [partition, place] of JSON.parse(tags["places"] ?? "[]") as [number, ArchivePlace<P>][]) {
      const known = furthest.get(partition);
      if (known === undefined || place.offset > known.offset) furthest.set(partition, place);
    }
  }
  return furthest;
}

/** Tags of a file with events up to these places. */
export function placesTags(places: ReadonlyMap<number, ArchivePlace<unknown>>): Readonly<Record<string, string>> {
  return { segment: "live", places: JSON.stringify([...places]) };
}
