/** Hot states: nothing that changed is lost, however few are kept, and what is used stays. */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { FoldState } from "../../src/fold/fold-state.ts";
import { count, entity, stream, t, view } from "../../src/index.ts";
import { EntitySlots } from "../../src/ingest/entity-slots.ts";
import type { HotStates } from "../../src/ingest/hot-states.ts";
import { openHotStates } from "../../src/ingest/open-hot-states.ts";
import type { LocalOnlineStore } from "../../src/online-store/online-store.ts";
import { MemoryOnlineStore, SeededRandom } from "../../src/testing/index.ts";
import { firstSeed } from "../first-seed.ts";

const user = entity("user", { user: t.string() });
const clicks = stream("clicks", { columns: { user: t.string(), at: t.timestamp() }, eventTime: "at" });
const activity = view("activity", { entity: user, source: clicks, features: { clicks: count() } });
const fold = compileViewFold(activity, clicks, user);
const SPACE = "activity@1";

function hotStates(
  countMax: number,
  bytesMax: () => number = () => 1e9,
  slots: EntitySlots = new EntitySlots(),
): {
  readonly hot: HotStates<FoldState>;
  readonly store: LocalOnlineStore;
  readonly reads: string[];
} {
  const store = new MemoryOnlineStore();
  const reads: string[] = [];
  const get = store.get.bind(store);
  store.get = (space, key) => {
    reads.push(key);
    return get(space, key);
  };
  return { hot: openHotStates({ fold, store, space: SPACE, epoch: 0, countMax, bytesMax, slots }), store, reads };
}

function click(hot: HotStates<FoldState>, key: string, offset: number): void {
  const entry = hot.entry(key);
  const at = offset as Micros;
  fold.fold(entry.state, { offset, eventTime: at, knownTime: at, row: [key, at] });
  hot.markDirty(entry);
}

async function flush(hot: HotStates<FoldState>, store: LocalOnlineStore): Promise<void> {
  const { states, committed } = hot.takeWrites();
  await store.commitAlone(states, []);
  committed();
}

const FIRST_SEED = firstSeed();

