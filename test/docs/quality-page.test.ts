/** The page's definitions load, apply and do what it says; it names every rule and every column of a profile. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import type { ExpectationRule } from "../../src/define/expectation-definition.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { openPlatform } from "../../src/platform.ts";

const page = readFileSync(new URL("../../docs/quality.md", import.meta.url), "utf8");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-quality-page-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("docs/quality.md", () => {
  it("shows definitions that do what it says, and a query that reads the profiles", async () => {
    const file = join(folder, "features.ts");
    writeFileSync(file, /^```ts\n([\s\S]*?)^```$/m.exec(page)![1]!);
    const { definitions } = await loadDefinitions(file);
    const clock = new ReplayClock(parseMicros("2026-11-26T10:00:00Z"));
    const platform = await openPlatform({ dataDir: join(folder, ".onefold"), definitions, clock });
    try {
      await platform.apply(definitions);
      const flight = { flight: "a", origin: "JFK", departed_at: "2026-11-26T10:00:00Z", delay: 5 };
      expect(await platform.push("flights", [flight, { ...flight, delay: 5000 }])).toMatchObject({
        outcomes: [{ status: "accepted" }, { code: "EXPECTATION_FAILED" }],
      });
      await expect(platform.push("flights", [{ ...flight, origin: "jfk" }])).rejects.toMatchObject({
        code: "PUSH_BLOCKED",
      });
      const report = await platform.checks.quality.report({ name: "flights" });
      expect(report.subjects[0]!.expectations.map(({ name }) => name)).toEqual([
        "delay_range",
        "origin_pattern",
        "delay_nullRate",
        "arrival_rate",
      ]);
    } finally {
      await platform.close();
    }
    const query = /^ {4}SELECT day[\s\S]*?ORDER BY day$/m
      .exec(page)![0]
      .replaceAll(".onefold", join(folder, ".onefold"));
    const engine = await openDuckDb({ threads: 1 });
    expect(await engine.rows(query)).toMatchObject([{ row_count: 1, nulls: 0, mean: 5, distinct_count: 1 }]);
    const described = await engine.rows(`DESCRIBE ${query.replace(/SELECT[\s\S]*?FROM/, "SELECT * FROM")}`);
    await engine.close();
    for (const { column_name: name } of described) expect(page).toContain(`\`${String(name)}\``);
  });

  it("names every rule", () => {
    const rules = { range: 0, oneOf: 0, pattern: 0, nullRate: 0, unique: 0, monotone: 0, arrivalRate: 0 };
    const all: Record<ExpectationRule["kind"], number> = rules;
    for (const rule of Object.keys(all)) expect(page).toMatch(new RegExp(`^\\| \`${rule}: `, "m"));
  });
});
