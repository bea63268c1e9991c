/**
 * The publisher against a store that fails, forgets and comes back, at random: a place in it never claims more than its
 * states hold, and in the end it has what the owner has.
 *
 * ONEFOLD_SEED=n runs that one case.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { OnefoldError } from "../../../src/base/errors.ts";
import type { Micros } from "../../../src/base/micros.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import type {
  MetaWrite,
  RefusedWrite,
  StateRead,
  StateWrite,
  StoreReading,
} from "../../../src/online-store/online-store.ts";
import { notedDrops } from "../../../src/platform/online/drop-notes.ts";
import { PublishedStore } from "../../../src/platform/online/published-store.ts";
import { Publisher, type PublishTarget } from "../../../src/platform/online/publisher.ts";
import { SeededRandom } from "../../../src/testing/random.ts";

const only: string | undefined = process.env["ONEFOLD_SEED"];
const KEYS = ["a", "b", "c", "d", "e", "f"];

interface Place {
  readonly space: string;
  readonly epoch: number;
  readonly position: number;
}

const meta = (name: string, value: object | null): MetaWrite => {
  return { name, bytes: value === null ? null : new Uint8Array(Buffer.from(JSON.stringify(value))) };
};

/** What the owner has folded of one view: the keys of its events, by offset. */
class View {
  readonly name: string;
  readonly keys: string[] = [];
  epoch = 0;
  #built = 0;
  #taken = 0;

  constructor(name: string) {
    this.name = name;
  }

  get space(): string {
    return `${this.name}#${this.epoch}`;
  }

  fold(random: SeededRandom): void {
    for (let i = random.integer(1, 4); i > 0; i--) this.keys.push(random.pick(KEYS));
  }

  /** States changed since the last flush, or all of a new epoch's. */
  takeWrites(from: number = this.#taken): { states: StateWrite[]; metas: MetaWrite[] } {
    const newest = new Map<string, number>();
    for (let offset = from; offset < this.keys.length; offset++) newest.set(this.keys[offset]!, offset);
    this.#taken = this.keys.length;
    const states = [...newest].map(([key, offset]): StateWrite => {
      return { space: this.space, key, epoch: this.epoch, offset, bytes: new Uint8Array([this.epoch, offset % 251]) };
    });
    const place: Place = { space: this.space, epoch: this.epoch, position: this.keys.length };
    return { states, metas: [meta(`view/${this.name}`, place)] };
  }

