/**
 * States as the store has them in parts: some written whole, their newest events in tails that views share. Whatever
 * order things are written in, and whichever views are run, each part fits the others.
 */
import { describe, expect, it } from "vitest";
import type { ViewDefinition } from "../../src/define/definition.ts";
import type { Expression } from "../../src/define/expression.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { compileDerived } from "../../src/fold/derive.ts";
import { lastEventTimeIn } from "../../src/fold/state-codec.ts";
import type { Micros } from "../../src/base/micros.ts";
import { type LogEvent, retractionOf } from "../../src/ingest/event.ts";
import { openEventLog } from "../../src/ingest/file-event-log.ts";
import type { SourcePipelineOptions } from "../../src/ingest/source-pipeline-options.ts";
import { TailReader } from "../../src/ingest/event-tail.ts";
import type { SourcePipeline } from "../../src/ingest/source-pipeline.ts";
import { forgetView, readStoredView } from "../../src/ingest/stored-view.ts";
import type { ViewRunner } from "../../src/ingest/view-runner.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import type { LocalOnlineStore, StateWrite } from "../../src/online-store/online-store.ts";
import { ForgetfulStorage } from "../../src/testing/forgetful-storage.ts";
import { firstSeed } from "../first-seed.ts";
import { countingStates, refoldedRun } from "./counting-events.ts";
import { liveOf, ofUser, pushOne, storedOf, USER_TAILS, watchedStage } from "./tails-world.ts";
import {
  expectedStates,
  hex,
  logOf,
  MINUTE,
  openPayments,
  payment,
  payments,
  pipelineView,
  randomFrom,
  SECOND,
  shopView,
  type Stage,
  TestClock,
  userView,
} from "./payments.ts";

const SEED = firstSeed();
/** Neighbouring seeds begin alike. */
const SEED_STEP = 40_503;

const isLarge: Expression = {
  op: "gt",
  left: {
    op: "multiply",
    left: { op: "column", name: "shop" },
    right: { op: "literal", value: 2 ** 52 },
  },
  right: { op: "literal", value: 0 },
};

/** One that refuses events that its fellows take (of shop 2), one that forgets, and one of another key, without tails. */
const views = [
  userView,
  ofUser("refusing", {
    features: [{ name: "large", type: { name: "int64" }, aggregation: { fn: "count", where: isLarge } }],
  }),
  ofUser("forgetful", { forgetAfterMicros: 20 * SECOND, exactEvents: 2 }),
  shopView,
] as const;

/** What is kept of all entities together is what a look at each gives. */
function expectTotals(runner: ViewRunner, now: number, message: string): void {
  const times = Array.from(runner.storedStates(), ({ bytes }) => lastEventTimeIn(bytes)).filter(Number.isFinite);
  expect(runner.totals.entities, message).toBe(times.length);
  for (const age of [0, 5 * SECOND, MINUTE, 5 * MINUTE, 3600 * SECOND]) {
    const { count, edge } = runner.totals.before(now - age);
    expect(count, `${message}, age ${age}`).toBe(times.filter((time) => time < edge).length);
  }
}

/** The log as the next to open it finds it. */
async function storedLog({ storage }: Stage): Promise<LogEvent[]> {
  const derive = compileDerived(payments).deriveEach;
  const log = await openEventLog({ storage, folder: "data/log/payments/0", columns: payments.columns, derive });
  const events: LogEvent[] = [];
  for await (const batch of log.read(0)) events.push(...batch);
  await log.close();
  return events;
}

/** Goes on from states that were folded from the log's first events beside those that there are, as a backfill does. */
async function rebuild(
  store: LocalOnlineStore,
  pipeline: SourcePipeline,
  { name, view, epoch, space }: ViewRunner,
  random: () => number,
  suffix: string,
): Promise<void> {
  const events = await logOf(pipeline);
  let position = Math.floor(random() * (events.length + 1));
  // Not between a retraction and what takes the place of what it takes back.
  if (position > 0 && events[position]?.id === events[position - 1]!.id) position++;
  const states = countingStates(view.definition, events.slice(0, position));
  const built = `${name}#${suffix}`;
  const writes = Object.entries(states).map(([key, state]): StateWrite => {
    const bytes = new Uint8Array(Buffer.from(state, "hex"));
    return { space: built, key, epoch, offset: view.fold.decode(bytes).lastOffset, bytes };
  });
  await store.commitAlone(writes, []);
  await pipeline.switchView(name, epoch, built, position);
  await store.dropSpace(space);
}

