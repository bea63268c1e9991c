/**
 * What Feast can do of training sets too: the latest row of one view before each label. Values are compared for the
 * rows that it gives back; it leaves out some.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import type { Measured } from "./measured.ts";
import type { Workload } from "./workload.ts";

/** Null where ONEFOLD_PYTHON names no Python. */
export async function measureFeast(folder: string, workload: Workload, out: string): Promise<Measured | null> {
  const python = process.env["ONEFOLD_PYTHON"];
  if (python === undefined) return null;
  const script = join(process.cwd(), "bench", "training", "feast_join.py");
  const args = [script, join(folder, "feast"), workload.eventFile, workload.labelFile, out];
  const { stdout } = await promisify(execFile)(python, args, { env: { ...process.env, FEAST_USAGE: "False" } });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Measured;
}

/** What differs in the rows that both have, in words, or null; and how many Feast leaves out. */
export async function feastDifferences(
  path: string,
  feastPath: string,
): Promise<{ readonly wrong: string | null; readonly leftOut: number }> {
  const engine = await openDuckDb({});
  try {
    const [row] = await engine.rows(
      `SELECT count(*) FILTER (WHERE f.label_id IS NULL) AS left_out,
         count(*) FILTER (WHERE f.label_id IS NOT NULL AND o.amount IS DISTINCT FROM f.amount) AS differing
       FROM read_parquet(${sqlText(path)}) o LEFT JOIN read_parquet(${sqlText(feastPath)}) f USING (label_id)`,
    );
    const differing = Number(row!["differing"]);
    return { wrong: differing === 0 ? null : `${differing} rows`, leftOut: Number(row!["left_out"]) };
  } finally {
    await engine.close();
  }
}
