/** docs/transformations.md is what the code says, and its definitions fit, serve and train what the page says. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import { TRANSFORMATION_TABLE } from "../../src/define/transformation-table.ts";
import * as onefold from "../../src/index.ts";
import { openPlatform } from "../../src/platform.ts";
import { transformationsPage } from "./transformations-page.ts";

const page = readFileSync(new URL("../../docs/transformations.md", import.meta.url), "utf8");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-transformations-page-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function block(language: string): string {
  return new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "m").exec(page)![1]!;
}

describe("docs/transformations.md", () => {
  it("is what `node scripts/transformations.mjs` writes", () => {
    expect(page).toBe(transformationsPage());
  });

  it("names functions that can be imported, every transformation under its own name", () => {
    for (const [name, { call }] of Object.entries(TRANSFORMATION_TABLE)) {
      expect(call).toContain(name === "custom" ? "customTransformation(" : `${name}(`);
      for (const [, called] of call.matchAll(/(\w+)\(/g)) expect(onefold).toHaveProperty(called!, expect.any(Function));
    }
  });

  it("shows a file that fits, serves and trains what the page says", async () => {
    const file = join(folder, "features.ts");
    writeFileSync(file, block("ts"));
    const { definitions } = await loadDefinitions(file);
    const clock = new ReplayClock(parseMicros("2026-01-04T12:00:00Z"));
    const platform = await openPlatform({ dataDir: join(folder, "data"), definitions, clock, servingLogSampleRate: 1 });
    try {
      await platform.apply(definitions);
      const arrive = (origin: string, carrier: string, delay: number | null): Promise<unknown> =>
        platform.push("arrivals", [{ origin, carrier, arrived_at: { micros: clock.now() }, delay }]);
      await arrive("JFK", "AA", 0);
      await arrive("LAX", "AA", 10);
      await arrive("LAX", "DL", 10);
      for (const delay of [20, null, 20, 20, 20]) await arrive("ATL", "DL", delay);
      clock.advanceTo(parseMicros("2026-01-04T13:00:00Z"));
      const labels = join(folder, "labels.csv");
      const rows = ["JFK", "LAX", "ATL", "SEA"].map((origin) => `${origin},2026-01-04T12:30:00Z`);
      writeFileSync(labels, `origin,t\n${rows.join("\n")}\n`);
      await platform.fit({ service: "delay_model", labels, split: { until: parseMicros("2026-01-05T00:00:00Z") } });
      const said = JSON.parse(block("json")) as unknown;
      const { features, metadata } = await platform.vector("delay_model", { origin: "ATL" });
      expect(features).toEqual(said);
      expect(metadata["fit"]).toBe(1);
      writeFileSync(labels, "origin,t\nATL,2026-01-04T12:45:00Z\n");
      const set = await platform.train({ service: "delay_model", labels });
      expect(Object.fromEntries(set.columns.map((column) => [column.name, column.value(0)]))).toEqual(said);
      expect(await platform.audit()).toMatchObject({ vectors: 1, clean: true });
    } finally {
      await platform.close();
    }
  });
});
