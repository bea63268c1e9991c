/**
 * Backfill that goes live: a view computed from history, beside whatever is served and pushed, is from its first moment
 * what it would be had it always existed, to the byte.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { count, entity, last, max, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { PlatformOptions } from "../../src/platform/platform-options.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { firstSeed } from "../first-seed.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;
const SEED = firstSeed();
const HISTORY = 20_000;

const meter = entity("meter", { meter_id: t.string() });
const columns = { meter_id: t.string(), read_at: t.timestamp(), watts: t.int64() };
const readings = stream("readings", { columns, eventTime: "read_at" });
const features = { watts: sum("watts").over("1h"), peak: max("watts"), n: count().over("10m"), newest: last("watts") };
const of = (name: string) => view(name, { entity: meter, source: readings, features });
const base = [meter, readings, of("always")];
const NAMES = Object.keys(features);

let folder: string;
let clock: ReplayClock;
let platform: Platform;
let random: SeededRandom;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-backfill-"));
  clock = new ReplayClock(START);
  random = new SeededRandom(SEED);
  await open();
  await platform.apply(base);
  const file = join(folder, "history.ndjson");
  await writeFile(file, Array.from({ length: HISTORY }, () => JSON.stringify(reading())).join("\n"));
  await platform.importHistory("readings", [file]);
  clock.advanceTo((START + MINUTE) as Micros);
});

afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(options: Partial<PlatformOptions> = {}): Promise<void> {
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, servingLogSampleRate: 1, ...options });
}

function reading(): Record<string, unknown> {
  const readAt = (clock.now() - random.integer(0, 20 * MINUTE)) as Micros;
  return { meter_id: `m${random.integer(1, 300)}`, read_at: formatMicros(readAt), watts: random.integer(-50, 500) };
}

async function pushSome(): Promise<void> {
  clock.advanceTo((clock.now() + random.integer(1, MINUTE)) as Micros);
  await platform.push("readings", Array.from({ length: random.integer(1, 30) }, reading));
}

function states(name: string): Map<string, string> {
  return new Map(
    [...platform.exportStates(name, 1)].map(({ key, bytes }) => [key, Buffer.from(bytes).toString("hex")]),
  );
}

async function expectSame(why: string): Promise<void> {
  await platform.settle();
  expect(states("late"), why).toEqual(states("always"));
}

/** Both views at one moment; the code where reading is refused. */
async function bothAnswer(): Promise<{ late: unknown[]; always: unknown[] } | unknown> {
  const id = `m${random.integer(1, 300)}`;
  const wanted = ["late", "always"].flatMap((name) => NAMES.map((feature) => `${name}@1:${feature}`));
  return platform.features("meter", id, wanted).then(
    ({ features: answered }) => ({
      late: NAMES.map((feature) => answered[`late@1:${feature}`]),
      always: NAMES.map((feature) => answered[`always@1:${feature}`]),
    }),
    (error: { code?: unknown }) => error.code,
  );
}

