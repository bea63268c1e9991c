/**
 * What the labels of a training set see, on disk: by view, in parts of whole entities. For sets that do not fit into
 * memory, and for those that are to go on where a killed run stopped.
 *
 *     <folder>/work.json              what the parts are of; others are thrown away
 *     <folder>/<view>-<part>.parquet  a row a label: its row in the spine, values, statuses and later windows
 *     <folder>/<view>-<part>.json     written last: the part is whole; what was counted with it
 *
 * A part is some tens of thousands of labels, so that they are few files, and little is lost with the one that was
 * being made.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import type { StatusCode } from "../fold/view-fold.ts";
import { type FillBatch, type QueryEngine, sqlName, sqlText, type TableColumn } from "../offline-store/engine.ts";
import { parquetSql } from "../offline-store/file-sql.ts";
import type { Value } from "../schema/value.ts";
import { type ColumnCells, type FeatureColumn, holdsNumbers } from "./feature-columns.ts";
import type { TaskResult, TaskView } from "./join-task.ts";
import { type LabelPiece, LABELS_A_PIECE } from "./label-pieces.ts";
import { type ReplayResult, sumOfResults } from "./replay-view.ts";

const LABELS_A_PART_MIN = 8192;
const PARTS_MAX = 64;
const WORK_FILE = "work.json";
/** Of the parts. 1 did not say which windows began later than asked. */
const FORMAT = 2;
/** Added to the status of a row whose window began later than asked; above all statuses. */
const LATER_WINDOW = 128;

type Feature = TaskView["features"][number];

/** What is known of a part that is whole. */
export interface PartRecord extends ReplayResult {
  readonly labels: number;
  readonly firstEntity: number;
  readonly lastEntity: number;
}

export class FeatureParts {
  readonly #engine: QueryEngine;
  readonly #folder: string;
  readonly piecesAPart: number;

  private constructor(engine: QueryEngine, folder: string, labels: number) {
    this.#engine = engine;
    this.#folder = folder;
    this.piecesAPart = Math.ceil(Math.max(LABELS_A_PART_MIN, labels / PARTS_MAX) / LABELS_A_PIECE);
  }

  /** `work` is all that the parts depend on. Throws `STORAGE_FAILED`. */
  static async open(engine: QueryEngine, folder: string, labels: number, work: object): Promise<FeatureParts> {
    const parts = new FeatureParts(engine, folder, labels);
    const digest = createHash("sha256").update(
      JSON.stringify([FORMAT, LABELS_A_PIECE, parts.piecesAPart, labels, work]),
    );
    const text = JSON.stringify({ sha256: digest.digest("hex") });
    const place = join(folder, WORK_FILE);
    try {
      if ((await readFile(place, "utf8").catch(() => null)) !== text) {
        await mkdir(folder, { recursive: true });
        await FeatureParts.empty(folder);
        await writeFile(place, text);
      }
    } catch (cause) {
      throw new OnefoldError("STORAGE_FAILED", "the parts of the training set cannot be kept", {
        where: folder,
        cause,
      });
    }
    return parts;
  }

  /** Removes all but the lock. */
  static async empty(folder: string): Promise<void> {
    // Last what says what the others are of.
    const names = (await readdir(folder)).filter((name) => !name.startsWith("lock"));
    for (const name of names) if (name !== WORK_FILE) await rm(join(folder, name), { recursive: true, force: true });
    await rm(join(folder, WORK_FILE), { force: true });
  }

