/**
 * Whether two training sets of the same labels hold the same values: counts exactly, sums and means within what
 * another order of additions makes of them.
 */
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import { AMOUNTS, COUNTS } from "./workload.ts";

/** Of sums of some hundred amounts, each with 16 digits. */
const TOLERANCE = 1e-9;

/** What differs, in words, or null. */
export async function differences(path: string, otherPath: string): Promise<string | null> {
  const engine = await openDuckDb({});
  try {
    const [rows] = await engine.rows(
      `SELECT (SELECT count(*) FROM read_parquet(${sqlText(path)})) AS own, (SELECT count(*) FROM read_parquet(${sqlText(otherPath)})) AS other`,
    );
    if (rows!["own"] !== rows!["other"]) return `${String(rows!["own"])} rows against ${String(rows!["other"])}`;
    const isOther = (name: string): string =>
      COUNTS.includes(name)
        ? `a.${name} IS DISTINCT FROM b.${name}`
        : `((a.${name} IS NULL) <> (b.${name} IS NULL) OR abs(a.${name} - b.${name}) > ${TOLERANCE} * (1 + abs(b.${name})))`;
    const counts = [...COUNTS, ...AMOUNTS].map((name) => `count(*) FILTER (WHERE ${isOther(name)}) AS ${name}`);
    const [found] = await engine.rows(
      `SELECT count(*) FILTER (WHERE a.label_id <> b.label_id OR a.user_id <> b.user_id) AS misplaced, ${counts.join(", ")}
       FROM read_parquet(${sqlText(path)}) a POSITIONAL JOIN read_parquet(${sqlText(otherPath)}) b`,
    );
    const wrong = Object.entries(found!).filter(([, count]) => count !== 0);
    return wrong.length === 0 ? null : wrong.map(([name, count]) => `${name} in ${String(count)} rows`).join(", ");
  } finally {
    await engine.close();
  }
}
