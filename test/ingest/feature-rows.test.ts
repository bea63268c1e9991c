/**
 * Rows of minutes: one for each entity and minute in which it changed, with the value that it had at the minute's end,
 * whatever crashes, closes or shares numbers of entities with others.
 */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { FoldState } from "../../src/fold/fold-state.ts";
import { count, entity, stream, t, view } from "../../src/index.ts";
import { EntitySlots } from "../../src/ingest/entity-slots.ts";
import { FeatureRows, minuteOf, nextOutboxBatch, outboxRows } from "../../src/ingest/feature-rows.ts";
import { MemoryOnlineStore, SeededRandom } from "../../src/testing/index.ts";
import { firstSeed } from "../first-seed.ts";

const FIRST_SEED = firstSeed();
const ROUNDS = 60;
const MINUTE = 60_000_000;
const user = entity("user", { user: t.string() });
const clicks = stream("clicks", { columns: { user: t.string(), at: t.timestamp() }, eventTime: "at" });
const activity = view("activity", { entity: user, source: clicks, features: { clicks: count() } });
const fold = compileViewFold(activity, clicks, user);

/** What the store has of a view, all of one commit. */
interface Stored {
  readonly states: ReadonlyMap<string, Uint8Array>;
  readonly position: number;
  readonly nextSequence: number;
}

/** A view that runs, and may crash. */
class Running {
  readonly name: string;
  readonly #store: MemoryOnlineStore;
  #states = new Map<string, FoldState>();
  #position = 0;
  #stored: Stored = { states: new Map(), position: 0, nextSequence: 0 };
  rows!: FeatureRows;

  constructor(name: string, store: MemoryOnlineStore) {
    this.name = name;
    this.#store = store;
  }

  /** As the next process finds it. */
  open(slots: EntitySlots): void {
    this.#states = new Map(Array.from(this.#stored.states, ([key, bytes]) => [key, fold.decode(bytes)]));
    this.#position = this.#stored.position;
    this.rows = new FeatureRows({
      store: this.#store,
      view: this.name,
      fold,
      nextSequence: this.#stored.nextSequence,
      slots,
      state: (key) => this.#states.get(key) ?? null,
      epoch: () => 0,
    });
  }

  fold(log: readonly { readonly key: string; readonly at: Micros }[]): void {
    for (; this.#position < log.length; this.#position++) {
      const { key, at } = log[this.#position]!;
      this.rows.beforeFold(key, at);
      const state = this.#states.get(key) ?? fold.empty();
      this.#states.set(key, state);
      fold.fold(state, { offset: this.#position, eventTime: at, knownTime: at, row: [key, at] });
      this.rows.folded(key);
    }
  }

  async flush(random: SeededRandom, isLost: boolean): Promise<void> {
    this.rows.captureDue(random.integer(0, 3));
    const metas = this.rows.takeWrites();
    const states = new Map(Array.from(this.#states, ([key, state]) => [key, fold.encode(state)]));
    const stored = { states, position: this.#position, nextSequence: this.rows.nextSequence };
    if (isLost) return;
    await this.#store.commitAlone([], metas);
    this.#stored = stored;
  }

  /** Clicks so far, by entity and minute. */
  written(): [string, number][] {
    const rows: [string, number][] = [];
    for (let batch = nextOutboxBatch(this.#store, this.name); batch !== null;) {
      for (const some of outboxRows(batch, fold, [{ name: "string" }])) {
        for (const { key, minute, values } of some) rows.push([`${String(key[0])} ${minute}`, Number(values[0])]);
      }
      batch = nextOutboxBatch(this.#store, this.name, batch.metaName);
    }
    return rows.sort();
  }
}

async function runRound(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const store = new MemoryOnlineStore();
  const isShared = !random.oneIn(5);
  const keys = Array.from({ length: random.integer(1, 12) }, (_, i) => `k${i}`);
  const views = [new Running("a@1", store), new Running("b@1", store)];
  const log: { readonly key: string; readonly at: Micros }[] = [];
  let slots = new EntitySlots();
  /** Slots that others hold, and leave to whoever comes. */
  let others: number[] = [];
  const openAll = (): void => {
    slots = new EntitySlots();
    others = [];
    for (const one of views) one.open(isShared ? slots : new EntitySlots());
  };
  openAll();
  let now = 100 * MINUTE;
  let known = now;
  for (let step = random.integer(50, 600); step > 0; step--) {
    const kind = random.integer(0, 99);
    const one = random.pick(views);
    if (kind < 60) {
      known = Math.max(known, now);
      log.push({ key: random.pick(keys), at: known as Micros });
      if (random.oneIn(2)) for (const each of views) each.fold(log);
    } else if (kind < 70) now += random.integer(0, MINUTE);
    else if (kind < 75) {
      if (random.oneIn(3)) now += 2 * MINUTE;
      for (const each of views) each.fold(log);
      if (!views.some(({ rows }) => rows.hasMinuteBefore(now))) continue;
      known = Math.max(known, now);
      for (const { rows } of views) rows.closeBefore(known);
    } else if (kind < 85) one.rows.captureDue(random.integer(0, 4));
    else if (kind < 93) {
      one.fold(log);
      await one.flush(random, false);
    } else if (kind < 95) {
      if (random.oneIn(2)) await one.flush(random, true);
      openAll();
    } else if (kind < 98) {
      if (others.length > 0 && random.oneIn(2)) slots.leave(others.pop()!);
      else others.push(slots.hold(random.pick([...keys, "x", "y", "z"])));
    } else if (random.oneIn(3)) {
      one.fold(log);
      await one.flush(random, false);
      one.rows.leave();
      one.open(isShared ? slots : new EntitySlots());
    }
  }
  for (const one of views) {
    one.fold(log);
    known += 2 * MINUTE;
    one.rows.closeBefore(known);
    for (let turns = 0; one.rows.hasRowsToWrite || one.rows.hasWrites; turns++) {
      if (turns > 10_000) throw new Error("rows are never all written");
      one.rows.captureDue(5);
      await one.flush(random, false);
    }
    const counts = new Map<string, number>();
    const wanted = new Map<string, number>();
    for (const { key, at } of log) {
      counts.set(key, (counts.get(key) ?? 0) + 1);
      wanted.set(`${key} ${minuteOf(at)}`, counts.get(key)!);
    }
    expect(one.written()).toEqual([...wanted].sort());
    expect([...store.scanMeta(`changed/${one.name}`)]).toEqual([]);
  }
  for (const slot of others) slots.leave(slot);
  for (const { rows } of views) rows.leave();
  expect(slots.count).toBe(0);
}

describe("rows of minutes", () => {
  it("are there once for each entity and minute, as they stood at its end, and hold no number of an entity longer", async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed++) {
      await runRound(seed).catch((cause: unknown) => {
        throw new Error(`seed ${seed}: ${String(cause)}`, { cause });
      });
    }
  });
});