  built(): MetaWrite {
    return meta(`built/${this.name}`, { epoch: this.epoch, built: ++this.#built });
  }
}

/** A store that now and then fails, before or after it has written, and forgets its last moments when a connection is lost. */
class FailingTarget extends MemoryOnlineStore implements PublishTarget {
  readonly isCluster = false;
  connectionsLost = 0;
  failures = 0;
  losses = 0;
  /** Between what it was and what is left: nobody could read it then. */
  isAway = false;
  readonly #random: SeededRandom;
  #calm = false;
  /** All that was done to it, in order. */
  #written: { readonly states: readonly StateWrite[]; readonly metas: readonly MetaWrite[]; readonly drop?: string }[] =
    [];

  constructor(random: SeededRandom) {
    super();
    this.#random = random;
  }

  calm(): void {
    this.#calm = true;
  }

  override async read(states: readonly StateRead[], metas: readonly string[] = []): Promise<StoreReading> {
    this.#mayFail();
    const reading = await super.read(states, metas);
    await this.#mayForget();
    return reading;
  }

  override async commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<readonly RefusedWrite[]> {
    this.#mayFail();
    const lost = this.connectionsLost;
    const some = this.#calm || !this.#random.oneIn(6) ? states.length : this.#random.integer(0, states.length);
    const refused = await super.commit(states.slice(0, some), []);
    this.#written.push({ states: states.slice(0, some), metas: [] });
    if (some < states.length) throw this.#failure();
    this.#mayFail();
    await this.#mayForget();
    if (this.connectionsLost !== lost) throw this.#failure();
    await super.commit([], metas);
    this.#written.push({ states: [], metas });
    this.#mayFail();
    return refused;
  }

  override async dropSpace(space: string): Promise<void> {
    this.#mayFail();
    await super.dropSpace(space);
    this.#written.push({ states: [], metas: [], drop: space });
  }

  #mayFail(): void {
    if (!this.#calm && this.#random.oneIn(12)) throw this.#failure();
  }

  #failure(): OnefoldError {
    this.failures++;
    return new OnefoldError("STORE_UNAVAILABLE", "the store fails in this test");
  }

  /** What is left is what it was some writes ago, all of it. */
  async #mayForget(): Promise<void> {
    if (this.#calm || !this.#random.oneIn(25)) return;
    this.connectionsLost++;
    this.losses++;
    this.isAway = true;
    const left = this.#written.slice(0, Math.max(0, this.#written.length - this.#random.pick([0, 1, 3, 10_000])));
    for (const space of new Set(this.#written.flatMap(({ states }) => states.map((state) => state.space)))) {
      await super.dropSpace(space);
    }
    const names = new Set(this.#written.flatMap(({ metas }) => metas.map(({ name }) => name)));
    await super.commit(
      [],
      [...names].map((name) => ({ name, bytes: null })),
    );
    for (const { states, metas, drop } of left) {
      await super.commit(states, metas);
      if (drop !== undefined) await super.dropSpace(drop);
    }
    this.#written = left;
    this.isAway = false;
  }
}

/** Every event below the place's position is in the state of its key. */
function expectHonest(target: FailingTarget, view: View, seed: number): void {
  const bytes = target.getMeta(`view/${view.name}`);
  if (bytes === null || target.isAway) return;
  const { space, position } = JSON.parse(Buffer.from(bytes).toString("utf8")) as Place;
  const offsets = new Map([...target.scan(space)].map(({ key, offset }) => [key, offset]));
  for (let offset = 0; offset < position; offset++) {
    const key = view.keys[offset]!;
    const held = offsets.get(key) ?? -1;
    if (held < offset)
      throw new Error(`seed ${seed}: ${space} claims ${position}, but ${key} is at ${held}, not ${offset}`);
  }
}

async function runCase(seed: number, counts: { failures: number; losses: number }): Promise<void> {
  const random = new SeededRandom(seed);
  const local = new MemoryOnlineStore();
  const target = new FailingTarget(random);
  const publisher = new Publisher({
    local,
    target,
    clock: new ReplayClock(0 as Micros),
    keptMs: () => undefined,
    onError: () => undefined,
    queueBytesMax: random.pick([10, 40, 1e6]),
    retryMillisMin: 1,
    draftGraceMillis: 2,
  });
  const views = [new View("v@1"), new View("draft@dev")];
  const commit = async (states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<void> => {
    await local.commitAlone(states, metas);
    publisher.committed(states, metas);
  };
  let isStarted = false;
  for (let round = 0; round < 100; round++) {
    if (round === 10 || (!isStarted && random.oneIn(10))) {
      if (!isStarted) publisher.start(() => ({ flushed: [] }));
      isStarted = true;
    }
    const view = random.pick(views);
    view.fold(random);
    if (random.oneIn(10)) {
      // A rebuilt epoch: all states beside the others, then the switch, then the old ones go.
      const former = view.space;
      view.epoch++;
      const { states, metas } = view.takeWrites(0);
      for (const state of states) await commit([state], []);
      await commit([], [view.built()]);
      await commit([], metas);
      await local.dropSpace(former);
      publisher.dropped(former);
    } else {
      const { states, metas } = view.takeWrites();
      await commit(states, metas);
    }
    for (const each of views) expectHonest(target, each, seed);
    if (random.oneIn(2)) await sleep(random.integer(0, 8));
    for (const each of views) expectHonest(target, each, seed);
  }
  target.calm();
  const giveUpAt = performance.now() + 60_000;
  while (!publisher.isCaughtUp && performance.now() < giveUpAt) await sleep(5);
  for (const view of views) {
    expectHonest(target, view, seed);
    expect([...target.scan(view.space)], `seed ${seed}`).toEqual([...local.scan(view.space)]);
    expect(target.getMeta(`view/${view.name}`), `seed ${seed}`).toEqual(local.getMeta(`view/${view.name}`));
    expect(target.getMeta(`built/${view.name}`), `seed ${seed}`).toEqual(local.getMeta(`built/${view.name}`));
  }
  await publisher.close();
  counts.failures += target.failures;
  counts.losses += target.losses;
}

it("a publisher claims no more than was copied, and copies all in the end, whatever fails", async () => {
  const counts = { failures: 0, losses: 0 };
  const seeds = only === undefined ? Array.from({ length: 24 }, (_, i) => 1 + i) : [Number(only)];
  await Promise.all(seeds.map((seed) => runCase(seed, counts)));
  console.log(JSON.stringify(counts));
  if (only !== undefined) return;
  expect(counts.failures).toBeGreaterThan(100);
  expect(counts.losses).toBeGreaterThan(10);
}, 240_000);

it("a publisher leaves out a view whose newest events are beside its states, and takes back what stood for it", async () => {
  const local = new MemoryOnlineStore();
  const target = new FailingTarget(new SeededRandom(1));
  target.calm();
  const [whole, tailed] = [new View("whole@1"), new View("tailed@1")];
  for (const view of [whole, tailed]) {
    view.keys.push("a", "b");
    const { states, metas } = view.takeWrites();
    await target.commit(states, [...metas, view.built()]);
    await local.commitAlone(states, [...metas, view.built()]);
  }
  const place = { space: tailed.space, epoch: 0, position: 3, tails: { space: "tails/s/x", from: 0 } };
  await local.commitAlone([], [meta(`view/${tailed.name}`, place)]);
  const publisher = new Publisher({
    local,
    target,
    clock: new ReplayClock(1_000_000 as Micros),
    keptMs: () => undefined,
    onError: () => undefined,
    retryMillisMin: 1,
  });
  publisher.start(() => ({ flushed: [] }));
  while (!publisher.isCaughtUp) await sleep(1);
  expect(target.getMeta(`view/${tailed.name}`)).toBeNull();
  expect(target.getMeta(`view/${whole.name}`)).toEqual(local.getMeta(`view/${whole.name}`));
  await publisher.close();
});

interface Copied {
  readonly local: MemoryOnlineStore;
  readonly target: FailingTarget;
  readonly views: Readonly<Record<"stays" | "goes", View>>;
}

/** Two views that are copied. */
async function copied(): Promise<Copied> {
  const local = new MemoryOnlineStore();
  const target = new FailingTarget(new SeededRandom(1));
  target.calm();
  const views = { stays: new View("stays@1"), goes: new View("goes@1") };
  for (const view of Object.values(views)) {
    view.keys.push("a", "b");
    const { states, metas } = view.takeWrites();
    await target.commit(states, [...metas, view.built()]);
    await local.commitAlone(states, [...metas, view.built()]);
  }
  return { local, target, views };
}

function publisherOf({ local, target }: Copied, dropGraceMillis: number, retired: readonly string[] = []): Publisher {
  return new Publisher({
    local,
    target,
    clock: new ReplayClock(1_000_000 as Micros),
    keptMs: () => undefined,
    onError: () => undefined,
    retired: () => retired,
    retryMillisMin: 1,
    dropGraceMillis,
  });
}

function gone(view: View): MetaWrite[] {
  return [meta(`view/${view.name}`, null), meta(`built/${view.name}`, null)];
}

it("what is dropped here goes there, too, also where the process ends before its time has come", async () => {
  const world = await copied();
  const { local, target, views } = world;
  const first = publisherOf(world, 600_000);
  const store = new PublishedStore(Object.assign(local, { refresh: () => {}, releaseDeadReaders: () => {} }), first);
  first.start(() => ({ flushed: [] }));
  await expect.poll(() => first.isCaughtUp).toBe(true);
  await store.commitAlone([], gone(views.goes));
  await store.dropSpace(views.goes.space);
  await expect.poll(() => target.getMeta(`view/${views.goes.name}`)).toBeNull();
  // Servers may be reading from it.
  expect([...target.scan(views.goes.space)]).toHaveLength(2);
  await first.close();
  const second = publisherOf(world, 20);
  second.start(() => ({ flushed: [] }));
  await expect.poll(() => [...target.scan(views.goes.space)]).toEqual([]);
  await expect.poll(() => notedDrops(local)).toEqual([]);
  expect([...target.scan(views.stays.space)]).toHaveLength(2);
  await second.close();
});

it("what was retired while nothing was published goes once something is, and what workers fold does not", async () => {
  const world = await copied();
  const { local, target, views } = world;
  await local.commitAlone([], gone(views.goes));
  await local.dropSpace(views.goes.space);
  const place = { space: "folded@1#kafka", epoch: 0, position: 3 };
  const state = { space: place.space, key: "a", epoch: 0, offset: 1, bytes: new Uint8Array([1]) };
  await target.commit([state], [meta("view/folded@1", place)]);
  const publisher = publisherOf(world, 20, ["goes@1", "folded@1", "never@1"]);
  publisher.start(() => ({ flushed: [] }));
  await expect.poll(() => [...target.scan(views.goes.space)]).toEqual([]);
  expect(target.getMeta(`view/${views.goes.name}`)).toBeNull();
  expect(target.getMeta(`built/${views.goes.name}`)).toBeNull();
  expect([...target.scan(views.stays.space)]).toHaveLength(2);
  expect([...target.scan(place.space)]).toHaveLength(1);
  expect(target.getMeta("view/folded@1")).not.toBeNull();
  await publisher.close();
});
