/**
 * Request data of label rows: columns of the spine under the names that a service's on-demand views declare,
 * as the values that a request would have carried.
 */
import { OnefoldError } from "../base/errors.ts";
import { conformingValue } from "../fold/custom-value.ts";
import { Status } from "../fold/view-fold.ts";
import { type EngineColumn, type QueryEngine, sqlName } from "../offline-store/engine.ts";
import { type Column, formatType, type Value } from "../schema/value.ts";
import { FeatureColumn, holdsNumbers } from "./feature-columns.ts";
import type { Spine } from "./spine.ts";
import { valueSql } from "./spine-sql.ts";

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
  const found = spine.columns.find((candidate) => candidate.name === name);
  if (found === undefined) {
    throw new OnefoldError("SPINE_INVALID", `the label rows lack ${name}, which the service's requests carry`, {
      where: spine.path,
      hint: `add a column "${name}" (${formatType(type)}${nullable ? ", nullable" : ""}) with what the request would have carried at each label's time`,
      candidates: spine.columns.map((candidate) => candidate.name),
    });
  }
  const result = new FeatureColumn(name, type, 0, spine.rowCount);
  const isNumeric = holdsNumbers(type);
  const cell = valueSql(name, found.type, type, `request column ${name}`);
  const sql = `SELECT l.row, (s.${sqlName(name)} IS NULL), ${isNumeric ? `(${cell})::DOUBLE` : cell}
    FROM spine s POSITIONAL JOIN spine_label l ORDER BY 1`;
  const wanted: readonly EngineColumn[] = [
    { as: "int32" },
    { as: "value", type: { name: "bool" } },
    isNumeric ? { as: "number" } : { as: "value", type },
  ];
  const bad: number[] = [];
  let nulls = 0;
  for await (const batch of engine.stream(sql, wanted)) {
    const rows = batch.columns[0] as Int32Array;
    const absent = batch.columns[1] as readonly Value[];
    for (let i = 0; i < batch.rowCount; i++) {
      const isPresent = batch.validity[2]?.[i] !== 0;
      const cellValue = isPresent ? (batch.columns[2]![i] as Value) : null;
      const value = isNumeric ? cellValue : (conformingValue(cellValue, type, false) ?? null);
      if (value !== null) result.put(rows[i]!, value, Status.PRESENT);
      else if (absent[i] === false || !nullable) {
        if (absent[i] === true) nulls++;
        bad.push(rows[i]!);
      } else result.put(rows[i]!, null, Status.NULL_VALUE);
    }
  }
  if (bad.length === 0) return result;
  const why = nulls === bad.length ? "null" : `null or not ${formatType(type)} (its type is ${found.type})`;
  throw new OnefoldError(
    "SPINE_INVALID",
    `${name} is ${why} in ${bad.length} label row${bad.length === 1 ? "" : "s"}`,
    {
      where: `row ${bad[0]! + 1} is the first (counted from 1, without a header)`,
    },
  );
}
