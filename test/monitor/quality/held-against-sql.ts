/** Profiles in files, held against SQL over all events. */
import { join } from "node:path";
import { expect } from "vitest";
import { type QueryEngine, sqlText } from "../../../src/offline-store/engine.ts";

const DAY = 86_400e6;

export interface Profiled {
  readonly engine: QueryEngine;
  /** SQL of a relation of the events: the columns, and `_known_time`. */
  readonly events: string;
  readonly columns: readonly string[];
  /** As SQL, of columns that are numbers. */
  readonly numbers: Readonly<Record<string, string>>;
  /** Folder of the files. */
  readonly profiles: string;
}

/** Resolves with how many days there are. */
export async function holdAgainstSql({ engine, events, columns, numbers, profiles }: Profiled): Promise<number> {
  const told = await engine.rows(`SELECT * FROM read_parquet(${sqlText(join(profiles, "*.parquet"))})`);
  let days = 0;
  for (const column of columns) {
    const number = numbers[column];
    const exact = await engine.rows(
      `SELECT floor(epoch_us(_known_time) / ${DAY}.0)::DOUBLE * ${DAY} AS day, count(*)::DOUBLE AS row_count,
         (count(*) - count("${column}"))::DOUBLE AS nulls, count(DISTINCT "${column}")::DOUBLE AS distinct_count
         ${number === undefined ? "" : `, avg(${number}) AS mean, stddev_samp(${number}) AS stddev, min(${number})::DOUBLE AS min, max(${number})::DOUBLE AS max, list_sort(list(${number}) FILTER (WHERE ${number} IS NOT NULL))[greatest(1, (floor(0.5 * (count(${number}) - 1)) + 1)::INT)]::DOUBLE AS p50`}
       FROM ${events} GROUP BY 1 ORDER BY 1`,
    );
    const own = told
      .filter((row) => row["column_name"] === column)
      .toSorted((a, b) => Number(a["day"]) - Number(b["day"]));
    expect(own.map((row) => row["day"])).toEqual(exact.map((row) => row["day"]));
    days = exact.length;
    for (const [i, wanted] of exact.entries()) {
      const profile = own[i]!;
      for (const name of ["row_count", "nulls"]) expect([column, profile[name]]).toEqual([column, wanted[name]]);
      const distinct = Number(wanted["distinct_count"]);
      const allowed = 6 * Number(profile["distinct_error"]) * distinct;
      expect(Math.abs(Number(profile["distinct_count"]) - distinct)).toBeLessThanOrEqual(allowed);
      if (number === undefined) continue;
      for (const name of ["min", "max"]) expect([name, profile[name]]).toEqual([name, wanted[name]]);
      for (const name of ["mean", "stddev"]) {
        if (wanted[name] === null) expect(profile[name]).toBeNull();
        else expect(Math.abs(Number(profile[name]) - Number(wanted[name]))).toBeLessThanOrEqual(1e-9 * 1000);
      }
      if (wanted["p50"] === null) continue;
      const error = Number(profile["quantile_error"]) * Math.abs(Number(wanted["p50"])) + 1e-9;
      expect(Math.abs(Number(profile["p50"]) - Number(wanted["p50"]))).toBeLessThanOrEqual(error);
    }
  }
  return days;
}
