/**
 * Which label rows of a training set are its train split: those that transformations are fitted to.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatMicros } from "../base/micros.ts";
import { type QueryEngine, sqlName, sqlText } from "../offline-store/engine.ts";
import type { TrainSplit } from "../registry/fitted-service.ts";
import type { VectorToken } from "../schema/vector-token.ts";
import { readLabelTimes } from "./computed-columns.ts";
import type { Spine } from "./spine.ts";

export type { TrainSplit } from "../registry/fitted-service.ts";

export function splitText(split: TrainSplit): string {
  if ("until" in split) return `label time < ${formatMicros(split.until)}`;
  return "share" in split ? `the earliest ${split.share} of the label rows` : `${split.column} = ${split.value}`;
}

/** Rows by their place in the file, ascending; of labels with tokens, by the tokens' times. Throws `REQUEST_INVALID` for a share that is none, `SPINE_INVALID`. */
export async function readTrainRows(
  engine: QueryEngine,
  spine: Spine,
  split: TrainSplit,
  tokens: readonly VectorToken[] | null,
): Promise<Int32Array> {
  if ("column" in split) return rowsWhere(engine, spine, split.column, split.value);
  const times = await readLabelTimes(engine, spine, tokens);
  const rows = Int32Array.from(times, (_, row) => row);
  if ("until" in split) return rows.filter((row) => times[row]! < split.until);
  if (!(split.share > 0 && split.share <= 1)) {
    throw new OnefoldError("REQUEST_INVALID", `a share of ${split.share} is no train split`, {
      hint: "give a number above 0, up to 1",
    });
  }
  const earliest = rows.toSorted((a, b) => times[a]! - times[b]! || a - b);
  return earliest.slice(0, Math.floor(split.share * rows.length)).sort();
}

async function rowsWhere(engine: QueryEngine, spine: Spine, column: string, value: string): Promise<Int32Array> {
  const names = spine.columns.map(({ name }) => name);
  if (!names.includes(column)) {
    throw new OnefoldError("SPINE_INVALID", `the label rows have no column ${column} to be split by`, {
      where: spine.path,
      candidates: names,
    });
  }
  const rows: number[] = [];
  const sql = `SELECT l.row FROM spine s POSITIONAL JOIN spine_label l
    WHERE s.${sqlName(column)}::VARCHAR = ${sqlText(value)} ORDER BY 1`;
  for await (const batch of engine.stream(sql, [{ as: "int32" }])) {
    rows.push(...(batch.columns[0] as Int32Array).subarray(0, batch.rowCount));
  }
  return Int32Array.from(rows);
}
