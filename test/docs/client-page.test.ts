/** The page's program runs against the shop that `onefold init` writes, and prints what it says. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, describe, expect, it, vi } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import { openPlatform } from "../../src/platform.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(join(root, "docs", "client.md"), "utf8");
const program = /^```ts\n([\s\S]*?)^```$/m.exec(page)![1]!;
const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-client-page-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("docs/client.md", () => {
  it("shows a program that runs", async () => {
    const { definitions } = await loadDefinitions(join(root, "examples", "shop", "features.ts"));
    const clock = new ReplayClock(parseMicros("2026-01-05T10:00:05Z"));
    const platform = await openPlatform({ dataDir: join(folder, "data"), definitions, clock });
    await platform.apply(definitions);
    const server = await platform.serve({ port: 0 });
    const said = vi.spyOn(console, "log").mockImplementation(() => {});
    try {
      const file = join(folder, "program.ts");
      writeFileSync(
        file,
        program.replace("http://127.0.0.1:8080", server.url).replace("timeoutMs: 200", "timeoutMs: 5000"),
      );
      const outfile = join(folder, "program.mjs");
      const alias = { "onefold/client": join(root, "src", "client", "index.ts") };
      await build({ entryPoints: [file], outfile, bundle: true, format: "esm", platform: "node", alias });
      await import(/* @vite-ignore */ pathToFileURL(outfile).href);
      const [expected] = /console\.log\(.*\/\/ (.*)$/m.exec(program)!.slice(1);
      expect(said.mock.calls.map((words) => words.join(" "))).toEqual([expected]);
    } finally {
      said.mockRestore();
      await server.close();
      await platform.close();
    }
  });
});
