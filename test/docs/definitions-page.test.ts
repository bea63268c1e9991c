/** The page's definitions load, apply and serve, and the program under them prints what it says. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import { openPlatform } from "../../src/platform.ts";

const page = readFileSync(new URL("../../docs/definitions.md", import.meta.url), "utf8");
const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-definitions-page-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("docs/definitions.md", () => {
  it("shows a file that applies and serves what the page says", async () => {
    const file = join(folder, "features.ts");
    writeFileSync(file, blocks[0]!);
    const { definitions } = await loadDefinitions(file);
    const platform = await openPlatform({ dataDir: join(folder, "data"), definitions });
    try {
      await platform.apply(definitions);
      const pushed = /push\("trips", (\[[\s\S]*?\])\);/.exec(blocks[1]!)![1]!;
      const rows = new Function(`return ${pushed}`)() as unknown[];
      expect(await platform.push("trips", rows)).toMatchObject({ accepted: 1 });
      const { features } = await platform.vector("pricing", { driver_id: "77", origin: "A", destination: "B" });
      const said = new Function(`return ${/console\.log\(features\); \/\/ (.*)$/m.exec(blocks[1]!)![1]!}`)() as unknown;
      expect(features).toEqual(said);
      const all = await platform.request("GET", "/registry/views/driver_trips@1");
      expect(all["features"]).toHaveLength(12);
    } finally {
      await platform.close();
    }
  });

  it("names every aggregation and type there is", async () => {
    const door = (await import("../../src/index.ts")) as Record<string, unknown>;
    const aggregations = Object.keys(door).filter((name) =>
      ["count", "sum", "mean", "min", "max", "variance", "stddev", "first", "last", "column", "custom"].includes(name),
    );
    for (const name of aggregations) expect(page).toContain(`\`${name}(`);
    for (const type of Object.keys(door["t"] as object)) expect(page).toContain(`t.${type}(`);
  });
});
