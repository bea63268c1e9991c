/**
 * Reads one batch source: a run copies what is new, pushes it through the source's door into its log, and only then moves
 * what counts as read. The rows become known as they are pushed; a run that is cut short goes on with the copy, whose rows
 * carry names (run, part, row) for ids where they have none of their own, so that none gets in twice.
 */
import { randomUUID } from "node:crypto";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { BatchSourceDefinition } from "../../define/definition.ts";
import type { QueryEngine } from "../../offline-store/engine.ts";
import { checkValue } from "../../schema/check-value.ts";
import { formatType, namesOf } from "../../schema/value.ts";
import { notedFailure } from "../noted-failure.ts";
import type { PushResult } from "../pipeline.ts";
import { jsonOfText, readRowFile } from "../row-file.ts";
import {
  batchFolder,
  type BatchRun,
  type BatchState,
  type LogMark,
  NEVER_READ,
  readBatchState,
  type StagedRun,
  writeBatchState,
} from "./batch-state.ts";
import { markFrom } from "./reached-mark.ts";
import { cancelled, stageRun, type TableReader } from "./stage.ts";
import { copyForm } from "./stage-file.ts";
import type { TurnQueue } from "../../base/turn-queue.ts";

const ROWS_PER_PUSH = 20_000;

export interface BatchReaderOptions {
  readonly dataDir: string;
  readonly source: BatchSourceDefinition;
  readonly clock: Clock;
  /** Shared by all readers of the source: one of an earlier definition may be at work yet. */
  readonly turns: TurnQueue;
  /** Ends what is under way, and what is asked for later. */
  readonly closing: AbortSignal;
  openEngine(): Promise<QueryEngine>;
  readonly readTable: TableReader;
  environment(name: string): string | undefined;
  /** How far the source's log is closed now; null where that is not known. */
  closedLog(): LogMark | null;
  /** Resolves once the rows are durable and folded. `nameOf` names each row, by its index, whatever it holds. */
  push(rows: readonly unknown[], nameOf: (index: number) => string): Promise<PushResult>;
}

export interface RunOptions {
  readonly scheduledFor?: number;
  /** Reads on behind this value of the watermark, and not behind the largest that was read. */
  readonly from?: string;
  readonly onProgress?: (rowsDone: number) => void;
  readonly signal?: AbortSignal;
}

type Counts = Pick<BatchRun, "rows" | "accepted" | "duplicates" | "rejected" | "lateRows" | "lateFiles">;
const NO_ROWS: Counts = { rows: 0, accepted: 0, duplicates: 0, rejected: 0, lateRows: 0, lateFiles: [] };

export class BatchReader {
  readonly #options: BatchReaderOptions;
  #last: BatchState | null = null;
  /** Failures that could not be written. */
  #unwritten = 0;

  constructor(options: BatchReaderOptions) {
    this.#options = options;
  }

  /** As the last run left it: waits for one that is under way. */
  state(): Promise<BatchState> {
    return this.#options.turns.take(() => this.#read());
  }

  /** As it was last read or written; null before that. */
  get lastState(): BatchState | null {
    return this.#last;
  }

