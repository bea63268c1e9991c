/**
 * The engine in a process of its own does what any does; its process yields to whoever asks, and leaves nothing behind. Runs
 * what is built, as the process is a program of it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { openEngineApart as openFunction } from "../../src/offline-store/engine-apart.ts";
import { childrenOf, isAlive } from "../processes.ts";
import { codeOf } from "../code-of.ts";
import { engineSuite } from "./engine-suite.ts";

const DIST = fileURLToPath(new URL("../../dist/offline-store/engine-apart.js", import.meta.url));
const { openEngineApart } = (await import(pathToFileURL(DIST).href)) as {
  readonly openEngineApart: typeof openFunction;
};

/** Longer than anybody waits. */
const ENDLESS = "SELECT sum(a.i * b.i) AS s FROM range(10000000) a(i), range(1000000) b(i)";

engineSuite(openEngineApart);

describe("its process", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "onefold-apart-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function open() {
    const before = childrenOf(process.pid);
    const engine = await openEngineApart({ threads: 2, spillFolder: folder });
    const pid = childrenOf(process.pid).find((child) => !before.includes(child));
    return { engine, pid: pid! };
  }

  it.runIf(process.platform === "linux")("has a lower priority than whoever asks, in all its threads", async () => {
    const { engine, pid } = await open();
    await engine.run("CREATE TABLE sorted AS SELECT hash(i) AS h FROM range(2000000) t(i) ORDER BY h");
    const threads = await readdir(`/proc/${pid}/task`);
    const priorities = threads.map((thread) => getPriority(Number(thread)));
    expect(threads.length).toBeGreaterThan(5);
    expect(priorities).toEqual(threads.map(() => Math.min(19, getPriority() + 10)));
    await engine.close();
    expect(isAlive(pid)).toBe(false);
  });

  it("is missed by whoever asks once it is killed, and leaves nothing behind", async () => {
    const { engine, pid } = await open();
    const stream = engine.stream("SELECT i::DOUBLE FROM range(50000000) t(i)", [{ as: "number" }]);
    await stream.next();
    const endless = codeOf(engine.rows(ENDLESS));
    process.kill(pid, "SIGKILL");
    expect(await endless).toBe("ENGINE_ENDED");
    const rest = async (): Promise<void> => {
      for await (const { rowCount } of stream) expect(rowCount).toBeGreaterThan(0);
    };
    expect(await codeOf(rest())).toBe("ENGINE_ENDED");
    expect(await codeOf(engine.run("SELECT 1"))).toBe("ENGINE_ENDED");
    await engine.close();
    expect(await readdir(folder)).toEqual([]);
  });

  it("ends in the middle of its work when it is closed, or when whoever asks is killed", async () => {
    const { engine, pid } = await open();
    const endless = codeOf(engine.rows(ENDLESS));
    await engine.close();
    expect(["ENGINE_ENDED", "CANCELLED"]).toContain(await endless);
    expect(isAlive(pid)).toBe(false);

    const program = `const { openEngineApart } = await import(${JSON.stringify(pathToFileURL(DIST).href)});
      const engine = await openEngineApart({ spillFolder: ${JSON.stringify(folder)} });
      engine.rows(${JSON.stringify(ENDLESS)});
      console.log("working");`;
    const asker: ChildProcess = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(createInterface({ input: asker.stdout! }), "line");
    const [orphan] = childrenOf(asker.pid!);
    expect(isAlive(orphan!)).toBe(true);
    asker.kill("SIGKILL");
    for (const giveUpAt = performance.now() + 30_000; isAlive(orphan!); await delay(20))
      if (performance.now() > giveUpAt) throw new Error("it outlives whoever asked");
    expect(await readdir(folder)).toEqual([]);
  });

  it("is none where this is bundled into another program", async () => {
    // Where the driver is found, which no bundle has in itself.
    const bundles = fileURLToPath(new URL("../../.cache/", import.meta.url));
    await mkdir(bundles, { recursive: true });
    const bundle = await mkdtemp(join(bundles, "bundle-"));
    try {
      const outfile = join(bundle, "program.mjs");
      const entryPoints = [fileURLToPath(new URL("../../src/offline-store/engine-apart.ts", import.meta.url))];
      const external = ["@duckdb/node-api"];
      buildSync({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", external });
      const bundled = (await import(pathToFileURL(outfile).href)) as { readonly openEngineApart: typeof openFunction };
      const before = childrenOf(process.pid);
      const engine = await bundled.openEngineApart({ threads: 1 });
      expect(await engine.rows("SELECT 1 AS one")).toEqual([{ one: 1 }]);
      expect(childrenOf(process.pid)).toEqual(before);
      await engine.close();
    } finally {
      await rm(bundle, { recursive: true, force: true });
    }
  });
});
