/** A worker's house beside a folder that another process owns, without the processes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { parseMicros } from "../../../src/base/micros.ts";
import type { Definition } from "../../../src/define/definition.ts";
import { count, entity, onDemand, service, stream, t, view } from "../../../src/index.ts";
import { openLmdbStore } from "../../../src/online-store/lmdb.ts";
import type { SharedOnlineStore } from "../../../src/online-store/online-store.ts";
import { AskLink } from "../../../src/platform/workers/ask-link.ts";
import { openWorkerHouse, type WorkerHouse, type WorkerOptions } from "../../../src/platform/workers/worker-house.ts";
import { openFileRegistry } from "../../../src/registry/file-registry.ts";
import type { Registry } from "../../../src/registry/registry.ts";

const clock = new ReplayClock(parseMicros("2026-01-01T00:00:00Z"));
const user = entity("user", { user_id: t.string() });
const visits = stream("visits", { columns: { user_id: t.string(), at: t.timestamp() }, eventTime: "at" });
const totals = view("totals", { version: 1, entity: user, source: visits, features: { n: count() } });
const doubled = onDemand("doubled", {
  inputs: [totals],
  outputs: { twice: t.int64() },
  compute: ({ n }) => ({ twice: n === null ? null : 2 * n }),
});
const plain = service("plain", { features: [totals] });
const computed = service("computed", { features: [doubled] });
const base = [user, visits, totals, plain];

let folder: string;
let store: SharedOnlineStore;
let registry: Registry;
let house: WorkerHouse | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-worker-house-"));
  store = openLmdbStore({ folder: join(folder, "online") });
  registry = await openFileRegistry(join(folder, "registry"), { clock });
  await registry.apply(base);
});

afterEach(async () => {
  await house?.close();
  house = null;
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(options: WorkerOptions = {}): Promise<WorkerHouse> {
  const registryFolder = join(folder, "registry");
  const settings = {
    dataDir: folder,
    registryFolder,
    monitors: [],
    trains: false,
    servingLogSampleRate: 0,
    http: {},
    resp: null,
  };
  house = await openWorkerHouse(settings, { ...options, clock }, new AskLink(() => {}, {}));
  return house;
}

async function storeTotals(): Promise<void> {
  const place = { space: "totals@1#0", epoch: 0, position: 0, nextSequence: 0, flushedAt: clock.now() };
  await store.commitAlone([], [{ name: "view/totals@1", bytes: new Uint8Array(Buffer.from(JSON.stringify(place))) }]);
}

describe("a worker's house", () => {
  it("is ready once the owner says so, and what the owner has built can be read", async () => {
    const { ports, told } = await open();
    expect(ports.readiness()).toEqual({ ready: false, waitingFor: ["word from the owner"] });
    told({ ready: false, waitingFor: ["worker 2 of 2"], at: clock.now(), flushed: [] });
    expect(ports.readiness()).toEqual({ ready: false, waitingFor: ["worker 2 of 2", "view totals@1"] });
    told({ ready: true, waitingFor: [], at: clock.now(), flushed: [] });
    expect(ports.readiness()).toEqual({ ready: false, waitingFor: ["view totals@1"] });
    await storeTotals();
    expect(ports.readiness()).toEqual({ ready: true, waitingFor: [] });
  });

  it("goes on with the code it has where it cannot load it again, and refuses what that is not the code of", async () => {
    await storeTotals();
    let code: () => readonly Definition[] = () => base;
    const errors: unknown[] = [];
    const { reader, reload } = await open({
      definitions: async () => code(),
      onError: (error) => errors.push(error),
    });
    const value = (name: string): unknown => reader.vector(name, { user_id: "ada" }).values[0];
    expect(value("plain")).toBe(0);
    await registry.apply([...base, doubled, computed]);
    const broken = new Error("a line is half written");
    code = () => {
      throw broken;
    };
    await reload();
    expect(errors).toEqual([broken]);
    expect(value("plain")).toBe(0);
    expect(() => value("computed")).toThrow(expect.objectContaining({ code: "FINGERPRINT_MISMATCH" }));
    code = () => [...base, doubled, computed];
    await reload();
    expect(value("computed")).toBe(0);
    expect(errors).toHaveLength(1);
  });
});