  /** Says when the source is read next, for who looks at the folder. */
  dueAt(nextDueAt: number | null): Promise<void> {
    return this.#options.turns.take(async () => {
      const state = await this.#read();
      if (state.nextDueAt !== nextDueAt) await this.#write({ ...state, nextDueAt });
    });
  }

  /**
   * One run, or the rest of the one that was cut short. Throws `CANCELLED`, `BATCH_SOURCE_FAILED`, `FILE_UNREADABLE`,
   * `FILE_COLUMN_MISSING`, `TABLE_INVALID`, `BACKPRESSURE`, `STORAGE_FAILED`; the run is remembered as failed then. `REQUEST_INVALID`
   * for a `from` that is no value of the watermark, or while a run is to be gone on with.
   */
  run(options: RunOptions = {}): Promise<BatchRun> {
    const { turns, closing } = this.#options;
    const signal = options.signal === undefined ? closing : AbortSignal.any([options.signal, closing]);
    return turns.take(() => this.#run({ ...options, signal }));
  }

  async #run(options: RunOptions & { readonly signal: AbortSignal }): Promise<BatchRun> {
    const { clock, source } = this.#options;
    if (options.signal.aborted) throw cancelled(source);
    const before = await this.#read();
    const resumed = before.staged !== null && (await this.#isWhole(before.staged)) ? before.staged : null;
    const from = options.from === undefined ? null : markFrom(source, options.from);
    if (from !== null && resumed !== null) throw refuseFrom(source);
    const former = before.runs.find(({ id }) => id === resumed?.run);
    const begun: BatchRun = {
      ...NO_ROWS,
      id: resumed?.run ?? randomUUID(),
      scheduledFor: options.scheduledFor ?? former?.scheduledFor ?? null,
      startedAt: former?.startedAt ?? clock.now(),
      endedAt: null,
      status: "running",
      attempts: (former?.attempts ?? 0) + 1,
      changedFiles: resumed?.changedFiles ?? [],
      error: null,
    };
    const lastScheduledFor = options.scheduledFor ?? before.lastScheduledFor;
    const ended = before.runs.map((run) => (run.status === "running" ? killed(run, clock.now()) : run));
    let state: BatchState = {
      ...before,
      staged: resumed,
      lastScheduledFor,
      runs: withRun(ended, begun),
    };
    try {
      await this.#write(state);
      // Where nothing is staged, how far the source was read stays as it was.
      const behind = { ...state, watermark: from ?? state.watermark };
      const staged = resumed ?? (await this.#stage(behind, begun.id, options.signal));
      state = { ...state, staged };
      await this.#write(state);
      const { counts, newestEventTime } = await this.#takeIn(staged, state.newestEventTime, options);
      const { changedFiles, files, watermark, tableVersion, tableId } = staged;
      const done: BatchRun = { ...begun, ...counts, changedFiles, status: "succeeded", endedAt: clock.now() };
      const complete = laterMark(state.complete, staged.readAt, this.#options.closedLog());
      state = {
        ...state,
        files,
        watermark,
        tableVersion,
        tableId,
        newestEventTime,
        staged: null,
        complete,
        failures: 0,
      };
      await this.#write({ ...state, runs: withRun(state.runs, done) });
      await this.#clean();
      return done;
    } catch (thrown) {
      const endedAt = clock.now();
      const failed: BatchRun = { ...begun, status: "failed", endedAt, error: notedFailure(thrown, endedAt) };
      // Where that cannot be written, either, what failed first is what to tell of.
      await this.#write({ ...state, failures: state.failures + 1, runs: withRun(state.runs, failed) }).catch(
        () => this.#unwritten++,
      );
      throw thrown;
    }
  }

  async #stage(state: BatchState, run: string, signal: AbortSignal): Promise<StagedRun> {
    const { clock, dataDir, source, openEngine, environment, readTable } = this.#options;
    await this.#clean();
    const readAt = clock.now();
    const engine = await openEngine();
    const interrupt = (): void => engine.interrupt();
    signal.addEventListener("abort", interrupt);
    try {
      const staged = await stageRun({ dataDir, source, state, run, engine, environment, readTable, signal });
      return { ...staged, readAt };
    } finally {
      signal.removeEventListener("abort", interrupt);
      await engine.close();
    }
  }

  async #takeIn(
    staged: StagedRun,
    newestBefore: number | null,
    { onProgress, signal }: RunOptions,
  ): Promise<{ readonly counts: Counts; readonly newestEventTime: number | null }> {
    const { source, push } = this.#options;
    const timeNames = namesOf(source.columns.find(({ name }) => name === source.eventTime)!);
    const counts = { ...NO_ROWS, lateFiles: [] as string[] };
    let newest = newestBefore ?? Number.NEGATIVE_INFINITY;
    for (const [place, part] of staged.parts.entries()) {
      let newestOfPart = Number.NEGATIVE_INFINITY;
      let first = 0;
      for await (const rows of this.#rowsOf(part.name)) {
        if (signal?.aborted === true) throw cancelled(source);
        for (const row of rows) {
          const time = timeOf(row, timeNames);
          if (time === null) continue;
          if (newestBefore !== null && time < newestBefore) counts.lateRows++;
          if (time > newestOfPart) newestOfPart = time;
        }
        const from = first;
        const { accepted, duplicates, rejected } = await push(rows, (i) => `${staged.run}/${place}/${from + i}`);
        first += rows.length;
        counts.rows += rows.length;
        counts.accepted += accepted;
        counts.duplicates += duplicates;
        counts.rejected += rejected;
        onProgress?.(counts.rows);
      }
      if (newestBefore !== null && first > 0 && newestOfPart <= newestBefore) counts.lateFiles.push(part.from);
      newest = Math.max(newest, newestOfPart);
    }
    return { counts, newestEventTime: Number.isFinite(newest) ? newest : null };
  }

  /** A copy in Parquet has only what the source declares; lines of JSON may have more, which is passed over. */
  async *#rowsOf(name: string): AsyncIterableIterator<readonly unknown[]> {
    const { dataDir, source, openEngine } = this.#options;
    const path = join(batchFolder(dataDir, source.name), name);
    const columns = source.columns.flatMap((column) =>
      namesOf(column).map((name) => ({ name, type: formatType(column.type) })),
    );
    const { isText } = copyForm(source);
    for await (const rows of readRowFile({ path, columns, rowsPerBatch: ROWS_PER_PUSH, openEngine })) {
      yield rows.map((row) => {
        // A line of JSON that is no object is the door's to refuse.
        if (typeof row !== "object" || row === null || Array.isArray(row)) return row;
        const picked: Record<string, unknown> = {};
        for (const column of columns) {
          const value = row[column.name];
          if (value !== undefined)
            picked[column.name] = isText && typeof value === "string" ? jsonOfText(value, column.type) : value;
        }
        return picked;
      });
    }
  }

  /** All of its copies are there as they were made. */
  async #isWhole(staged: StagedRun): Promise<boolean> {
    const { dataDir, source } = this.#options;
    for (const { name, bytes } of staged.parts) {
      const found = await stat(join(batchFolder(dataDir, source.name), name)).catch(() => null);
      if (found === null || (bytes !== undefined && found.size !== bytes)) return false;
    }
    return true;
  }

  /** Copies that nothing names any more. */
  async #clean(): Promise<void> {
    const folder = batchFolder(this.#options.dataDir, this.#options.source.name);
    const names = await readdir(folder).catch(() => []);
    for (const name of names) if (name !== "state.json") await rm(join(folder, name), { force: true });
  }

  async #read(): Promise<BatchState> {
    const { dataDir, source } = this.#options;
    try {
      const state = await readBatchState(dataDir, source.name);
      this.#last = { ...state, failures: state.failures + this.#unwritten };
      return this.#last;
    } catch (error) {
      // Nothing can be read or written then; whoever watches the source sees that it fails.
      const last = this.#last ?? NEVER_READ;
      this.#last = { ...last, failures: last.failures + 1 };
      throw error;
    }
  }

  async #write(state: BatchState): Promise<void> {
    this.#last = state;
    await writeBatchState(this.#options.dataDir, this.#options.source.name, state);
    this.#unwritten = 0;
  }
}

