/**
 * Small files of a table joined into larger ones: the same rows, fewer files to open.
 *
 * The joined file takes the places of the small ones in one commit. Appends never get in its way; where another
 * compaction has joined one of the files first, what is left to join is looked for again. The small files stay on disk for
 * readers that have them in their lists, until vacuum.
 */
import type { QueryEngine } from "./engine.ts";
import type { OfflineTable, TableFile } from "./offline-store.ts";
import type { TableKind } from "./table-kinds.ts";
import { type FileRewrite, type RewriteReport, rewriteFiles } from "./table-rewrite.ts";

/** A file of so many rows is worth opening by itself. */
const SMALL_ROWS_BELOW = 250_000;
/** A joined file has at most so many, or those of two small files. */
const JOINED_ROWS_MAX = 2_000_000;
/** Writers join their own files when there are so many: then a file is written anew some times in its life, not hundreds. */
export const FILES_WORTH_JOINING = 24;

/** Joins neighbouring small files where there are at least `filesMin` of them. Throws `TABLE_CONFLICT`, and what the engine throws. */
export function compactTable(
  table: OfflineTable,
  engine: QueryEngine,
  kind: TableKind,
  filesMin: number,
): Promise<RewriteReport> {
  return rewriteFiles(table, engine, {
    operation: "COMPACT",
    dataChange: false,
    plan: async ({ files }) => planCompaction(files, kind, filesMin),
  });
}

export function planCompaction(files: readonly TableFile[], kind: TableKind, filesMin: number): FileRewrite[] {
  const groups = new Map<string, TableFile[]>();
  for (const file of files) {
    const group = kind.groupOf(file);
    if (group === null) continue;
    const name = JSON.stringify([group, file.partition ?? {}]);
    groups.set(name, [...(groups.get(name) ?? []), file]);
  }
  return [...groups.values()]
    .flatMap((group) => runsOfSmall(group.toSorted(kind.compare), filesMin))
    .map((run) => ({ files: run, select: kind.select(run), tags: kind.tagsOf(run), prefix: kind.prefixOf(run) }));
}

/** Runs of neighbours that are small, each short enough for one file. */
function runsOfSmall(sorted: readonly TableFile[], filesMin: number): TableFile[][] {
  const runs: TableFile[][] = [];
  let run: TableFile[] = [];
  let rows = 0;
  const end = (): void => {
    if (run.length >= Math.max(2, filesMin)) runs.push(run);
    run = [];
    rows = 0;
  };
  for (const file of sorted) {
    if (file.rows >= SMALL_ROWS_BELOW || rows + file.rows > JOINED_ROWS_MAX) end();
    if (file.rows >= SMALL_ROWS_BELOW) continue;
    run.push(file);
    rows += file.rows;
  }
  end();
  return runs;
}
