/**
 * What needs an engine and no data folder.
 */
import { readRowFile, type RowFileRequest } from "../ingest/row-file.ts";
import { openDuckDb } from "../offline-store/open-duckdb.ts";
import { SampleKeeper } from "../training/entity-sample.ts";
import { LocalEvents, type LocalEventsOptions } from "./local-events.ts";

/** What one piece of batch work may hold in memory before it spills, unless said otherwise. */
export const ENGINE_MEMORY_BYTES: number = 768 * 1024 * 1024;

/** Rows of a file as `push` takes them, `rowsPerBatch` at a time. Throws `FILE_UNREADABLE`. */
export function readRows(
  path: string,
  columns: RowFileRequest["columns"],
  rowsPerBatch: number,
): AsyncIterableIterator<readonly Readonly<Record<string, unknown>>[]> {
  return readRowFile({ path, columns, rowsPerBatch, openEngine: () => openDuckDb({}) });
}

/** Previews on files of events alone, with no data folder. The caller closes it. */
export function openLocalEvents(options: LocalEventsOptions): LocalEvents {
  return new LocalEvents(options, () => openDuckDb({ memoryBytes: ENGINE_MEMORY_BYTES }));
}

/** What makes the second preview quicker than the first: pass it to each. The caller closes it. */
export function openSampleKeeper(): Promise<SampleKeeper> {
  return SampleKeeper.open(() => openDuckDb({ memoryBytes: ENGINE_MEMORY_BYTES }));
}