/**
 * Rows that the run did not find become known behind it: the log gives no known time at or before one up to which it was closed.
 * What was there when the run began to read is in the log by now, however the clock went meanwhile.
 */
function laterMark(before: LogMark | null, readAt: number | undefined, log: LogMark | null): LogMark | null {
  if (readAt === undefined || log === null) return before;
  const upTo = Math.min(readAt - 1, log.upTo);
  return upTo > (before?.upTo ?? Number.NEGATIVE_INFINITY) ? { upTo, position: log.position } : before;
}

/** A run whose process ended first, and which had copied nothing that could be gone on with. */
function killed(run: BatchRun, at: number): BatchRun {
  const hint = "nothing to do: the run after it read the same anew";
  return {
    ...run,
    status: "failed",
    error: { at, code: "CANCELLED", message: "the process ended before the run did", where: null, hint },
  };
}

function withRun(runs: readonly BatchRun[], run: BatchRun): BatchRun[] {
  return [...runs.filter(({ id }) => id !== run.id), run];
}

const TIME_TYPE = { name: "timestamp" } as const;

/** Under the first of the names that the row has; null for what is no time, which the door will refuse. */
function timeOf(row: unknown, names: readonly string[]): number | null {
  const cells = row as Readonly<Record<string, unknown>> | null;
  const name = names.find((each) => cells?.[each] !== undefined);
  if (name === undefined) return null;
  try {
    return checkValue(cells![name], TIME_TYPE, { allowNonFinite: false, where: "" }) as number | null;
  } catch {
    return null;
  }
}

function refuseFrom({ name }: BatchSourceDefinition): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", `a run of source ${name} was cut short, and has rows of its own to read`, {
    where: name,
    hint: `onefold run ${name} goes on with it; give --from behind that`,
  });
}
