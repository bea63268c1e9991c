/**
 * The laws of conditional writes, against a store of any kind, at random.
 *
 * One commit after another, a store must do exactly what a map does that compares versions. Where commits overtake one
 * another no single outcome is the right one, but whatever the order was: of each state those writes that landed are
 * each newer than the one before, so no version lands twice; the newest ever written is there in the end, with the
 * bytes of the write that landed; a refused write is told of a version that is not older than its own; and no reader
 * ever sees a state become older, nor one older than a commit that had resolved before the read began.
 */
import { deepStrictEqual, ok } from "node:assert";
import type {
  OnlineStore,
  RefusedWrite,
  StateRead,
  StateVersion,
  StateWrite,
  StoredState,
} from "../online-store/online-store.ts";
import { SeededRandom } from "./random.ts";

const SPACES = ["v@1#0", "w@2#1"];
const KEYS = ["a", "b", "}", "", "some longer key"];
const PLACES: readonly StateRead[] = SPACES.flatMap((space) => KEYS.map((key) => ({ space, key })));

/** Whether `a` is newer than `b`, as the contract words it. */
function isNewer(a: StateVersion, b: StateVersion): boolean {
  return a.epoch === b.epoch ? a.offset > b.offset : a.epoch > b.epoch;
}

function nameOf({ space, key }: StateRead): string {
  return JSON.stringify([space, key]);
}

/** `mark` tells one write from all others, of its version too. */
function randomWrites(random: SeededRandom, offsetMax: number, mark: () => number): StateWrite[] {
  return Array.from({ length: random.integer(1, 8) }, () => {
    const bytes = new Uint8Array(random.integer(4, 40));
    new DataView(bytes.buffer).setUint32(0, mark());
    const history = random.oneIn(8) ? -(2 ** 52) : 0;
    return {
      ...random.pick(PLACES),
      epoch: random.oneIn(4) ? random.integer(0, 2) : 1,
      offset: history + random.integer(0, offsetMax),
      bytes,
    };
  });
}

function counter(): () => number {
  let last = 0;
  return () => ++last;
}

async function stored(store: OnlineStore): Promise<Map<string, StoredState | null>> {
  const { states } = await store.read(PLACES);
  return new Map(PLACES.map((place, i) => [nameOf(place), states[i]!]));
}

/** Throws where the store does other than the model, and names the seed. */
export async function checkAgainstModel(store: OnlineStore, seed: number): Promise<void> {
  await named(seed, async () => {
    const random = new SeededRandom(seed);
    const mark = counter();
    const model = new Map<string, StoredState>();
    for (let round = 0; round < 120; round++) {
      if (random.oneIn(20)) {
        const space = random.pick(SPACES);
        await store.dropSpace(space);
        for (const place of PLACES) if (place.space === space) model.delete(nameOf(place));
      }
      const writes = randomWrites(random, 12, mark);
      const expected: RefusedWrite[] = [];
      for (const [index, write] of writes.entries()) {
        const present = model.get(nameOf(write));
        if (present !== undefined && !isNewer(write, present)) {
          expected.push({ index, stored: { epoch: present.epoch, offset: present.offset } });
        } else {
          model.set(nameOf(write), { epoch: write.epoch, offset: write.offset, bytes: write.bytes });
        }
      }
      deepStrictEqual(await store.commit(writes, []), expected);
      for (const [name, state] of await stored(store)) deepStrictEqual(state, model.get(name) ?? null);
    }
  });
}

/** Throws where a law is broken, and names the seed. */
export async function checkInterleavings(store: OnlineStore, seed: number): Promise<void> {
  await named(seed, async () => {
    const random = new SeededRandom(seed);
    const mark = counter();
    const tried: StateWrite[] = [];
    const landed: StateWrite[] = [];
    const resolved = new Map<string, StateVersion>();
    const left = { writers: 6 };

    const writer = async (): Promise<void> => {
      for (let i = 0; i < 25; i++) {
        const underWay = Array.from({ length: random.integer(1, 3) }, async () => {
          const writes = randomWrites(random, 400, mark);
          tried.push(...writes);
          const refused = await store.commit(writes, []);
          const refusedAt = new Set(refused.map(({ index }) => index));
          for (const { index, stored: present } of refused) {
            ok(!isNewer(writes[index]!, present), "a write was refused for an older one");
          }
          for (const [index, write] of writes.entries()) {
            if (!refusedAt.has(index)) landed.push(write);
            const before = resolved.get(nameOf(write));
            if (before === undefined || isNewer(write, before)) resolved.set(nameOf(write), write);
          }
        });
        await Promise.all(underWay);
      }
      left.writers--;
    };
    const reader = async (): Promise<void> => {
      const seen = new Map<string, StateVersion>();
      while (left.writers > 0) {
        const before = new Map(resolved);
        for (const [name, state] of await stored(store)) {
          for (const earlier of [seen.get(name), before.get(name)]) {
            if (earlier !== undefined) ok(state !== null && !isNewer(earlier, state), `a read of ${name} went back`);
          }
          if (state !== null) seen.set(name, state);
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    // A writer that fails ends the readers, too.
    const writers = Array.from({ length: left.writers }, () =>
      writer().catch((error: unknown) => {
        left.writers = 0;
        throw error;
      }),
    );
    await Promise.all([...writers, reader(), reader()]);

    for (const [name, state] of await stored(store)) {
      const versions = landed.filter((write) => nameOf(write) === name);
      const newest = tried
        .filter((write) => nameOf(write) === name)
        .reduce<StateWrite | null>((best, write) => (best === null || isNewer(write, best) ? write : best), null);
      deepStrictEqual(state === null, newest === null);
      if (state === null || newest === null) continue;
      deepStrictEqual([state.epoch, state.offset], [newest.epoch, newest.offset]);
      const winner = versions.find(({ epoch, offset }) => epoch === state.epoch && offset === state.offset);
      deepStrictEqual(state.bytes, winner?.bytes);
      const once = new Set(versions.map(({ epoch, offset }) => `${epoch} ${offset}`));
      deepStrictEqual(once.size, versions.length, `a version of ${name} landed twice`);
    }
  });
}

async function named(seed: number, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (cause) {
    throw new Error(`seed ${seed}: ${(cause as Error).message}`, { cause });
  }
}
