/**
 * The rows of an import that SQL did not vouch for, shown to the door one by one, as pushed ones are.
 *
 * What it lets in goes into a table of its own, typed, with the row's place; what it refuses becomes a dead
 * letter whose id is made from the row's file, place and content.
 */
import { createHash } from "node:crypto";
import { OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { sqlName, type FillBatch, type QueryEngine, type TableColumn } from "../offline-store/engine.ts";
import { batchOfRows } from "../offline-store/row-batch.ts";
import { checkValue } from "../schema/check-value.ts";
import type { Value } from "../schema/value.ts";
import type { NewDeadLetter } from "./dead-letters.ts";
import { blocked } from "./blocked-push.ts";
import { compileDoor, type Door, type DoorView } from "./door.ts";
import type { CheckedRow } from "./event.ts";
import { isBlocking, reasonOf } from "./expectations.ts";
import type { StagedFile } from "./import-staging.ts";

export interface JudgeRequest {
  readonly engine: QueryEngine;
  readonly source: SourceDefinition;
  readonly views: readonly DoorView[];
  readonly files: readonly StagedFile[];
  /** Whether the last raw cell of a row is its known time. */
  readonly hasKnownTime: boolean;
  /** The clock's time when the import began. */
  readonly now: Micros;
  /** The staging table, and the one to create for what the door lets in. */
  readonly readTable: string;
  readonly rescuedTable: string;
  readonly deadLetters: { add(letters: readonly NewDeadLetter[]): Promise<unknown> };
  readonly onProgress?: (rowsDone: number, rowsTotal: number) => void;
}

/** Shows the door every row that SQL did not vouch for. Returns how many it refused. */
export async function judgeSuspects(request: JudgeRequest): Promise<number> {
  const { engine, source, onProgress } = request;
  const [count] = await engine.rows(
    `SELECT count(*) AS rows FROM ${sqlName(request.readTable)} WHERE _raw IS NOT NULL`,
  );
  const total = count!["rows"] as number;
  const columns: TableColumn[] = [
    ...source.columns,
    { name: "_event_time", type: { name: "timestamp" } },
    { name: "_known_time", type: { name: "timestamp" } },
    { name: "_id", type: { name: "string" } },
    { name: "_file", type: { name: "int64" } },
    { name: "_row", type: { name: "int64" } },
  ];
  const types = columns.map(({ type }) => type);
  const judge = new Judge(request);
  let rejected = 0;
  let done = 0;
  async function* rescued(): AsyncIterableIterator<FillBatch> {
    const sql = `SELECT _file, _row::DOUBLE, _raw FROM ${sqlName(request.readTable)} WHERE _raw IS NOT NULL ORDER BY _file, _row`;
    const wanted = [{ as: "int32" }, { as: "number" }, { as: "value", type: RAW_CELLS }] as const;
    for await (const { rowCount, columns: read } of engine.stream(sql, wanted)) {
      const rows: Value[][] = [];
      const letters: NewDeadLetter[] = [];
      for (let i = 0; i < rowCount; i++) {
        const place = { file: read[0]![i] as number, row: read[1]![i] as number };
        const outcome = judge.judge(place, read[2]![i] as readonly (string | null)[]);
        if ("checked" in outcome) {
          const { row, eventTime, id } = outcome.checked;
          rows.push([...row.slice(0, source.columns.length), eventTime, outcome.knownTime, id, place.file, place.row]);
        } else letters.push(outcome.letter);
      }
      await request.deadLetters.add(letters);
      rejected += letters.length;
      done += rowCount;
      onProgress?.(done, total);
      yield batchOfRows(types, rows);
    }
  }
  await engine.fill(request.rescuedTable, columns, total === 0 ? [] : rescued());
  return rejected;
}

const RAW_CELLS = { name: "array", element: { name: "string" } } as const;

type Judgement = { readonly checked: CheckedRow; readonly knownTime: Micros } | { readonly letter: NewDeadLetter };

/**
 * When an event of history became known, where nobody says: when it happened, or `availableAfter` later. At the latest now, as it is
 * here: what is still to come (`maxFuture`) as if it were pushed. All live events would be dated behind what was known later.
 */
function knownByDefault(source: SourceDefinition, eventTime: Micros, now: Micros): Micros {
  if (source.kind !== "stream") return eventTime;
  return Math.min(eventTime + source.availableAfterMicros, now) as Micros;
}

class Judge {
  readonly #source: SourceDefinition;
  readonly #door: Door;
  readonly #files: readonly StagedFile[];
  readonly #hasKnownTime: boolean;
  readonly #now: Micros;

  constructor({ source, views, files, hasKnownTime, now }: JudgeRequest) {
    this.#source = source;
    this.#door = compileDoor(source, views);
    this.#files = files;
    this.#hasKnownTime = hasKnownTime;
    this.#now = now;
  }

  judge(place: { readonly file: number; readonly row: number }, raw: readonly (string | null)[]): Judgement {
    const { path, decoders } = this.#files[place.file]!;
    const cells = raw.map((text, i) => (text === null ? null : decoders[i]!(text)));
    const payload: Record<string, unknown> = {};
    for (const [i, { name }] of this.#source.columns.entries()) if (cells[i] !== null) payload[name] = cells[i];
    try {
      return this.#check(payload, cells);
    } catch (error) {
      if (isBlocking(error)) throw blocked(error, place.row + 1, path);
      const { message, ...reason } = reasonOf(error);
      const identity = createHash("sha256")
        .update(JSON.stringify([path, place.row, raw]))
        .digest("hex")
        .slice(0, 24);
      const where = `${path}, row ${place.row + 1}`;
      return {
        letter: {
          id: `${this.#source.name}-import-${identity}`,
          stage: "import",
          ...reason,
          message: `${where}: ${message}`,
          payload,
        },
      };
    }
  }

  #check(payload: Record<string, unknown>, cells: readonly unknown[]): Judgement {
    let knownTime: Micros | null = null;
    if (this.#hasKnownTime) {
      knownTime = checkValue(
        cells.at(-1),
        { name: "timestamp" },
        { allowNonFinite: false, where: "the known time" },
      ) as Micros | null;
      if (knownTime === null) throw new OnefoldError("NULL_NOT_ALLOWED", "the known time is null");
    }
    const isStream = this.#source.kind === "stream";
    const latest = isStream ? this.#now : (Number.MAX_SAFE_INTEGER as Micros);
    const checked = this.#door.check(payload, knownTime ?? latest);
    knownTime ??= knownByDefault(this.#source, checked.eventTime, this.#now);
    if (knownTime > this.#now) {
      throw new OnefoldError(
        "EVENT_TOO_FAR_AHEAD",
        `the known time: ${formatMicros(knownTime)}, when it became known, lies ahead of the clock`,
      );
    }
    return { checked, knownTime };
  }
}
