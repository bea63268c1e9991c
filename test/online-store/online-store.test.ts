import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import type { LocalOnlineStore } from "../../src/online-store/online-store.ts";
import { onlineStoreCases } from "../../src/testing/online-store-conformance.ts";
import { localOnlineStoreCases } from "../../src/testing/local-store-conformance.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 29);
const folders: string[] = [];

function newFolder(): string {
  folders.push(mkdtempSync(join(tmpdir(), "onefold-online-")));
  return folders.at(-1)!;
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const stores: { name: string; durable: boolean; prepare(): () => LocalOnlineStore }[] = [
  { name: "memory", durable: false, prepare: () => () => new MemoryOnlineStore() },
  {
    name: "lmdb",
    durable: true,
    prepare: () => {
      const folder = join(newFolder(), "online");
      return () => openLmdbStore({ folder });
    },
  },
];

describe("dropping a space", () => {
  it("rests behind each commit of so many removals", async () => {
    const store = openLmdbStore({ folder: join(newFolder(), "online") });
    const write = (i: number) => ({ space: "v@1#1", key: `k${i}`, epoch: 0, offset: 1, bytes: Uint8Array.of(1) });
    await store.commit(
      Array.from({ length: 1200 }, (_, i) => write(i)),
      [],
    );
    const counts: number[] = [];
    let resumed = 0;
    await store.dropSpace("v@1#1", {
      resume: () => resumed++,
      rest: async () => {
        await new Promise(setImmediate);
        counts.push(resumed);
      },
    });
    expect(counts).toEqual([1, 2, 3, 4, 5]);
    expect(store.count("v@1#1")).toBe(0);
    await store.close();
  });

  it("stops where it is cancelled, and another call removes the rest", async () => {
    const store = openLmdbStore({ folder: join(newFolder(), "online") });
    const write = (i: number) => ({ space: "v@1#1", key: `k${i}`, epoch: 0, offset: 1, bytes: Uint8Array.of(1) });
    await store.commit(
      Array.from({ length: 1200 }, (_, i) => write(i)),
      [],
    );
    const cancelling = new AbortController();
    let rests = 0;
    const pace = {
      resume: () => undefined,
      rest: async () => {
        if (++rests === 2) cancelling.abort();
      },
    };
    await expect(store.dropSpace("v@1#1", pace, cancelling.signal)).rejects.toMatchObject({ code: "CANCELLED" });
    expect(store.count("v@1#1")).toBe(700);
    await store.dropSpace("v@1#1");
    expect(store.count("v@1#1")).toBe(0);
    await store.close();
  });
});

for (const { name, durable, prepare } of stores) {
  describe(`online store: ${name}`, () => {
    for (const storeCase of [...onlineStoreCases, ...localOnlineStoreCases]) {
      if (durable || !storeCase.durable) it(storeCase.name, () => storeCase.run(prepare(), SEED));
    }
  });
}

describe("online store: lmdb, killed", () => {
  it("leaves whole commits only, and every one that resolved", async () => {
    const folder = newFolder();
    const script = join(import.meta.dirname, "..", "..", "node_modules", `.writer-to-kill-${process.pid}.mjs`);
    folders.push(script);
    const entry = join(import.meta.dirname, "writer-to-kill.ts");
    await build({
      entryPoints: [entry],
      outfile: script,
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
    });
    const keys = 200;
    let generations = 0;
    for (let round = 0; round < 6; round++) {
      const resolved = await runAndKill(script, [folder, String(keys)], 120 + round * 37);
      expect(resolved).toBeGreaterThan(0);
      const store = openLmdbStore({ folder });
      const generation = Buffer.from(store.getMeta("generation")!).readUInt32LE(0);
      expect(generation).toBeGreaterThanOrEqual(resolved);
      const found = [...store.scan("v@1#0")].map((state) => Buffer.from(state.bytes).readUInt32LE(0));
      expect(found).toEqual(Array.from({ length: keys }, () => generation));
      await store.close();
      generations = generation;
    }
    expect(generations).toBeGreaterThan(6);
  }, 240_000);
});

/** Kills the process so many milliseconds after its first line; gives the last number it printed. */
async function runAndKill(script: string, args: readonly string[], afterMs: number): Promise<number> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  let timer: NodeJS.Timeout | null = null;
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    timer ??= setTimeout(() => child.kill("SIGKILL"), afterMs);
  });
  const [, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on("close", (code, killedBy) => resolve([code, killedBy]));
  });
  expect(signal).toBe("SIGKILL");
  const whole = output.slice(0, output.lastIndexOf("\n")).split("\n");
  return Number(whole.at(-1));
}