describe("hot states", () => {
  it("lose no event while they are let go and read again", async () => {
    for (let round = 0; round < 20; round++) {
      const seed = FIRST_SEED + round;
      const random = new SeededRandom(seed);
      const countMax = random.integer(1, 30);
      const { hot, store } = hotStates(countMax);
      const clicked = new Map<string, number>();
      const pending: Promise<void>[] = [];
      for (let offset = 0; offset < 2000; offset++) {
        const key = `u${random.integer(0, 60)}`;
        if (random.oneIn(2)) {
          click(hot, key, offset);
          clicked.set(key, (clicked.get(key) ?? 0) + 1);
        } else {
          expect(hot.get(key)?.eventCount ?? 0, `seed ${seed}, ${key}`).toBe(clicked.get(key) ?? 0);
        }
        if (random.oneIn(10)) {
          await Promise.all(pending.splice(0));
          pending.push(flush(hot, store));
        }
      }
      await Promise.all(pending);
      // Whoever was asked for since it was written stays until the next flush.
      for (let times = 0; times < 2; times++) await flush(hot, store);
      expect(hot.count, `seed ${seed}`).toBeLessThanOrEqual(countMax);
      for (const [key, times] of clicked) expect(hot.get(key)?.eventCount, `seed ${seed}, ${key}`).toBe(times);
    }
  });

  it("keep what is used again and again beside a crowd that comes once", async () => {
    const { hot, store, reads } = hotStates(100);
    for (let i = 0; i < 1000; i++) click(hot, `u${i}`, i);
    await flush(hot, store);
    // Once memory is full, what is asked for takes a place when it is asked for again and again.
    for (let i = 0; i < 20; i++) hot.get("u0");
    reads.length = 0;
    for (let i = 1; i < 1000; i++) {
      hot.get(`u${i}`);
      hot.get("u0");
    }
    expect(reads).not.toContain("u0");
    expect(hot.count).toBeGreaterThan(90);
    expect(hot.count).toBeLessThanOrEqual(100);
  });

  it("let a crowd that comes once drive out little of what is there", async () => {
    const { hot, store, reads } = hotStates(1000);
    for (let i = 0; i < 4000; i++) click(hot, `u${i}`, i);
    for (let times = 0; times < 2; times++) await flush(hot, store);
    const kept = (): number => {
      reads.length = 0;
      for (let i = 0; i < 1000; i++) hot.get(`u${i}`);
      return 1000 - reads.length;
    };
    for (let times = 0; times < 30; times++) kept();
    const before = kept();
    expect(before).toBeGreaterThan(500);
    for (let i = 3000; i < 4000; i++) hot.get(`u${i}`);
    expect(kept()).toBeGreaterThan(before / 2);
  });

  it("are each entity's own, whatever was read in the same memory before", async () => {
    const { hot, store } = hotStates(10);
    for (let i = 0; i < 300; i++) click(hot, `u${i % 100}`, i);
    await flush(hot, store);
    for (let i = 300; i < 350; i++) click(hot, `u${i % 100}`, i);
    for (let i = 0; i < 100; i++) expect(hot.get(`u${i}`)?.eventCount, `u${i}`).toBe(i < 50 ? 4 : 3);
    await flush(hot, store);
    for (let i = 0; i < 100; i++) expect(hot.get(`u${i}`)?.eventCount, `u${i}`).toBe(i < 50 ? 4 : 3);
    for (let times = 0; times < 2; times++) await flush(hot, store);
    expect(hot.count).toBeLessThanOrEqual(10);
  });

  it("take no more memory than there is, also where it becomes less", async () => {
    let bytesMax = 100_000;
    const { hot, store } = hotStates(1e6, () => bytesMax);
    for (let i = 0; i < 2000; i++) click(hot, `u${i}`, i);
    await flush(hot, store);
    for (let i = 0; i < 2000; i++) hot.get(`u${i}`);
    const before = hot.count;
    expect(before).toBeGreaterThan(100);
    expect(before).toBeLessThan(500);
    bytesMax /= 4;
    for (let i = 0; i < 2000; i++) expect(hot.get(`u${i}`)?.eventCount).toBe(1);
    expect(hot.count).toBeGreaterThan(before / 6);
    expect(hot.count).toBeLessThan(before / 3);
  });

  it("let one go without looking at those that went before it", () => {
    // The table of a Map with so many has room for as many deleted ones again before it is made anew.
    const countMax = 140_000;
    const misses = 40_000;
    const { hot, store } = hotStates(countMax);
    const bytes = fold.encode(fold.empty());
    store.get = () => bytes;
    const msOf = (first: number): number => {
      const startMs = performance.now();
      for (let i = first; i < first + misses; i++) hot.get(`u${i}`);
      return performance.now() - startMs;
    };
    const fillingMs = Math.min(msOf(0), msOf(misses), msOf(2 * misses));
    msOf(3 * misses);
    msOf(4 * misses);
    const fullMs = Math.min(msOf(5 * misses), msOf(6 * misses));
    expect(hot.count).toBeGreaterThan(0.9 * countMax);
    expect(hot.count).toBeLessThanOrEqual(countMax);
    // Walked from the beginning for each, it is some twenty times as much.
    expect(fullMs).toBeLessThan(4 * fillingMs);
  });

  it("are left without holding up whoever asks meanwhile, however many they are", async () => {
    const bytes = fold.encode(fold.empty());
    const msOfLeaving = async (count: number): Promise<number> => {
      const slots = new EntitySlots();
      const { hot, store } = hotStates(2 * count, () => 1e9, slots);
      store.get = () => bytes;
      for (let i = 0; i < count; i++) hot.get(`u${i}`);
      expect(hot.count).toBe(count);
      const startMs = performance.now();
      hot.leave();
      const leavingMs = performance.now() - startMs;
      expect([hot.count, slots.count < count, slots.count > 0]).toEqual([0, true, true]);
      await expect.poll(() => slots.count).toBe(0);
      return leavingMs;
    };
    const fewMs: number[] = [];
    const manyMs: number[] = [];
    for (let round = 0; round < 3; round++) {
      fewMs.push(await msOfLeaving(5000));
      manyMs.push(await msOfLeaving(100_000));
    }
    // Looked for all at once, they take some twenty times as long.
    expect(Math.min(...manyMs)).toBeLessThan(7 * Math.min(...fewMs));
  });
});
