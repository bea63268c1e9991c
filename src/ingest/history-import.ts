/**
 * Importing history: files of past events, put in front of the live log in one commit.
 *
 * Until that commit nothing of an import is there, and afterwards all of it: a crash in between leaves at
 * most a Parquet file that no table version names. Rejected rows are written to the dead letters before, under
 * ids made from their file, place and content, so that a repeated import adds none twice.
 *
 * A row whose event id is in the archive or the log is a duplicate, however long ago that was. Pushes go on while the
 * files are read and written; they wait from the last look at the log to the commit, so that an event that comes
 * both ways at once gets in once.
 *
 * Where the rows belong (their order is known time, file, row):
 * - behind all that was there, and no live event yet: appended to the present epoch;
 * - among or before it: the whole history is rewritten in order, which opens the next epoch;
 * - behind the first live event's known time: refused, for the live log cannot be put in order anew.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import type { SourceDefinition } from "../define/definition.ts";
import type { ArchiveFiles, HistoryArchive, HistoryWrite } from "../offline-store/delta-event-archive.ts";
import { sqlName, type FillBatch, type QueryEngine } from "../offline-store/engine.ts";
import { eventRelation } from "../offline-store/event-relation.ts";
import { batchOfRows } from "../offline-store/row-batch.ts";
import type { NewDeadLetter } from "./dead-letters.ts";
import type { DoorView } from "./door.ts";
import type { EventLog } from "./event-log.ts";
import type { UnreadNames } from "./import-names.ts";
import { judgeSuspects } from "./import-judge.ts";
import { createStaging, expandPaths, stageFile, type StagedFile } from "./import-staging.ts";

export interface ImportProgress {
  readonly phase: "reading" | "checking" | "writing";
  /** Files read, rows checked, or the share written in thousandths. */
  readonly done: number;
  readonly total: number;
}

export interface HistoryImport {
  readonly source: SourceDefinition;
  /** Views on the source: their key columns must be there in every row. */
  readonly views: readonly DoorView[];
  /** Parquet, CSV or NDJSON (one object a line); paths or globs. */
  readonly files: readonly string[];
  /** File column that says when a row became known; else its event time plus the source's `availableAfter`. */
  readonly knownTimeColumn?: string;
  /** File column of a source column, where the names differ. */
  readonly columnMap?: Readonly<Record<string, string>>;
  /** Columns of the files that are passed over though they are called nearly as one that is not there. */
  readonly passOver?: readonly string[];
  readonly archive: HistoryArchive;
  /** The source's live log, or null where there is none yet. */
  readonly log: EventLog | null;
  /** Does the reading and sorting; may be another than the archive's own. */
  readonly engine: QueryEngine;
  readonly clock: Clock;
  readonly deadLetters: { add(letters: readonly NewDeadLetter[]): Promise<unknown> };
  /** Resolves once no push is under way and none will begin before the import is over. */
  readonly holdPushes?: () => Promise<void>;
  readonly onProgress?: (progress: ImportProgress) => void;
}

export interface ImportResult extends UnreadNames {
  readonly rows: number;
  readonly accepted: number;
  /** Rows whose id came earlier in the import, in the archive or in the log. */
  readonly duplicates: number;
  readonly rejected: number;
  readonly epochOpened: boolean;
  readonly epoch: number;
  /** The archive before and after: what folding has to catch up with. */
  readonly before: ArchiveFiles;
  readonly after: ArchiveFiles;
}

/**
 * Imports files as one unit. Throws `FILE_UNREADABLE`, `FILE_COLUMN_MISSING`, `COLUMN_UNKNOWN`, `HISTORY_AFTER_LIVE`, and
 * `TABLE_CONFLICT` where another import came in between; then nothing was imported.
 */
export async function importHistory(request: HistoryImport): Promise<ImportResult> {
  const { engine, source, archive, clock, onProgress } = request;
  const staging = new Staging(engine);
  try {
    const now = clock.now();
    const files = await stageAll(request, staging, now);
    const rejected = await judgeSuspects({
      engine,
      source,
      views: request.views,
      files,
      hasKnownTime: request.knownTimeColumn !== undefined,
      now,
      readTable: staging.readTable,
      rescuedTable: staging.rescuedTable,
      deadLetters: request.deadLetters,
      onProgress: (done, total) => onProgress?.({ phase: "checking", done, total }),
    });
    const before = await archive.files();
    const ids = new TakenIds(request, staging, before);
    await ids.dropDuplicates();
    for (;;) {
      const result = await writeAccepted(request, { staging, files, rejected, before, ids });
      if (result !== null) return result;
    }
  } finally {
    await staging.drop();
  }
}

interface Judged {
  readonly staging: Staging;
  readonly files: readonly StagedFile[];
  readonly rejected: number;
  readonly before: ArchiveFiles;
  readonly ids: TakenIds;
}

