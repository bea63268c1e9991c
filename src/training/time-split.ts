/**
 * Training, validation and test rows parted by time: a model is judged on what came after all that it learned from.
 *
 * Rows of one time are never parted: a cut by shares moves to the time of the row that it falls on, which begins the
 * later part.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { SplitPart } from "./manifest.ts";
import type { Spine } from "./spine.ts";

/** Two parts are train and test; three are train, validation and test. Shares add up to 1; cuts are times that begin a part. */
export type TimeSplit = { readonly shares: readonly number[] } | { readonly cuts: readonly Micros[] };

export const SPLIT_COLUMN = "split";

/** Throws `REQUEST_INVALID` for what is no split. */
export function checkTimeSplit(split: TimeSplit): TimeSplit {
  if ("cuts" in split) checkedCuts(split.cuts);
  else checkedShares(split.shares);
  return split;
}

/** Adds the column `split` to the spine. Throws `REQUEST_INVALID` for what is no split, `SPINE_INVALID` where there is such a column. */
export async function addSplitColumn(
  engine: QueryEngine,
  spine: Spine,
  split: TimeSplit,
): Promise<{ readonly spine: Spine; readonly parts: readonly SplitPart[] }> {
  const taken = spine.columns.find(({ name }) => name.toLowerCase() === SPLIT_COLUMN);
  if (taken !== undefined) {
    throw new OnefoldError("SPINE_INVALID", `the label rows already have a column named ${taken.name}`, {
      where: spine.path,
      hint: "rename it in the label rows, or leave --split out",
    });
  }
  const cuts =
    "cuts" in split ? checkedCuts(split.cuts) : await cutsOfShares(engine, spine, checkedShares(split.shares));
  const names = cuts.length === 1 ? ["train", "test"] : ["train", "validation", "test"];
  const cases = cuts.map((cut, i) => `WHEN l.t < ${cut} THEN '${names[i]!}'`);
  const name = cases.length === 0 ? "NULL" : `CASE ${cases.join(" ")} ELSE '${names.at(-1)!}' END`;
  await engine.run(`CREATE OR REPLACE TABLE spine_split AS
    SELECT s.*, ${name}::VARCHAR AS ${SPLIT_COLUMN} FROM spine s POSITIONAL JOIN spine_label l`);
  await engine.run("DROP TABLE spine");
  await engine.run("ALTER TABLE spine_split RENAME TO spine");
  const counts = await engine.rows(`SELECT ${SPLIT_COLUMN} AS name, count(*) AS n FROM spine GROUP BY 1`);
  const rowsOf = new Map(counts.map((row) => [String(row["name"]), Number(row["n"])]));
  const parts = names.map((part, i) => ({
    name: part,
    from: textOf(cuts[i - 1]),
    until: textOf(cuts[i]),
    rows: rowsOf.get(part) ?? 0,
  }));
  return { spine: { ...spine, columns: [...spine.columns, { name: SPLIT_COLUMN, type: "VARCHAR" }] }, parts };
}

function textOf(cut: number | undefined): string | null {
  return cut === undefined ? null : formatMicros(cut as Micros);
}

function checkedCuts(cuts: readonly Micros[]): readonly number[] {
  const isRising = cuts.every((cut, i) => i === 0 || cuts[i - 1]! < cut);
  if ((cuts.length === 1 || cuts.length === 2) && isRising) return cuts;
  throw new OnefoldError("REQUEST_INVALID", "a split by time has one time, or two of which the second is later", {
    hint: "--split 2026-01-01 gives train and test; --split 2026-01-01,2026-02-01 train, validation and test",
  });
}

function checkedShares(shares: readonly number[]): readonly number[] {
  const sum = shares.reduce((total, share) => total + share, 0);
  const isGood = shares.every((share) => share > 0) && Math.abs(sum - 1) < 1e-9;
  if ((shares.length === 2 || shares.length === 3) && isGood) return shares;
  throw new OnefoldError("REQUEST_INVALID", "the shares of a split are two or three numbers above 0 that add up to 1", {
    hint: "--split 0.8,0.2 gives train and test; --split 0.7,0.15,0.15 train, validation and test",
  });
}

async function cutsOfShares(engine: QueryEngine, spine: Spine, shares: readonly number[]): Promise<number[]> {
  const cuts: number[] = [];
  let share = 0;
  for (const one of shares.slice(0, -1)) {
    share += one;
    const rank = Math.min(Math.round(share * spine.rowCount), spine.rowCount - 1);
    const [row] = await engine.rows(`SELECT t FROM spine_label ORDER BY t LIMIT 1 OFFSET ${Math.max(0, rank)}`);
    cuts.push(row === undefined ? 0 : Number(row["t"]));
  }
  return cuts;
}
