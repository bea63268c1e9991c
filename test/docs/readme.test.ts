/** The README's definition compiles, is part of what `onefold init` writes, and what it says comes back is what that serves. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import { sampleFiles } from "../../src/cli/sample-events.ts";
import { openPlatform } from "../../src/platform.ts";
import { fraud } from "./readme-definition.ts";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const page = read("../../README.md");
const folder = mkdtempSync(join(tmpdir(), "onefold-readme-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function block(language: string): string {
  return new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(page)![1]!;
}

const shop = await loadDefinitions(new URL("../../examples/shop/features.ts", import.meta.url).pathname);

describe("README.md", () => {
  it("shows a definition that the compiler has seen", () => {
    expect(block("ts").replace('"onefold"', '"../../src/index.ts"')).toBe(read("./readme-definition.ts"));
  });

  it("shows features of the project that `onefold init` writes", () => {
    const sample = shop.definitions.find((definition) => definition.kind === "service")!;
    expect(fraud.features.length).toBeGreaterThan(1);
    for (const feature of fraud.features) expect(sample.features).toContainEqual(feature);
  });

  it("shows what that project answers, whenever it is written", async () => {
    for (const [i, moment] of ["2026-11-26T14:30:00.25Z", "2027-03-01T00:00:10Z"].entries()) {
      const clock = new ReplayClock(parseMicros(moment));
      const rows = sampleFiles(clock.now()).events.trim().split("\n");
      const { definitions } = shop;
      const platform = await openPlatform({ dataDir: join(folder, String(i)), definitions, clock });
      try {
        await platform.apply(definitions);
        await platform.push(
          "payments",
          rows.map((row) => JSON.parse(row) as object),
        );
        const { features } = await platform.vector("fraud", { user_id: "ada" });
        expect(features).toEqual(JSON.parse(block("json")));
      } finally {
        await platform.close();
      }
    }
  });

  it("links to documents that exist", () => {
    for (const [, target] of page.matchAll(/\]\((?!http)([^)#]+)\)/g)) {
      expect(() => readFileSync(new URL(`../../${target}`, import.meta.url)), target).not.toThrow();
    }
  });
});
