/** The README's definition loads, and what it says comes back is what that definition serves. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import type { ServiceDefinition } from "../../src/define/definition.ts";

const page = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const folder = mkdtempSync(join(tmpdir(), "onefold-readme-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function block(language: string): string {
  return new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(page)![1]!;
}

async function serviceOf(file: string): Promise<ServiceDefinition> {
  const { definitions } = await loadDefinitions(file);
  return definitions.find((definition) => definition.kind === "service")!;
}

describe("README.md", () => {
  it("shows a definition that loads, and the vector it gives", async () => {
    const file = join(folder, "features.ts");
    writeFileSync(file, block("ts"));
    const names = (await serviceOf(file)).features.map((feature) => feature.as);
    expect(Object.keys(JSON.parse(block("json")) as object)).toEqual(names);
  });

  it("shows the features of the project that `onefold init` writes", async () => {
    const sample = await serviceOf(new URL("../../examples/shop/features.ts", import.meta.url).pathname);
    const file = join(folder, "same.ts");
    writeFileSync(file, block("ts"));
    expect((await serviceOf(file)).features).toEqual(sample.features);
  });

  it("links to documents that exist", () => {
    for (const [, target] of page.matchAll(/\]\((?!http)([^)#]+)\)/g)) {
      expect(() => readFileSync(new URL(`../../${target}`, import.meta.url)), target).not.toThrow();
    }
  });
});
