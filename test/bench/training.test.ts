/** The training benchmark runs, and finds what differs. Its figures say nothing here. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { differences } from "../../bench/training/compare.ts";
import { AMOUNTS, COUNTS } from "../../bench/training/workload.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("npm run bench -- training --quick", () => {
  it(
    "measures training sets beside all three forms of SQL, their memory and their cost",
    { timeout: 240_000 },
    async () => {
      const args = ["scripts/bench.mjs", "training", "--quick", "--json"];
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root }).catch(
        (error: { code: number; stdout: string; stderr: string }) => {
          // 1 is a missed goal.
          if (error.code === 1) return error;
          throw error;
        },
      );
      const lines = stdout
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as { case: string; value: number; reference?: { name: string } })
        .filter((line) => !line.case.startsWith("latest"));
      expect(lines.map((line) => line.case)).toEqual([
        "sql-window-20k",
        "sql-prefix-20k",
        "sql-range-20k",
        "train-20k",
        "train-20k-cpu",
        "train-20k-peak-memory",
        "cost-of-an-event-60k-beside-20k",
        "cpu-cost-of-an-event-60k-beside-20k",
        "cost-of-an-event-60k-beside-2k",
        "cpu-cost-of-an-event-60k-beside-2k",
        "train-60k-peak-memory",
      ]);
      for (const { value } of lines) expect(value).toBeGreaterThan(0);
      expect(lines[3]!.reference!.name).toMatch(/^sql-(window|prefix|range)$/);
    },
  );

  it("finds a value that is off, a null that is none and a row that is elsewhere, but not rounding", async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-compare-"));
    const engine = await openDuckDb({ threads: 1 });
    const write = async (name: string, change = "", id = "i"): Promise<string> => {
      const path = join(folder, `${name}.parquet`);
      const columns = [...COUNTS.map((column) => `2 AS ${column}`), ...AMOUNTS.map((column) => `i / 3 AS ${column}`)];
      const from = `SELECT ${id} AS label_id, 'u' AS user_id, ${columns.join(", ")} FROM range(9) r(i)`;
      await engine.run(`COPY (SELECT * ${change} FROM (${from})) TO '${path}' (FORMAT parquet)`);
      return path;
    };
    const one = await write("one");
    try {
      expect(await differences(one, await write("same"))).toBeNull();
      expect(await differences(one, await write("rounded", "REPLACE (sum_1h * (1 + 1e-12) AS sum_1h)"))).toBeNull();
      const off = await write("off", "REPLACE (CASE WHEN label_id = 4 THEN sum_1h + 1e-6 ELSE sum_1h END AS sum_1h)");
      expect(await differences(one, off)).toBe("sum_1h in 1 rows");
      const none = await write("none", "REPLACE (CASE WHEN label_id <> 4 THEN mean_24h END AS mean_24h)");
      expect(await differences(one, none)).toBe("mean_24h in 1 rows");
      const more = await write("more", "REPLACE (CASE WHEN label_id = 4 THEN 3 ELSE 2 END AS large_30d)");
      expect(await differences(one, more)).toBe("large_30d in 1 rows");
      expect(await differences(one, await write("elsewhere", "", "8 - i"))).toContain("misplaced in 8 rows");
    } finally {
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
