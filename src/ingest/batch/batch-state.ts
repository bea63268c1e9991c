/**
 * How far a batch source has been read, what is being read, and how it went before, in a file that is replaced whole:
 * `batch/<source>/state.json` in the data folder.
 *
 * What a run will take in is copied first (`staged`), and named here before the first row of it is pushed: a run that was
 * cut short goes on with the very same rows, under the same names. What is read moves only once all of it is durable.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { OnefoldError } from "../../base/errors.ts";
import type { NotedFailure } from "../noted-failure.ts";
import { replaceFile } from "../../registry/atomic-file.ts";

/** Runs that are remembered. */
const RUNS_KEPT = 200;

export interface BatchRun {
  readonly id: string;
  /** What the schedule asked for it; null where a person did. Microseconds, as all times here. */
  readonly scheduledFor: number | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly status: "running" | "succeeded" | "failed";
  /** Times that it was begun. */
  readonly attempts: number;
  /** Rows that were read; accepted, duplicates and rejected are parts of them. */
  readonly rows: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** Rows of a time before the newest one that earlier runs had brought. */
  readonly lateRows: number;
  /** Files that hold nothing newer than that: partitions that came late. */
  readonly lateFiles: readonly string[];
  /** Files that have changed since they were read, and were left alone, since their rows have no ids; also those of a table's versions that only rewrote rows. */
  readonly changedFiles: readonly string[];
  readonly error: NotedFailure | null;
}

/** A file as it was when it was read. */
export interface ReadFile {
  readonly bytes: number;
  readonly modifiedMs: number;
}

export interface StagedPart {
  /** The file that it was copied from; the source's location where it was queried. */
  readonly from: string;
  /** In the source's folder. */
  readonly name: string;
  /** Missing in what an earlier version staged. */
  readonly bytes?: number;
}

export interface StagedRun {
  readonly run: string;
  /** When it was begun to be read; absent in copies of an earlier version. */
  readonly readAt?: number;
  readonly parts: readonly StagedPart[];
  readonly changedFiles: readonly string[];
  /** What is read once the run has succeeded. */
  readonly files: Readonly<Record<string, ReadFile>>;
  readonly watermark: string | null;
  readonly tableVersion: number | null;
  readonly tableId: string | null;
}

/** Of a source's log: every row that is known at or before `upTo`, or ever will be, has an offset before `position`. */
export interface LogMark {
  readonly upTo: number;
  readonly position: number;
}

export interface BatchState {
  readonly format: 1;
  /** Largest value of the watermark's column read, as text; null before the first. */
  readonly watermark: string | null;
  /** By their paths behind the fixed part of the source's location. */
  readonly files: Readonly<Record<string, ReadFile>>;
  /** Of a Delta table: the newest version read, and which table it was. */
  readonly tableVersion: number | null;
  readonly tableId: string | null;
  /** Of all rows read. */
  readonly newestEventTime: number | null;
  readonly lastScheduledFor: number | null;
  readonly staged: StagedRun | null;
  /** Up to when runs that succeeded have read the source; null before the first. */
  readonly complete: LogMark | null;
  /** Runs that failed since one succeeded. */
  readonly failures: number;
  /** Null while nobody runs the schedule. */
  readonly nextDueAt: number | null;
  /** Oldest first. */
  readonly runs: readonly BatchRun[];
}

export const NEVER_READ: BatchState = {
  format: 1,
  watermark: null,
  files: {},
  tableVersion: null,
  tableId: null,
  newestEventTime: null,
  lastScheduledFor: null,
  staged: null,
  complete: null,
  failures: 0,
  nextDueAt: null,
  runs: [],
};

export function batchFolder(dataDir: string, source: string): string {
  return join(dataDir, "batch", source);
}

/** That of a source never read where there is none. Throws `STORAGE_FAILED` for a file that is no state. */
export async function readBatchState(dataDir: string, source: string): Promise<BatchState> {
  const file = join(batchFolder(dataDir, source), "state.json");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return NEVER_READ;
    throw error;
  }
  try {
    const state = JSON.parse(text) as BatchState;
    if (state.format === 1) return { ...NEVER_READ, ...state };
  } catch {
    // Said below.
  }
  throw new OnefoldError("STORAGE_FAILED", "what is known of a batch source cannot be read", {
    where: file,
    hint: "restore the file from a copy; without it everything would be read again",
  });
}

/** Durable once it resolves. */
export async function writeBatchState(dataDir: string, source: string, state: BatchState): Promise<void> {
  const folder = batchFolder(dataDir, source);
  await mkdir(folder, { recursive: true });
  await replaceFile(
    join(folder, "state.json"),
    `${JSON.stringify({ ...state, runs: state.runs.slice(-RUNS_KEPT) })}\n`,
  );
}
