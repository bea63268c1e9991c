import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { readServingLog, type ServedVector } from "../../src/schema/served-vector.ts";
import { openServingLog } from "../../src/serve/serving-log.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "serving-log-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function vector(key: string, value: number): ServedVector {
  return {
    service: "delay_model",
    keys: { airport: key },
    token: { asOf: 990_000_000_000_000 as Micros, reads: [{ view: "origin_delays@1", epoch: 0, lastOffset: 7 }] },
    features: ["origin_delays@1:mean_delay_1h"],
    values: [value],
    statuses: [0],
  };
}

async function readAll(): Promise<ServedVector[]> {
  const all: ServedVector[] = [];
  for await (const each of readServingLog(folder)) all.push(each);
  return all;
}

describe("the serving log", () => {
  it("reads back what was recorded, in order, across runs", async () => {
    for (const run of [0, 1]) {
      const log = await openServingLog({ folder, sampleRate: 1 });
      log.record(vector("JFK", run + 0.1));
      await log.flush();
      log.record(vector("LAX", run + 0.2));
      await log.close();
      log.record(vector("SFO", 9));
      expect([log.recorded, log.dropped]).toEqual([2, 1]);
    }
    expect(await readAll()).toEqual([vector("JFK", 0.1), vector("LAX", 0.2), vector("JFK", 1.1), vector("LAX", 1.2)]);
  });

  it("is written by several at once, each into segments of its own", async () => {
    const logs = await Promise.all(
      [0, 1, 2].map(() => openServingLog({ folder, sampleRate: 1, segmentBytesMax: 500 })),
    );
    const expected: ServedVector[] = [];
    for (let round = 0; round < 20; round++) {
      for (const [i, log] of logs.entries()) {
        expected.push(vector(`writer-${i}`, round));
        log.record(expected.at(-1)!);
      }
      await Promise.all(logs.map((log) => log.flush()));
    }
    await Promise.all(logs.map((log) => log.close()));
    const byWriter = (all: readonly ServedVector[]): ServedVector[][] =>
      logs.map((_, i) => all.filter(({ keys }) => keys["airport"] === `writer-${i}`));
    expect(byWriter(await readAll())).toEqual(byWriter(expected));
    expect(logs.map(({ recorded, dropped }) => [recorded, dropped])).toEqual(logs.map(() => [20, 0]));
  });

  it("goes on in a new segment where another writer has removed its own as the oldest", async () => {
    const quiet = await openServingLog({ folder, sampleRate: 1 });
    quiet.record(vector("quiet", 1));
    await quiet.flush();
    const busy = await openServingLog({ folder, sampleRate: 1, segmentBytesMax: 100, totalBytesMax: 600 });
    for (let i = 0; i < 10; i++) {
      busy.record(vector("busy", i));
      await busy.flush();
    }
    expect((await readAll()).map(({ keys }) => keys["airport"])).not.toContain("quiet");
    quiet.record(vector("quiet", 2));
    await quiet.close();
    await busy.close();
    expect(await readAll()).toContainEqual(vector("quiet", 2));
  });

  it("writes by itself within its flush time", async () => {
    const log = await openServingLog({ folder, sampleRate: 1, flushMillis: 5 });
    log.record(vector("JFK", 1));
    await expect.poll(readAll).toHaveLength(1);
    await log.close();
  });

  it("samples entities whole, the same ones every time, about as many as asked", async () => {
    const keys = Array.from({ length: 4000 }, (_, i) => `entity-${i}`);
    const sampled: string[][] = [];
    for (const run of [0, 1]) {
      folder = await mkdtemp(join(tmpdir(), "serving-log-"));
      const log = await openServingLog({ folder, sampleRate: 0.1 });
      for (const key of keys) {
        if (!log.samples("delay_model", [{ name: "airport" }], [key])) continue;
        for (const value of [run, run + 1]) log.record(vector(key, value));
      }
      await log.close();
      const vectors = await readAll();
      sampled.push([...new Set(vectors.map((each) => each.keys["airport"]!))]);
      expect(vectors).toHaveLength(sampled[run]!.length * 2);
      await rm(folder, { recursive: true });
    }
    expect(sampled[0]).toEqual(sampled[1]);
    expect(sampled[0]!.length).toBeGreaterThan(320);
    expect(sampled[0]!.length).toBeLessThan(480);
  });

  it("samples nothing at a rate of 0, and all at 1", async () => {
    for (const sampleRate of [0, 1]) {
      const log = await openServingLog({ folder, sampleRate });
      const sampled = Array.from({ length: 100 }, (_, i) => log.samples("s", [{ name: "airport" }], [`k${i}`]));
      expect(sampled).toEqual(sampled.map(() => sampleRate === 1));
      await log.close();
    }
  });

  it("starts a new segment past its size and removes the oldest past the total", async () => {
    const log = await openServingLog({ folder, sampleRate: 1, segmentBytesMax: 1000, totalBytesMax: 3000 });
    for (let i = 0; i < 60; i++) {
      log.record(vector("JFK", i));
      await log.flush();
    }
    await log.close();
    const names = await readdir(folder);
    expect(names.length).toBeGreaterThan(1);
    expect(names.length).toBeLessThan(6);
    const values = (await readAll()).map((each) => each.values[0] as number);
    expect(values.at(-1)).toBe(59);
    expect(values).toEqual(Array.from({ length: values.length }, (_, i) => 60 - values.length + i));
  });

  it("drops and counts what does not fit its memory", async () => {
    const log = await openServingLog({ folder, sampleRate: 1, pendingBytesMax: 1000 });
    for (let i = 0; i < 100; i++) log.record(vector("JFK", i));
    expect(log.dropped).toBeGreaterThan(80);
    await log.close();
    const kept = await readAll();
    expect(kept).toHaveLength(log.recorded);
    expect(log.recorded + log.dropped).toBe(100);
  });

  it("goes on when writing fails, tells once, and starts anew when it works again", async () => {
    const errors: unknown[] = [];
    const log = await openServingLog({ folder, sampleRate: 1, onError: (error) => errors.push(error) });
    await rm(folder, { recursive: true });
    for (const value of [1, 2]) {
      log.record(vector("JFK", value));
      await log.flush();
    }
    expect(errors).toHaveLength(1);
    expect([log.recorded, log.dropped]).toEqual([0, 2]);
    await openServingLog({ folder, sampleRate: 1 });
    log.record(vector("JFK", 3));
    await log.close();
    expect((await readAll()).map((each) => each.values)).toEqual([[3]]);
  });
});