describe("states with tails", () => {
  it(
    `are those of all events that count, whatever is written whole, taken back, run or built again, and whenever it crashes (seed ${SEED})`,
    { timeout: 240_000 },
    async () => {
      let refused = 0;
      let rebuilt = 0;
      let corrected = 0;
      for (let round = 0; round < 30; round++) {
        const seed = SEED + round * SEED_STEP;
        const random = randomFrom(seed);
        const below = (limit: number): number => Math.floor(random() * limit);
        let stage = { storage: new ForgetfulStorage(), store: new MemoryOnlineStore(), clock: new TestClock() };
        const open = async (run: readonly ViewDefinition[]): Promise<SourcePipeline> => {
          const found = await storedLog(stage);
          let opened: SourcePipeline | null = null;
          opened = await openPayments(stage, {
            refold: async (view, corrections) =>
              refoldedRun(view, corrections, opened === null ? found : await logOf(opened)),
            views: run.map(pipelineView),
            segmentBytesMax: 4000,
            hotCountMax: 1 + below(4),
            ...(random() < 0.5 ? { hotBytesMax: () => 1 } : {}),
            flushMs: 1,
            statesPerCommit: random() < 0.5 ? below(4) : 1000,
            wholeStates: random() < 0.15,
            tailLimits: { eventsMax: below(6), shareMax: random() < 0.9 ? Number.POSITIVE_INFINITY : 0 },
          });
          return opened;
        };
        let pipeline = await open(views);
        let next = 0;
        /** What changes which views are run, or what their states are, goes one after another. */
        let changing: Promise<unknown> = Promise.resolve();
        for (let step = 0; step < 40; step++) {
          const pick = random();
          if (pick >= 0.72) await changing;
          if (pick < 0.6) {
            stage.clock.time += below(10 * SECOND);
            const rows = Array.from({ length: 1 + below(4) }, () =>
              payment(next++, {
                user: `u${below(3)}`,
                at: { micros: stage.clock.time - below(3 * MINUTE) },
                amount: random() < 0.2 ? 13 : below(90),
              }),
            );
            const pushed = pipeline.push(rows);
            if (random() < 0.5) await pushed;
            else pushed.catch(() => undefined);
          } else if (pick < 0.72) {
            for (let turns = below(6); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
            if (random() < 0.4) await pipeline.drain();
          } else if (pick < 0.77) {
            const runner = pipeline.runners[below(pipeline.runners.length)];
            if (runner === undefined) continue;
            const rebuilding = rebuild(stage.store, pipeline, runner, random, `again${step}`);
            changing = rebuilding.catch(() => undefined);
            rebuilt++;
            if (random() < 0.5) await rebuilding;
          } else if (pick < 0.84) {
            if (next === 0) continue;
            await pipeline.drain();
            const rows = Array.from({ length: 1 + below(2) }, () => {
              const n = below(next);
              const other = payment(n, { user: `u${below(3)}`, at: { micros: stage.clock.time } });
              const retraction = retractionOf(`p${n}`, payments.columns.length);
              return random() < 0.5 ? [retraction] : [retraction, pipeline.checkRow(other)];
            });
            const correcting = pipeline.correct(rows.flat());
            corrected++;
            if (random() < 0.6) await correcting;
            else {
              correcting.catch(() => undefined);
              for (let turns = below(10); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
              stage = { ...stage, storage: stage.storage.crash(random), store: stage.store.crash() };
              pipeline = await open(views.filter(() => random() < 0.8));
            }
          } else if (pick < 0.86) {
            const runner = pipeline.runners[below(pipeline.runners.length)];
            if (runner === undefined) continue;
            await pipeline.removeView(runner.name);
            await stage.store.commitAlone([], forgetView(stage.store, runner.name));
            await stage.store.dropSpace(runner.space);
          } else if (pick < 0.91) {
            const absent = views.find(({ name }) => pipeline.runner(`${name}@1`) === undefined);
            if (absent !== undefined) await pipeline.addView(pipelineView(absent));
          } else {
            if (random() < 0.5) {
              stage = { ...stage, storage: stage.storage.crash(random), store: stage.store.crash() };
            } else await pipeline.close();
            changing = Promise.resolve();
            pipeline = await open(views.filter(() => random() < 0.8));
          }
        }
        await changing;
        await pipeline.drain();
        await pipeline.close();
        pipeline = await open(views);
        await pipeline.drain();
        refused += (await pipeline.deadLetters.list({ stage: "fold", view: "refusing@1" })).length;
        const events = await logOf(pipeline);
        for (const definition of views) {
          const runner = pipeline.runner(`${definition.name}@1`)!;
          const expected = countingStates(definition, events);
          expect(storedOf(runner), `stored, ${runner.name}, seed ${seed}`).toEqual(expected);
          expect(liveOf(runner, Object.keys(expected)), `live, ${runner.name}, seed ${seed}`).toEqual(expected);
          expectTotals(runner, stage.clock.time, `totals, ${runner.name}, seed ${seed}`);
        }
        await pipeline.close();
      }
      expect(refused).toBeGreaterThan(0);
      expect(rebuilt).toBeGreaterThan(0);
      expect(corrected).toBeGreaterThan(0);
    },
  );
});

describe("an event", () => {
  const ofOneUser = [userView, ofUser("second", {}), ofUser("third", {})];
  const tailLimits = { eventsMax: 3, shareMax: Number.POSITIVE_INFINITY };
  const open = (stage: Stage, more = {}): Promise<SourcePipeline> =>
    openPayments(stage, { views: ofOneUser.map(pipelineView), tailLimits, ...more });

  it("is written once for all views of its entity, and their states once more than so many have come", async () => {
    const stage = watchedStage();
    const pipeline = await open(stage);
    const spaces: string[][] = [];
    for (let n = 0; n < 10; n++) {
      stage.commits.length = 0;
      await pushOne(pipeline, n);
      spaces.push(stage.commits.flatMap((states) => states.map(({ space }) => space)));
    }
    const whole = ofOneUser.map(({ name }) => `${name}@1#0`);
    const tail = [USER_TAILS];
    expect(spaces).toEqual([whole, tail, tail, tail, whole, tail, tail, tail, whole, tail]);
    await pipeline.close();
  });

  it("is not lost where a crash parts the commits in which its states are written whole", async () => {
    const stage = watchedStage();
    const pipeline = await open(stage, { statesPerCommit: 0, tailLimits: { ...tailLimits, eventsMax: 1 } });
    for (let n = 0; n < 2; n++) await pushOne(pipeline, n);
    const store = stage.store as MemoryOnlineStore;
    const commitAlone = store.commitAlone.bind(store);
    const crashed = new Promise<MemoryOnlineStore>((resolve) => {
      let commits = 0;
      store.commitAlone = async (states, metas) => {
        commits++;
        // Between the first view's commit and the second's another event comes.
        if (commits === 1) await pipeline.push([payment(3, { user: "u" })]);
        if (commits === 3) resolve(store.crash());
        await commitAlone(states, metas);
      };
    });
    await pipeline.push([payment(2, { user: "u" })]);
    const after = await open({ ...stage, store: await crashed });
    const events = await logOf(after);
    expect(events).toHaveLength(4);
    for (const runner of after.runners) {
      const expected = expectedStates(runner.view.definition, events);
      expect(liveOf(runner, ["u"]), runner.name).toEqual(expected);
    }
    await pipeline.close().catch(() => undefined);
    await after.close();
  });

  it("leaves no tail where states are for others, and those that were there are written whole", async () => {
    const stage = watchedStage();
    let pipeline = await open(stage);
    for (let n = 0; n < 3; n++) await pushOne(pipeline, n);
    await pipeline.close();
    expect(stage.store.count(USER_TAILS)).toBe(1);
    pipeline = await open(stage, { wholeStates: true });
    expect(stage.store.count(USER_TAILS)).toBe(0);
    const events = await logOf(pipeline);
    for (const definition of ofOneUser) {
      const stored = stage.store.get(`${definition.name}@1#0`, "u")!;
      expect({ u: hex(stored) }).toEqual(expectedStates(definition, events));
    }
    await pushOne(pipeline, 3);
    expect(stage.commits.at(-1)!.map(({ space }) => space)).toEqual(ofOneUser.map(({ name }) => `${name}@1#0`));
    await pipeline.close();
  });

  it("stays in its tail for a view that is not run, whatever the others write whole meanwhile", async () => {
    const stage = watchedStage();
    let pipeline = await open(stage);
    for (let n = 0; n < 3; n++) await pushOne(pipeline, n);
    await pipeline.close();
    pipeline = await open(stage, { views: ofOneUser.slice(0, 2).map(pipelineView) });
    for (let n = 3; n < 12; n++) await pushOne(pipeline, n);
    await pipeline.close();
    const events = await storedLog(stage);
    expect(events).toHaveLength(12);
    const third = readStoredView(stage.store, "third@1")!;
    expect(third).toMatchObject({ position: 3, tails: { space: USER_TAILS } });
    const { fold } = pipelineView(ofOneUser[2]!);
    const state = fold.decode(stage.store.get(third.space, "u")!);
    const reader = new TailReader(stage.store, payments);
    const tail = reader.read(USER_TAILS, "u")!;
    reader.foldInto({ fold, derivation: null }, state, tail, third.tails!.from, third.position);
    expect({ u: hex(fold.encode(state)) }).toEqual(expectedStates(ofOneUser[2]!, events.slice(0, 3)));
    pipeline = await open(stage);
    for (const runner of pipeline.runners) {
      expect(liveOf(runner, ["u"]), runner.name).toEqual(expectedStates(runner.view.definition, events));
    }
    await pipeline.close();
  });

  it("is in no tail any more once no view that had tails is left, and the source was opened again", async () => {
    const stage = watchedStage();
    let pipeline = await open(stage);
    for (let n = 0; n < 3; n++) await pushOne(pipeline, n);
    const forget = async (name: string): Promise<void> => {
      await pipeline.removeView(name);
      await stage.store.commitAlone([], forgetView(stage.store, name));
      await pipeline.close();
      pipeline = await open(stage, { views: pipeline.runners.map(({ view }) => view) });
    };
    for (const { name } of ofOneUser) {
      expect(stage.store.count(USER_TAILS), name).toBe(1);
      await forget(`${name}@1`);
    }
    expect(stage.store.count(USER_TAILS)).toBe(0);
    expect([...stage.store.scanMeta("tails/")]).toEqual([]);
    await pipeline.close();
  });

  it("does not come back out of a tail once it is taken back, now or when it is opened again", async () => {
    const stage = watchedStage();
    const { fold } = pipelineView(userView);
    let before: readonly LogEvent[] = [];
    const refold: SourcePipelineOptions["refold"] = (_view, run) => {
      const state = fold.empty();
      for (const event of before.slice(0, 2)) fold.fold(state, event);
      const retraction = run[0]!.offset;
      return Promise.resolve({
        states: new Map([["u", state]]),
        hit: new Map([[retraction, ["u"]]]),
        takenBack: new Set(),
      });
    };
    const run = { views: [userView, ofUser("second", {})].map(pipelineView), refold };
    let pipeline = await open(stage, run);
    for (let n = 0; n < 3; n++) await pushOne(pipeline, n);
    expect(stage.store.count(USER_TAILS)).toBe(1);
    before = await logOf(pipeline);
    const row = payments.columns.map(() => null);
    await pipeline.correct([{ id: "p2", eventTime: Number.NaN as Micros, row }]);
    for (const again of [false, true]) {
      await pipeline.drain();
      if (again) {
        await pipeline.close();
        pipeline = await open(stage, run);
      }
      for (const runner of pipeline.runners) {
        expect(runner.state("u")!.eventCount, runner.name).toBe(2);
        for (const { bytes } of runner.storedStates()) expect(fold.decode(bytes).eventCount, runner.name).toBe(2);
      }
    }
    await pushOne(pipeline, 3);
    for (const runner of pipeline.runners) expect(runner.state("u")!.eventCount, runner.name).toBe(3);
    await pipeline.close();
  });

  it("is folded into a state from where its view began with tails, up to where it stands", async () => {
    const stage = watchedStage();
    const pipeline = await open(stage, { tailLimits: { ...tailLimits, eventsMax: 10 } });
    for (let n = 0; n < 7; n++) await pushOne(pipeline, n);
    await pipeline.close();
    const reader = new TailReader(stage.store, payments);
    const tail = reader.read(USER_TAILS, "u")!;
    expect(tail).toMatchObject({ events: 6, lastOffset: 6 });
    const { fold } = pipelineView(userView);
    const state = fold.empty();
    reader.foldInto({ fold, derivation: null }, state, tail, 3, 6);
    expect(state).toMatchObject({ eventCount: 3, lastOffset: 5 });
    reader.foldInto({ fold, derivation: null }, state, tail, 3, 7);
    expect(state).toMatchObject({ eventCount: 4, lastOffset: 6 });
  });

  it("is read after the source has gained a column", async () => {
    const stage = watchedStage();
    let pipeline = await open(stage);
    for (let n = 0; n < 3; n++) await pushOne(pipeline, n);
    await pipeline.close();
    const note = { name: "note", type: { name: "string" }, nullable: true } as const;
    const source = { ...payments, columns: [note, ...payments.columns] };
    // The views are compiled over the source as it is now.
    const now = ofOneUser.map((definition) => {
      const view = pipelineView(definition);
      return { ...view, fold: compileViewFold(definition, source, view.entity) };
    });
    pipeline = await openPayments(stage, { source, views: now, tailLimits, hotCountMax: 1 });
    const before = await logOf(pipeline);
    expect(before).toHaveLength(3);
    await pushOne(pipeline, 3);
    await pipeline.close();
    pipeline = await openPayments(stage, { source, views: now, tailLimits, hotCountMax: 1 });
    for (const runner of pipeline.runners) expect(runner.state("u")!.eventCount, runner.name).toBe(4);
    await pipeline.close();
  });
});
