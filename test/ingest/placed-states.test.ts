/**
 * States that are read and folded into where they lie: to the byte what folding them as objects gives, in whatever
 * memory, however it moves them, and whoever shares the numbers of entities.
 */
import { describe, expect, it } from "vitest";
import type { FeatureDefinition, ViewDefinition } from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { FoldState } from "../../src/fold/fold-state.ts";
import { lastEventTimeIn } from "../../src/fold/state-codec.ts";
import { createReadBuffer, type ViewFold } from "../../src/fold/view-fold.ts";
import { EntitySlots } from "../../src/ingest/entity-slots.ts";
import type { HotStates } from "../../src/ingest/hot-states.ts";
import { PlacedMemory } from "../../src/ingest/placed-memory.ts";
import { openHotStates } from "../../src/ingest/open-hot-states.ts";
import { SpaceTotals } from "../../src/ingest/space-totals.ts";
import {
  generatedEntity,
  type GeneratedEvent,
  generatedSource,
  MemoryOnlineStore,
  randomEvents,
  randomView,
  SeededRandom,
} from "../../src/testing/index.ts";
import { firstSeed } from "../first-seed.ts";

const FIRST_SEED = firstSeed();
const ROUNDS = 12;
const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`);

/** A view's states as its owner keeps them, beside the same as objects, each by itself. */
interface Kept {
  readonly fold: ViewFold<FoldState>;
  readonly hot: HotStates<FoldState>;
  readonly wanted: Map<string, FoldState>;
}

const COLUMNS = generatedSource.columns.map(({ name }) => name);
const SHOP = COLUMNS.indexOf("shop");

function placeableView(random: SeededRandom): ViewDefinition {
  for (;;) {
    const view = randomView(random, random.pick(["basic", "basic", "summaries", "sessions"]));
    if (compileViewFold(view, generatedSource, generatedEntity).placed !== null) return view;
  }
}

/** The same and first and last values of all time that are not numbers, mostly texts. */
function viewOfValues(random: SeededRandom): ViewDefinition {
  const view = placeableView(random);
  const more = Array.from({ length: random.integer(1, 4) }, (_, i): FeatureDefinition => {
    const column = random.pick(["shop", "shop", "shop", "card", "serial", "tags"]);
    const { type } = generatedSource.columns[COLUMNS.indexOf(column)]!;
    const where = { op: "eq", left: { op: "column", name: "abroad" }, right: { op: "literal", value: true } } as const;
    const aggregation = { fn: random.pick(["first", "last", "last"] as const), column };
    return {
      name: `more${i}`,
      type,
      aggregation: random.oneIn(3) ? { ...aggregation, where } : aggregation,
      ...(random.oneIn(5) ? { ttlMicros: random.pick([1_000_000, 3_600_000_000]) as never } : {}),
    };
  });
  return { ...view, features: [...view.features, ...more] };
}

/** Empty, of one byte a character and of more, with characters beyond 16 bits and halves of them, short and long. */
function oddText(random: SeededRandom): string {
  const alphabet = random.pick([
    "ab",
    "\0\u0001",
    "aÿ\u0080",
    "aĀ",
    "\0Ā",
    "日本",
    "😀a",
    "\ud800\udc00x",
    "\udfff\ud83dé",
  ]);
  const length = random.pick([0, 1, 2, 5, 6, 7, 11, 12, 13, 40, 50, 300, random.oneIn(20) ? 40_000 : 3]);
  return Array.from({ length }, () => alphabet[random.integer(0, alphabet.length - 1)]!).join("");
}

function withOddTexts(random: SeededRandom, events: GeneratedEvent[]): GeneratedEvent[] {
  const few = Array.from({ length: 10 }, () => oddText(random));
  return events.map((event) => {
    if (event.row[SHOP] === null) return event;
    const text = random.oneIn(3) ? oddText(random) : random.pick(few);
    return { ...event, row: event.row.with(SHOP, text) };
  });
}

const LAST_SHOP: ViewDefinition = {
  kind: "view",
  name: "shops",
  version: 1,
  entity: "account",
  source: "payments",
  key: ["account"],
  features: [{ name: "shop", type: { name: "string" }, aggregation: { fn: "last", column: "shop" } }],
  online: true,
  offline: true,
  freshness: "real-time",
  exactEvents: 128,
};

function readOf(fold: ViewFold<FoldState>, state: FoldState | null): readonly unknown[] {
  const buffer = createReadBuffer(fold.features.length);
  fold.read(state, state!.lastKnownTime as Parameters<ViewFold["read"]>[1], buffer);
  return buffer.values;
}

function foldOne({ fold, hot, wanted }: Kept, event: GeneratedEvent): void {
  let state = wanted.get(event.key);
  if (state === undefined) state = fold.empty();
  const expected = fold.fold(state, event).kind;
  if (expected === "folded") wanted.set(event.key, state);
  const entry = hot.entry(event.key);
  const { kind } = fold.fold(entry.state, event);
  if (kind !== expected) throw new Error(`an event is ${kind}, not ${expected}`);
  if (kind === "folded") hot.markDirty(entry);
}

function check({ fold, hot, wanted }: Kept, key: string): void {
  const state = hot.get(key);
  const expected = wanted.get(key) ?? null;
  if (state === null || expected === null) {
    if (state !== expected) throw new Error(`${key} is there, or is not, against what was folded`);
    return;
  }
  if (Buffer.compare(fold.encode(state), fold.encode(expected)) !== 0) throw new Error(`${key} has other bytes`);
  const [read, wantedRead] = [createReadBuffer(fold.features.length), createReadBuffer(fold.features.length)];
  const asOf = expected.lastKnownTime as Parameters<ViewFold["read"]>[1];
  fold.read(state, asOf, read);
  fold.read(expected, asOf, wantedRead);
  expect(read).toEqual(wantedRead);
}

async function runRound(
  seed: number,
  viewOf: (random: SeededRandom) => ViewDefinition,
  eventsOf: (random: SeededRandom, events: GeneratedEvent[]) => GeneratedEvent[] = (_, events) => events,
): Promise<void> {
  const random = new SeededRandom(seed);
  const store = new MemoryOnlineStore();
  const slots = new EntitySlots();
  let bytesMax = random.integer(5000, 400_000);
  const countMax = random.oneIn(3) ? random.integer(1, 60) : 1e6;
  const kept = Array.from({ length: 3 }, (_, i): Kept => {
    const fold = compileViewFold(viewOf(random), generatedSource, generatedEntity);
    const options = { fold, store, epoch: 0, countMax, bytesMax: () => bytesMax, slots };
    const hot = openHotStates({ ...options, space: `v${i}` });
    hot.totals = SpaceTotals.empty(`v${i}`, 0);
    return { fold, hot, wanted: new Map() };
  });
  let committing: (() => Promise<void>) | null = null;
  for (const event of eventsOf(random, randomEvents(random, random.pick([200, 1000, 1000, 4000]), KEYS))) {
    for (const one of kept) foldOne(one, event);
    if (random.oneIn(3)) check(random.pick(kept), random.pick(KEYS));
    if (random.oneIn(300)) bytesMax = random.integer(5000, 400_000);
    if (random.oneIn(200)) {
      const { hot, fold, wanted } = random.pick(kept);
      const [key, state] = random.pick([...wanted]);
      hot.markDirty(hot.replace(key, fold.decode(fold.encode(state))));
    }
    if (!random.oneIn(25)) continue;
    if (committing !== null) await committing();
    const taken = kept.map(({ hot }) => hot.takeWrites());
    committing = async () => {
      await store.commitAlone(
        taken.flatMap(({ states }) => states),
        [],
      );
      for (const { committed } of taken) committed();
    };
  }
  await committing?.();
  for (const { hot } of kept) {
    const { states, committed } = hot.takeWrites();
    await store.commitAlone(states, []);
    committed();
    expect(hot.dirtyCount + hot.wholeCount).toBe(0);
    expect(hot.count).toBeLessThanOrEqual(countMax);
  }
  for (const one of kept) for (const key of KEYS) check(one, key);
  for (const { hot, wanted, fold } of kept) {
    const stored = [...store.scan(hot.space)];
    expect(stored.map(({ key }) => key).sort()).toEqual([...wanted.keys()].sort());
    for (const { key, bytes } of stored) expect(Buffer.compare(bytes, fold.encode(wanted.get(key)!))).toBe(0);
    expect(hot.totals!.entities).toBe(stored.filter(({ bytes }) => Number.isFinite(lastEventTimeIn(bytes))).length);
    expect(hot.totals!.bytes).toBe(stored.reduce((sum, { bytes }) => sum + bytes.length, 0));
  }
  kept[0]!.hot.leave();
  for (const key of KEYS) {
    check(kept[0]!, key);
    check(kept[1]!, key);
  }
  for (const { hot } of kept) hot.leave();
  expect(slots.count).toBe(0);
}

describe("placed states", () => {
  it("are to the byte what folding them as objects gives, wherever they lie", async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed++) {
      try {
        await runRound(seed, placeableView);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });

  it("are the same with values that are not numbers: texts of any length and characters, bytes, arrays, nulls", async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed++) {
      try {
        await runRound(seed, viewOfValues, withOddTexts);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });

  it("take their texts' bytes from the memory that there may be", async () => {
    const store = new MemoryOnlineStore();
    const fold = compileViewFold(LAST_SHOP, generatedSource, generatedEntity);
    const bytesMax = 4_000_000;
    const hot = openHotStates({ fold, store, space: "v", epoch: 0, bytesMax: () => bytesMax });
    const text = "x".repeat(20_000);
    const events = randomEvents(new SeededRandom(FIRST_SEED), 1000);
    for (const [i, event] of events.entries()) {
      const entry = hot.entry(`u${i}`);
      fold.fold(entry.state, { ...event, row: event.row.with(SHOP, text) });
      hot.markDirty(entry);
    }
    const { states, committed } = hot.takeWrites();
    await store.commitAlone(states, []);
    committed();
    expect(hot.count).toBeGreaterThan(50);
    expect(hot.count * text.length).toBeLessThan(bytesMax);
    for (const i of [0, 500, 999]) {
      const [read] = readOf(fold, hot.get(`u${i}`));
      expect(read).toBe(text);
    }
  });

  it("lie in their cells as long as one of their values does, though their list has grown out of them", () => {
    const fold = compileViewFold(LAST_SHOP, generatedSource, generatedEntity);
    const placed = fold.placed!;
    const state = fold.empty();
    for (const event of randomEvents(new SeededRandom(FIRST_SEED), 5)) fold.fold(state, event);
    const cells = new Float64Array(placed.cellsWithRoom(state));
    placed.put(state, cells, 0, cells.length);
    const cursor = placed.open(cells, 0, placed.cursor());
    cursor.list.clear();
    expect(placed.liesIn(cursor, cells)).toBe(true);
    expect(placed.liesIn(state, cells)).toBe(false);
  });

  it("are those of views all of whose other values are firsts and lasts of all time", () => {
    const placedOf = (aggregation: FeatureDefinition["aggregation"], type: FeatureDefinition["type"]) =>
      compileViewFold(
        { ...LAST_SHOP, features: [...LAST_SHOP.features, { name: "more", type, aggregation }] },
        generatedSource,
        generatedEntity,
      ).placed !== null;
    const text = { name: "string" } as const;
    const texts = { name: "array", element: text } as const;
    expect(placedOf({ fn: "first", column: "shop" }, text)).toBe(true);
    expect(placedOf({ fn: "last", column: "card" }, { name: "bytes" })).toBe(true);
    expect(placedOf({ fn: "last", column: "tags" }, texts)).toBe(true);
    expect(placedOf({ fn: "last", column: "shop", over: { kind: "time", micros: 60_000_000 } }, text)).toBe(false);
    expect(placedOf({ fn: "lastK", column: "shop", parameters: { k: 2 } }, texts)).toBe(false);
    expect(placedOf({ fn: "countDistinct", column: "shop" }, { name: "int64" })).toBe(false);
  });

  it("are kept however large, until the store has them", async () => {
    const store = new MemoryOnlineStore();
    const random = new SeededRandom(FIRST_SEED);
    const definition = { ...placeableView(random), exactEvents: 128 };
    const fold = compileViewFold(definition, generatedSource, generatedEntity);
    const hot = openHotStates({ fold, store, space: "v", epoch: 0, bytesMax: () => 100 });
    const kept = { fold, hot, wanted: new Map<string, FoldState>() };
    for (const event of randomEvents(random, 2000, KEYS)) foldOne(kept, event);
    for (const key of KEYS) check(kept, key);
    const { states, committed } = hot.takeWrites();
    await store.commitAlone(states, []);
    committed();
    expect(hot.count).toBe(0);
    for (const key of KEYS) check(kept, key);
  });

  it("are each its own entity's where very many have changed and there is no memory at all", async () => {
    const fold = compileViewFold(
      { ...placeableView(new SeededRandom(FIRST_SEED)), forgetAfterMicros: 1e15 as never },
      generatedSource,
      generatedEntity,
    );
    const store = new MemoryOnlineStore();
    const slots = new EntitySlots();
    const hot = openHotStates({ fold, store, space: "v", epoch: 0, bytesMax: () => 0, slots });
    const events = randomEvents(new SeededRandom(FIRST_SEED), 40_000);
    const wanted = events.map((event, i) => {
      const entry = hot.entry(`u${i}`);
      fold.fold(entry.state, event);
      hot.markDirty(entry);
      return Buffer.from(fold.encode(hot.get(`u${i}`)!));
    });
    const { states, committed } = hot.takeWrites();
    expect(states.map(({ key }) => key)).toEqual(events.map((_, i) => `u${i}`));
    expect(states.findIndex(({ bytes }, i) => Buffer.compare(bytes, wanted[i]!) !== 0)).toBe(-1);
    await store.commitAlone(states, []);
    committed();
    expect([hot.count, slots.count]).toEqual([0, 0]);
    for (const i of [0, 32_767, 32_768, 39_999]) {
      expect(Buffer.compare(fold.encode(hot.get(`u${i}`)!), wanted[i]!)).toBe(0);
    }
  });

  it("stay where there is room for all, and what is asked for again and again where there is none", async () => {
    const store = new MemoryOnlineStore();
    const fold = compileViewFold(
      { ...placeableView(new SeededRandom(FIRST_SEED)), forgetAfterMicros: 1e15 as never },
      generatedSource,
      generatedEntity,
    );
    const [event] = randomEvents(new SeededRandom(FIRST_SEED), 1);
    const bytesMax = 400_000;
    const hot = openHotStates({ fold, store, space: "v", epoch: 0, bytesMax: () => bytesMax });
    const state = fold.empty();
    // Of a view whose predicates refuse it: any state does.
    fold.fold(state, event!);
    const bytes = fold.encode(state);
    const asked: string[] = [];
    store.lend = (_, key) => {
      asked.push(key);
      return bytes;
    };
    for (let i = 0; i < 100; i++) hot.get(`u${i}`);
    asked.length = 0;
    for (let i = 0; i < 100; i++) hot.get(`u${i}`);
    expect(asked).toEqual([]);
    for (let i = 100; i < 20_000; i++) {
      hot.get(`u${i}`);
      hot.get("u0");
    }
    expect(asked.filter((key) => key === "u0")).toEqual([]);
    expect(hot.count * bytes.length).toBeLessThan(bytesMax);
  });

  it("take no more memory for entities that stay the same in number, however much of it there may be", () => {
    const random = new SeededRandom(FIRST_SEED);
    const fold = compileViewFold(placeableView(random), generatedSource, generatedEntity);
    const placed = fold.placed!;
    const memory = new PlacedMemory({ placed, countMax: 1e6, bytesMax: () => 2 ** 30, letGo: () => {} });
    const cursor = placed.cursor();
    const events = randomEvents(random, 40_000, KEYS);
    const sizes: number[] = [];
    for (const [n, event] of events.entries()) {
      const slot = Number(event.key.slice(1));
      const isThere = memory.find(slot);
      const state = isThere ? memory.open(cursor) : fold.empty();
      if (fold.fold(state, event).kind !== "folded") continue;
      if (!isThere || !memory.settle(cursor)) memory.put(slot, state, false);
      if (n % 1000 === 0) sizes.push(memory.bytes);
    }
    expect(Math.max(...sizes)).toBeLessThan(4 * 1024 * 1024);
  });
});