/** Writes and commits what is accepted; null where ids came live meanwhile, which are accepted no more. */
async function writeAccepted(request: HistoryImport, judged: Judged): Promise<ImportResult | null> {
  const { engine, source, archive } = request;
  const { staging, files, rejected, before, ids } = judged;
  const [summary] = await engine.rows(
    `SELECT count(*) AS rows, epoch_us(min(_known_time)) AS first, epoch_us(max(_known_time)) AS last FROM ${staging.accepted}`,
  );
  const [total] = await engine.rows(`SELECT count(*) AS rows FROM ${staging.read}`);
  const accepted = summary!["rows"] as number;
  const unread = {
    ignoredColumns: [...new Set(files.flatMap((file) => file.ignoredColumns))],
    absentColumns: [...new Set(files.flatMap((file) => file.absentColumns))],
  };
  const counts = { rows: total!["rows"] as number, accepted, duplicates: ids.dropped, rejected, ...unread };
  if (accepted === 0) return { ...counts, epochOpened: false, epoch: before.epoch, before, after: before };

  const span = {
    engine,
    firstKnownTime: summary!["first"] as number,
    lastKnownTime: summary!["last"] as number,
    beforeCommit: async () => {
      await request.holdPushes?.();
      if (await ids.dropLive()) throw new CameMeanwhile();
    },
  };
  const firstLive = await firstLiveKnownTime(request, before);
  refuseAfterLive(span.lastKnownTime, firstLive);
  const appends = firstLive === null && span.firstKnownTime >= before.lastHistoryKnownTime;
  const columns = source.columns.map(({ name }) => sqlName(name)).join(", ");
  try {
    const after = await whileReporting(request, () =>
      appends
        ? archive.appendHistory(before, {
            ...span,
            select: orderedSelect(columns, `SELECT *, 1 AS _import FROM ${staging.accepted}`, before.historyEnd),
          })
        : archive.replaceHistory(before, mergedWrite(source, columns, staging, before, span)),
    );
    return { ...counts, epochOpened: !appends, epoch: after.epoch, before, after };
  } catch (error) {
    if (error instanceof CameMeanwhile) return null;
    throw error;
  }
}

/** Thrown within this file: events of the import were pushed while it was written. */
class CameMeanwhile extends Error {}

/** The import's tables: what was read, what the door let in of the doubtful, and both as one relation. */
class Staging {
  readonly #engine: QueryEngine;
  readonly #suffix = randomUUID();
  readonly readTable: string = `import_read_${this.#suffix}`;
  readonly rescuedTable: string = `import_rescued_${this.#suffix}`;
  readonly droppedTable: string = `import_dropped_${this.#suffix}`;
  readonly liveIdsTable: string = `import_live_ids_${this.#suffix}`;

  constructor(engine: QueryEngine) {
    this.#engine = engine;
  }

  get read(): string {
    return sqlName(this.readTable);
  }

  /** All rows that passed, duplicates still among them. */
  get passed(): string {
    return `(SELECT * EXCLUDE (_raw) FROM ${this.read} WHERE _raw IS NULL UNION ALL BY NAME SELECT * FROM ${sqlName(this.rescuedTable)})`;
  }

  /** What is to be imported. */
  get accepted(): string {
    return `(SELECT * FROM ${this.passed} ANTI JOIN ${sqlName(this.droppedTable)} USING (_file, _row))`;
  }

  async drop(): Promise<void> {
    for (const table of [this.readTable, this.rescuedTable, this.droppedTable, this.liveIdsTable]) {
      await this.#engine.run(`DROP TABLE IF EXISTS ${sqlName(table)}`);
    }
  }
}

async function stageAll(request: HistoryImport, staging: Staging, now: Micros): Promise<StagedFile[]> {
  const { engine, source, views, onProgress } = request;
  const paths = await expandPaths(engine, request.files);
  await createStaging(engine, staging.readTable, source);
  const stagingRequest = {
    engine,
    source,
    views,
    columnMap: request.columnMap ?? {},
    passOver: request.passOver ?? [],
    knownTimeColumn: request.knownTimeColumn ?? null,
    now,
  };
  const files: StagedFile[] = [];
  for (const [index, path] of paths.entries()) {
    onProgress?.({ phase: "reading", done: index, total: paths.length });
    files.push(await stageFile(stagingRequest, staging.readTable, path, index));
  }
  onProgress?.({ phase: "reading", done: paths.length, total: paths.length });
  return files;
}

/** The event ids that are in already, and the rows of the import that are dropped for them. */
class TakenIds {
  readonly #request: HistoryImport;
  readonly #staging: Staging;
  readonly #archived: ArchiveFiles;
  /** Offset behind the last live event looked at. */
  #liveEnd: number;
  #dropped = 0;

  constructor(request: HistoryImport, staging: Staging, archived: ArchiveFiles) {
    this.#request = request;
    this.#staging = staging;
    this.#archived = archived;
    this.#liveEnd = archived.liveEnd;
  }