  /** Parts of a view that are whole, by number. */
  async finished(view: number): Promise<Map<number, PartRecord>> {
    const finished = new Map<number, PartRecord>();
    for (const name of await readdir(this.#folder)) {
      const match = /^(\d+)-(\d+)\.json$/.exec(name);
      if (match === null || Number(match[1]) !== view) continue;
      const record = await readRecord(join(this.#folder, name));
      const part = Number(match[2]);
      if (record !== null && (await this.#rowsIn(this.#path(view, part))) === record.labels) finished.set(part, record);
    }
    return finished;
  }

  /** Where its file was not synced before the machine went down, it may be cut off. */
  async #rowsIn(path: string): Promise<number | null> {
    const rows = await this.#engine.rows(`SELECT count(*) AS n FROM ${parquetSql(path)}`).catch(() => null);
    return rows === null ? null : Number(rows[0]!["n"]);
  }

  /** Writes a part: its pieces, and what their labels see. */
  async write(
    view: number,
    part: number,
    features: readonly Feature[],
    answered: readonly { readonly piece: LabelPiece; readonly result: TaskResult }[],
  ): Promise<PartRecord> {
    const path = this.#path(view, part);
    const table = `part_${view}_${part}`;
    await this.#engine.fill(
      table,
      partColumns(features),
      answered.map(({ piece, result }) => batchOf(features, piece, result)),
    );
    await this.#engine.run(
      `COPY (SELECT * FROM ${sqlName(table)}) TO ${sqlText(`${path}.partial`)} (FORMAT parquet, COMPRESSION lz4)`,
    );
    await this.#engine.run(`DROP TABLE ${sqlName(table)}`);
    const record: PartRecord = {
      labels: answered.reduce((total, { piece }) => total + piece.row.length, 0),
      firstEntity: answered[0]!.piece.entity[0]!,
      lastEntity: answered.at(-1)!.piece.lastEntity,
      ...sumOfResults(answered.map(({ result }) => result)),
    };
    await rename(`${path}.partial`, path);
    const recordPath = join(this.#folder, `${view}-${part}.json`);
    await writeFile(`${recordPath}.partial`, JSON.stringify(record));
    await rename(`${recordPath}.partial`, recordPath);
    return record;
  }

  /** All parts of a view as a relation of `partColumns`. */
  async relation(view: number): Promise<string> {
    const names = (await readdir(this.#folder)).filter(
      (name) => name.startsWith(`${view}-`) && name.endsWith(".parquet"),
    );
    return parquetSql(names.map((name) => join(this.#folder, name)));
  }

  #path(view: number, part: number): string {
    return join(this.#folder, `${view}-${part}.parquet`);
  }
}

/** Null for one that was not synced before the machine went down. */
async function readRecord(path: string): Promise<PartRecord | null> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as PartRecord;
  } catch {
    return null;
  }
}

/**
 * `row`, then `v<i>` and `s<i>` of each feature: numbers as doubles whatever they stand for, others as they are; the status,
 * and with it whether the window began later than asked (see `putMarked`).
 */
function partColumns(features: readonly Feature[]): TableColumn[] {
  return [
    { name: "row", type: { name: "int64" } },
    ...features.flatMap(({ type }, i): TableColumn[] => [
      { name: `v${i}`, type: holdsNumbers(type) ? { name: "float64" } : type },
      { name: `s${i}`, type: { name: "int64" } },
    ]),
  ];
}

function batchOf(features: readonly Feature[], { row }: LabelPiece, { columns }: TaskResult): FillBatch {
  const cells: (Float64Array | readonly Value[])[] = [Float64Array.from(row)];
  const validity: (Uint8Array | null)[] = [null];
  features.forEach((_, i) => {
    const column = columns[i]!;
    cells.push(column.numbers ?? column.objects!, markedStatuses(column));
    validity.push(column.validity, null);
  });
  return { rowCount: row.length, columns: cells, validity };
}

function markedStatuses({ statuses, laterWindows }: ColumnCells): Float64Array {
  const marked = Float64Array.from(statuses);
  laterWindows?.forEach((flag, i) => (marked[i]! += flag * LATER_WINDOW));
  return marked;
}

/** Puts what was read back of a part: a value, and the status with its mark. */
export function putMarked(column: FeatureColumn, row: number, value: Value, marked: number): void {
  const isLater = marked >= LATER_WINDOW;
  column.put(row, value, (isLater ? marked - LATER_WINDOW : marked) as StatusCode);
  if (isLater) column.markLaterWindow(row);
}
