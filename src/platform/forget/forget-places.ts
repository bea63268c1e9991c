/** What would be removed of an entity, and where it lies: told before anything is. */
import type { QueryEngine } from "../../offline-store/engine.ts";
import type { TableFile } from "../../offline-store/offline-store.ts";
import { fileRelation, filesWith } from "../../offline-store/table-rewrite.ts";
import { diskTableStorage } from "../../offline-store/table-storage.ts";
import type { EntityKey } from "../../schema/entity-key.ts";

export interface ForgetPlace {
  /** A part of the data folder, or of the tables of workers; a topic; the online store. */
  readonly where: string;
  readonly what: string;
  /** Null where nobody has counted. */
  readonly count: number | null;
  /** Of files that are written anew or removed whole, all of theirs; null where they are not known. */
  readonly bytes: number | null;
}

export interface ForgetPreview {
  readonly entity: string;
  readonly key: EntityKey;
  /** Sources that were looked through. */
  readonly sources: readonly string[];
  /** Where there is something of it. */
  readonly places: readonly ForgetPlace[];
}

/** Without those where nothing is. */
export function somewhere(places: readonly ForgetPlace[]): readonly ForgetPlace[] {
  return places.filter(({ count }) => count !== 0);
}

/** Rows of a table of which the SQL condition is true, and the bytes of the files that have some. */
export async function rowsWhere(
  engine: QueryEngine,
  files: readonly TableFile[],
  condition: string,
): Promise<Pick<ForgetPlace, "count" | "bytes">> {
  let count = 0;
  let bytes = 0;
  for (const file of await filesWith(engine, files, condition)) {
    const [row] = await engine.rows(`SELECT count(*)::DOUBLE AS n FROM ${fileRelation(file)} WHERE ${condition}`);
    count += Number(row?.["n"] ?? 0);
    bytes += file.bytes;
  }
  return { count, bytes };
}

/** All files under a folder, which may not be there. */
export async function filesIn(folder: string): Promise<{ readonly count: number; readonly bytes: number }> {
  const files = await diskTableStorage.files(folder);
  return { count: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}
