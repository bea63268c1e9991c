/** A reader of the store beside its writer, as a worker is beside the owner. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Micros } from "../../../src/base/micros.ts";
import { openLmdbStore } from "../../../src/online-store/lmdb.ts";
import type { MetaWrite, SharedOnlineStore, StateWrite } from "../../../src/online-store/online-store.ts";
import { StoredViews } from "../../../src/platform/workers/stored-views.ts";
import type { CatalogView } from "../../../src/platform/view-catalog.ts";
import type { EntityKey } from "../../../src/schema/entity-key.ts";

let folder: string;
let writer: SharedOnlineStore;
let reader: SharedOnlineStore;
let views: StoredViews;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-stored-views-"));
  writer = openLmdbStore({ folder });
  reader = openLmdbStore({ folder, readOnly: true });
  views = new StoredViews(reader);
});

afterEach(async () => {
  await reader.close();
  await writer.close();
  await rm(folder, { recursive: true, force: true });
});

function view(name: string, fingerprint = "f"): CatalogView {
  const version = name.endsWith("@dev") ? "dev" : 1;
  const fold = { decode: (bytes: Uint8Array) => ({ number: Buffer.from(bytes).readUInt32LE(0) }) };
  return { name, fingerprint, definition: { version }, fold } as unknown as CatalogView;
}

function meta(name: string, value: object): MetaWrite {
  return { name, bytes: new Uint8Array(Buffer.from(JSON.stringify(value))) };
}

function place(name: string, epoch: number, position: number, flushedAt = 1000): MetaWrite {
  return meta(`view/${name}`, { space: `${name}#${epoch}`, epoch, position, nextSequence: 0, flushedAt });
}

function state(space: string, number: number): StateWrite {
  return {
    space,
    key: "k" as EntityKey,
    epoch: 0,
    offset: number,
    bytes: new Uint8Array(Uint32Array.of(number).buffer),
  };
}

const key = "k" as EntityKey;

describe("stored views", () => {
  it("are read at one moment until the next, place and states alike, while another process writes", async () => {
    const root = join(import.meta.dirname, "..", "..", "..");
    const script = join(import.meta.dirname, "..", "fixtures", "generations.mjs");
    const args = [script, join(root, "dist", "online-store", "lmdb.js"), folder];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(child.stdout, "data");
      const [a, b] = [views.view(view("a@1")), views.view(view("b@1"))];
      const seen = new Set<number>();
      // All in one turn: nothing but `renew` moves the moment on.
      const beganMs = performance.now();
      const isDone = (nowMs: number): boolean => (seen.size > 5 && nowMs > beganMs + 500) || nowMs > beganMs + 60_000;
      while (!isDone(performance.now())) {
        views.renew();
        const first = a.state(key) as unknown as { number: number } | null;
        for (const spinMs = performance.now() + 2; performance.now() < spinMs;);
        const { number } = first!;
        expect([b.state(key), a.state(key)]).toEqual([first, first]);
        expect([a.epoch, b.epoch]).toEqual([number % 3, number % 3]);
        expect([a.snapshotTime, b.snapshotTime]).toEqual([number, number]);
        seen.add(number);
      }
      expect(seen.size).toBeGreaterThan(5);
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  });

  it("are refused until the owner has built them, and a draft while what is stored is of another definition", async () => {
    expect(() => views.view(view("a@1"))).toThrow(expect.objectContaining({ code: "NOT_READY" }));
    const built = (fingerprint: string): MetaWrite =>
      meta("built/d@dev", { fingerprint, epoch: 0, end: 0, position: 0 });
    await writer.commitAlone([state("d@dev#0", 1)], [place("d@dev", 0, 1), built("f")]);
    const draft = views.view(view("d@dev"));
    views.renew();
    expect(draft.state(key)).toEqual({ number: 1 });
    await writer.commitAlone([state("d@dev#0", 9)], [built("g")]);
    views.renew();
    expect(() => draft.state(key)).toThrow(expect.objectContaining({ code: "NOT_READY" }));
    expect(() => views.view(view("d@dev"))).toThrow(expect.objectContaining({ code: "NOT_READY" }));
    expect(views.isStored(view("d@dev", "g"))).toBe(true);
    views.renew();
    expect(views.view(view("d@dev", "g")).state(key)).toEqual({ number: 9 });
  });

  it("are as old as their flush, or as what the owner says of it once that is there to be read", async () => {
    await writer.commitAlone([], [place("a@1", 0, 5, 1000)]);
    const a = views.view(view("a@1"));
    const told = (position: number, at: number): void =>
      views.told({ ready: true, waitingFor: [], at: at as Micros, flushed: [["a@1", position]], stale: [] });
    views.renew();
    expect(a.snapshotTime).toBe(1000);
    told(6, 3000); // of a flush that has not come here yet
    views.renew();
    expect(a.snapshotTime).toBe(1000);
    await writer.commitAlone([], [place("a@1", 0, 6, 2500)]);
    views.renew();
    expect(a.snapshotTime).toBe(3000);
    await writer.commitAlone([], [place("a@1", 0, 7, 4000)]);
    views.renew();
    expect(a.snapshotTime).toBe(4000);
  });
  it("have the fallback served that the owner says, and not any longer", async () => {
    await writer.commitAlone([], [place("a@1", 0, 5, 1000)]);
    const a = views.view(view("a@1"));
    const told = (stale: [string, "null" | "default"][]): void =>
      views.told({ ready: true, waitingFor: [], at: 0 as Micros, flushed: [], stale });
    expect(a.fallback!.active).toBe(null);
    told([["a@1", "default"]]);
    expect(a.fallback!.active).toBe("default");
    told([["b@1", "null"]]);
    expect(a.fallback!.active).toBe(null);
  });
});