  /** Rows dropped. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Drops rows whose id is in the archive or the log, or earlier in the import. Without an id column there are none. */
  async dropDuplicates(): Promise<void> {
    const { engine, source } = this.#request;
    const { accepted, droppedTable } = this.#staging;
    const dropped = sqlName(droppedTable);
    await engine.run(`CREATE TABLE ${dropped} (_file INTEGER, _row BIGINT)`);
    if (source.id === undefined) return;
    const { history, live } = this.#archived;
    await this.#drop(`SELECT _id FROM ${eventRelation([...history, ...live], [])}`);
    await this.dropLive();
    await engine.run(`INSERT INTO ${dropped}
      SELECT _file, _row FROM (
        SELECT _file, _row, row_number() OVER (PARTITION BY _id ORDER BY _known_time, _file, _row) AS rank
        FROM ${accepted}
        WHERE _id IN (SELECT _id FROM ${accepted} WHERE _id IS NOT NULL GROUP BY _id HAVING count(*) > 1)
      ) WHERE rank > 1`);
    await this.#count();
  }

  /** Drops rows whose id came live since the last look at the log; whether there were any. */
  async dropLive(): Promise<boolean> {
    const { engine, source, log } = this.#request;
    if (source.id === undefined || log === null) return false;
    const table = this.#staging.liveIdsTable;
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(table)}`);
    await engine.fill(table, [{ name: "_id", type: { name: "string" } }], this.#liveIds(log));
    const before = this.#dropped;
    await this.#drop(`SELECT _id FROM ${sqlName(table)}`);
    return this.#dropped > before;
  }

  async *#liveIds(log: EventLog): AsyncIterableIterator<FillBatch> {
    for await (const events of log.read(this.#liveEnd)) {
      const ids = events.flatMap(({ id }) => (id === null ? [] : [[id]]));
      yield batchOfRows([{ name: "string" }], ids);
      this.#liveEnd = Math.max(this.#liveEnd, (events.at(-1)?.offset ?? -1) + 1);
    }
  }

  async #drop(ids: string): Promise<void> {
    const { accepted, droppedTable } = this.#staging;
    await this.#request.engine.run(`INSERT INTO ${sqlName(droppedTable)}
      SELECT _file, _row FROM ${accepted} WHERE _id IN (SELECT _id FROM (${ids}) WHERE _id IS NOT NULL)`);
    await this.#count();
  }

  async #count(): Promise<void> {
    const [count] = await this.#request.engine.rows(
      `SELECT count(*) AS rows FROM ${sqlName(this.#staging.droppedTable)}`,
    );
    this.#dropped = count!["rows"] as number;
  }
}

async function firstLiveKnownTime({ log }: HistoryImport, archived: ArchiveFiles): Promise<number | null> {
  const first = archived.live[0]?.tags["firstKnownTime"];
  if (first !== undefined) return Number(first);
  if (log === null || log.nextOffset === 0) return null;
  for await (const events of log.read(0, 1)) {
    if (events[0] !== undefined) return events[0].knownTime;
  }
  return null;
}

function refuseAfterLive(lastKnownTime: number, firstLive: number | null): void {
  if (firstLive === null || lastKnownTime <= firstLive) return;
  const [last, live] = [formatMicros(lastKnownTime as Micros), formatMicros(firstLive as Micros)];
  throw new OnefoldError(
    "HISTORY_AFTER_LIVE",
    `history known until ${last} reaches behind the first live event, known at ${live}`,
    {
      hint: "import only what was known before it; push later events instead",
    },
  );
}

/** The archive's columns in the order of fold, with offsets from `firstOffset` on. */
function orderedSelect(columns: string, rows: string, firstOffset: number): string {
  return `SELECT ${columns}, _event_time, _known_time, (${firstOffset} + row_number() OVER () - 1)::BIGINT AS _offset, _id
    FROM (SELECT * FROM (${rows}) ORDER BY _known_time, _import, _file, _row)`;
}

/** Rows that were there stay before imported ones of the same known time, in their own order. */
function mergedWrite(
  source: SourceDefinition,
  columns: string,
  staging: Staging,
  before: ArchiveFiles,
  span: Omit<HistoryWrite, "select">,
): HistoryWrite {
  const present = `SELECT ${columns}, _event_time, _known_time, _id, 0 AS _file, _offset AS _row, 0 AS _import FROM ${eventRelation(before.history, source.columns)}`;
  const rows = `${present} UNION ALL BY NAME SELECT *, 1 AS _import FROM ${staging.accepted}`;
  const known = before.history.map((file) => Number(file.tags["firstKnownTime"]));
  return {
    ...span,
    select: orderedSelect(columns, rows, before.historyEnd - before.history.reduce((sum, file) => sum + file.rows, 0)),
    firstKnownTime: Math.min(span.firstKnownTime, ...known),
    lastKnownTime: Math.max(span.lastKnownTime, before.lastHistoryKnownTime),
  };
}

const REPORT_INTERVAL_MS = 200;

/** Reports the engine's progress while it sorts and writes. */
async function whileReporting<T>({ engine, onProgress }: HistoryImport, work: () => Promise<T>): Promise<T> {
  const report = (share: number): void =>
    onProgress?.({ phase: "writing", done: Math.round(share * 1000), total: 1000 });
  const timer = setInterval(() => report(engine.progress() ?? 0), REPORT_INTERVAL_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    report(1);
  }
}