/** Pushes and asks until `work` is done; what was answered and pushed meanwhile. */
async function beside(work: Promise<unknown>): Promise<{ pushes: number; answers: number; refusals: Set<unknown> }> {
  const seen = { pushes: 0, answers: 0, refusals: new Set<unknown>() };
  const state = { isDone: false };
  const working = work.finally(() => {
    state.isDone = true;
  });
  working.catch(() => {});
  while (!state.isDone) {
    await pushSome();
    const answer = await bothAnswer();
    if (typeof answer === "object") {
      const { late, always } = answer as { late: unknown[]; always: unknown[] };
      expect(late, `seed ${SEED}`).toEqual(always);
      seen.answers++;
    } else seen.refusals.add(answer);
    if (!state.isDone) seen.pushes++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await working;
  return seen;
}

async function ready(): Promise<Record<string, unknown>> {
  return platform.request("GET", "/ready");
}

async function builtBehind(): Promise<void> {
  const giveUpAt = performance.now() + 120_000;
  while ("building" in (await ready())) {
    if (performance.now() > giveUpAt) throw new Error("it was not built within two minutes");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("backfill", () => {
  it(`of a new view goes live at an exact position, beside pushes and requests (seed ${SEED})`, async () => {
    await platform.serve({ port: 0 });
    const applied = platform.apply([...base, of("late")]);
    const { pushes, refusals } = await beside(applied);
    expect(pushes).toBeGreaterThan(2);
    expect([...refusals].every((code) => code === "NOT_READY" || code === "VIEW_UNKNOWN")).toBe(true);
    await expectSame(`seed ${SEED}`);
    await beside(Promise.all([pushSome(), pushSome(), pushSome()]));
    await expectSame(`seed ${SEED}, and after more pushes`);
    expect((await platform.audit({ states: true })).clean).toBe(true);
  });

  it(`of a new view that is cut short goes on when the folder is opened, which serves meanwhile (seed ${SEED})`, async () => {
    await platform.close();
    await open({ backfillShare: 0.001 });
    await platform.serve({ port: 0 });
    const applied = platform.apply([...base, of("late")]).catch((error: { code?: unknown }) => error.code);
    // Not before it is under way.
    while (!("building" in (await ready()))) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await ready()).toEqual({ status: "ready", building: ["view late@1"] });
    for (let i = 0; i < 3; i++) await pushSome();
    await platform.close();
    expect(await applied).toBe("CANCELLED");

    await open({ backfill: "behind", backfillShare: 0.05 });
    await platform.serve({ port: 0 });
    expect(await ready()).toEqual({ status: "ready", building: ["view late@1"] });
    expect(await bothAnswer()).toBe("NOT_READY");
    await beside(builtBehind());
    await expectSame(`seed ${SEED}`);
    await platform.close();
    await open();
    await expectSame(`seed ${SEED}, opened again`);
  });

  it(`holds up no push, also where the source gains a column with it (seed ${SEED})`, async () => {
    await platform.close();
    await open({ backfillShare: 0.05 });
    await platform.serve({ port: 0 });
    const more = { ...columns, note: t.string().nullable() };
    const wider = stream("readings", { columns: more, eventTime: "read_at" });
    const wide = (name: string) => view(name, { entity: meter, source: wider, features });
    const applied = platform.apply([meter, wider, wide("always"), wide("late")]);
    while (!("building" in (await ready().catch(() => ({}))))) await new Promise((resolve) => setTimeout(resolve, 5));
    const { pushes } = await beside(applied);
    expect(pushes).toBeGreaterThan(3);
    await expectSame(`seed ${SEED}`);
  });

  it(`of a view that stands computes it anew beside itself, again and again, and cut short goes on (seed ${SEED})`, async () => {
    await platform.apply([...base, of("late")]);
    await platform.serve({ port: 0 });
    for (let round = 0; round < 2; round++) {
      const { answers, refusals } = await beside(platform.backfill({ name: "late" }));
      expect(answers, "it is served all the while").toBeGreaterThan(1);
      expect([...refusals]).toEqual([]);
      await expectSame(`seed ${SEED}, round ${round}`);
    }
    const cut = platform.backfill({ name: "late" }).catch((error: { code?: unknown }) => error.code);
    await pushSome();
    await platform.close();
    expect(["CANCELLED", undefined]).toContain(await cut);
    await open({ backfill: "behind" });
    await pushSome();
    await builtBehind();
    await expectSame(`seed ${SEED}, cut short`);
    // Only one copy of the states is left, or the folder would grow.
    expect((await platform.audit({ states: true })).clean).toBe(true);
    await expect(platform.backfill({ name: "never" })).rejects.toMatchObject({ code: "VIEW_UNKNOWN" });
  });

  it("says what it takes before it is begun, of a view that is not registered yet, too", async () => {
    const cost = await platform.backfillCost({ view: "late", definitions: [...base, of("late")] });
    const stored = states("always");
    const stateBytes = [...stored.values()].reduce((sumOf, hex) => sumOf + hex.length / 2, 0);
    expect(cost).toMatchObject({ events: HISTORY, entities: stored.size, trialEntities: stored.size, stateBytes });
    expect(cost.readBytes).toBeGreaterThan(HISTORY);
    expect(cost.seconds).toBeGreaterThan(0);
    expect(platform.registry.find({ name: "late" })).toEqual([]);
  });
});
