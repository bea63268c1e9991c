/**
 * Request data of label rows: columns of the spine under the names that a service's on-demand views declare,
 * as the values that a request would have carried.
 */
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { conformingValue } from "../fold/custom-value.ts";
import { Status } from "../fold/view-fold.ts";
import { type EngineColumn, type QueryEngine, sqlName } from "../offline-store/engine.ts";
import { checkValue } from "../schema/check-value.ts";
import { parseJsonText } from "../schema/json-text.ts";
import { type Column, formatType, type Value } from "../schema/value.ts";
import { FeatureColumn, holdsNumbers } from "./feature-columns.ts";
import type { Spine } from "./spine.ts";
import { jsonTextSql, valueSql } from "./spine-sql.ts";

/**
 * One column a request column, in their order. Throws `SPINE_INVALID` for a column that is absent (nullable
 * ones too: a mistyped name must not train on nulls), of a type that cannot hold the values, or with rows whose
 * value is not of the type or null where that is not allowed, naming the first such row.
 */
export async function readRequestColumns(
  engine: QueryEngine,
  spine: Spine,
  columns: readonly Column[],
): Promise<FeatureColumn[]> {
  const read: FeatureColumn[] = [];
  for (const column of columns) read.push(await readColumn(engine, spine, column));
  return read;
}

async function readColumn(engine: QueryEngine, spine: Spine, column: Column): Promise<FeatureColumn> {
  const { name, type, nullable } = column;
  const fileType = typeInFile(spine, column);
  const result = new FeatureColumn(name, type, 0, spine.rowCount);
  const cells = cellsOf(column, (await isAllNull(engine, name)) ? null : fileType);
  const sql = `SELECT l.row, (s.${sqlName(name)} IS NULL), ${cells.sql}
    FROM spine s POSITIONAL JOIN spine_label l ORDER BY 1`;
  const wanted: readonly EngineColumn[] = [{ as: "int32" }, { as: "value", type: { name: "bool" } }, cells.wanted];
  const faults = new RowFaults();
  for await (const batch of engine.stream(sql, wanted)) {
    const rows = batch.columns[0] as Int32Array;
    const absent = batch.columns[1] as readonly Value[];
    for (let i = 0; i < batch.rowCount; i++) {
      const row = rows[i]!;
      const cell = batch.validity[2]?.[i] === 0 ? null : (batch.columns[2]![i] as Value);
      const value = absent[i] === true ? null : faults.judge(row, cell, cells);
      if (value === undefined) continue;
      if (value === null && !nullable) faults.addNull(row);
      else result.put(row, value, value === null ? Status.NULL_VALUE : Status.PRESENT);
    }
  }
  faults.refuse(column, fileType);
  return result;
}

/** Its type in the engine. */
function typeInFile(spine: Spine, { name, type, nullable }: Column): string {
  const found = spine.columns.find((candidate) => candidate.name === name);
  if (found !== undefined) return found.type;
  throw new OnefoldError("SPINE_INVALID", `the label rows lack ${name}, which the service's requests carry`, {
    where: spine.path,
    hint: `add a column "${name}" (${formatType(type)}${nullable ? ", nullable" : ""}) with what the request would have carried at each label's time`,
    candidates: spine.columns.map((candidate) => candidate.name),
  });
}

/** Such a column has whatever type the file's format or the engine gives to nothing at all. */
async function isAllNull(engine: QueryEngine, name: string): Promise<boolean> {
  const [row] = await engine.rows(`SELECT count(${sqlName(name)}) AS present FROM spine`);
  return Number(row!["present"]) === 0;
}

/** How a column's cells come out of the engine, and what is then made of one that the file has a value for. */
interface Cells {
  readonly sql: string;
  readonly wanted: EngineColumn;
  /** Given null where the engine finds the value not of the type; undefined where it is not, or throws with the reason. */
  readonly valueOf: (cell: Value) => Value | undefined;
}

/** `fileType` is null for a column of nulls alone. */
function cellsOf({ name, type }: Column, fileType: string | null): Cells {
  if (fileType === null) return { sql: "NULL::VARCHAR", wanted: { as: "text" }, valueOf: () => null };
  const json = jsonTextSql(name, fileType, type);
  if (json !== null) {
    // The door's own checks: a request would have carried this JSON.
    return { sql: json, wanted: { as: "text" }, valueOf: (cell) => checkValue(parseJsonText(String(cell)), type) };
  }
  const sql = valueSql(name, fileType, type, `request column ${name}`);
  if (holdsNumbers(type))
    return { sql: `(${sql})::DOUBLE`, wanted: { as: "number" }, valueOf: (cell) => cell ?? undefined };
  const valueOf = (cell: Value): Value | undefined => conformingValue(cell, type, false) ?? undefined;
  return { sql, wanted: { as: "value", type }, valueOf };
}

/** Rows whose value cannot be used, in their order. */
class RowFaults {
  #firstRow: number | null = null;
  #count = 0;
  #nulls = 0;
  /** Of the first row that is not of the type, where it is known. */
  #reason: string | null = null;

  /** The value of a cell, or undefined for a fault. */
  judge(row: number, cell: Value, { valueOf }: Cells): Value | undefined {
    let reason: string | null = null;
    try {
      const value = valueOf(cell);
      if (value !== undefined) return value;
    } catch (error) {
      if (!isOnefoldError(error)) throw error;
      reason = error.message + (error.hint === undefined ? "" : `: ${error.hint}`);
    }
    this.#reason ??= reason === null ? null : `in row ${row + 1}, ${reason}`;
    this.#add(row);
    return undefined;
  }

  addNull(row: number): void {
    this.#nulls++;
    this.#add(row);
  }

  #add(row: number): void {
    this.#firstRow ??= row;
    this.#count++;
  }

  /** Throws `SPINE_INVALID` where there are any. */
  refuse({ name, type }: Column, fileType: string): void {
    if (this.#firstRow === null) return;
    const why = this.#nulls === this.#count ? "null" : `null or not ${formatType(type)} (its type is ${fileType})`;
    throw new OnefoldError(
      "SPINE_INVALID",
      `${name} is ${why} in ${this.#count} label row${this.#count === 1 ? "" : "s"}`,
      {
        where: `row ${this.#firstRow + 1} is the first (counted from 1, without a header)`,
        ...(this.#reason === null ? {} : { hint: this.#reason }),
      },
    );
  }
}
