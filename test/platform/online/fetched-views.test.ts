import { describe, expect, it } from "vitest";
import { ChangeCounts } from "../../../src/online-store/change-counts.ts";
import { OnefoldError } from "../../../src/base/errors.ts";
import type { Micros } from "../../../src/base/micros.ts";
import { compileViewFold } from "../../../src/fold/compile.ts";
import { type StoredView, viewMetaName } from "../../../src/ingest/stored-view.ts";
import type {
  OnlineStore,
  RemoteChanges,
  RemoteOnlineStore,
  StateRead,
} from "../../../src/online-store/online-store.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { FetchedViews } from "../../../src/platform/online/fetched-views.ts";
import type { CatalogView } from "../../../src/platform/view-catalog.ts";
import type { ServedView } from "../../../src/serve/ports.ts";
import { payments, user, userView } from "../../ingest/payments.ts";

const SPACE = "user_payments@1#0";
const fold = compileViewFold(userView, payments, user);

function viewNamed(name: string): CatalogView {
  return { name, definition: userView, entity: user, source: payments, fold } as unknown as CatalogView;
}

const view = viewNamed("user_payments@1");
const unstored = viewNamed("another@1");

const nameOf = ({ space, key }: StateRead): string => `${space} ${key}`;

/** A store past this machine that says what was asked of it in which round trip. */
class CountedStore {
  readonly rounds: StateRead[][] = [];
  way = 0;
  failure: OnefoldError | null = null;
  /** Done in each round trip. */
  meanwhile: () => void = () => {};
  readonly #store: OnlineStore;

  constructor(store: OnlineStore) {
    this.#store = store;
    const told = this.#told;
    this.changes = {
      get told() {
        return told.told;
      },
      cellOf: (key) => this.#counts.cellOf(key),
      of: (cell) => (told.isTold ? this.#counts.of(cell) : Number.NaN),
    };
  }

  /** Entities whose last events are the first, the second and so on. */
  async write(keys: readonly string[], place: StoredView): Promise<void> {
    const states = keys.map((key, offset) => {
      const state = fold.empty();
      state.lastOffset = offset;
      return { space: place.space, key, epoch: place.epoch, offset, bytes: fold.encode(state) };
    });
    await this.#store.commit(states, [{ name: viewMetaName(view.name), bytes: Buffer.from(JSON.stringify(place)) }]);
  }

  read: OnlineStore["read"] = (states, metas) => this.#store.read(states, metas);

  readStored: RemoteOnlineStore["readStored"] = async (states) => {
    this.rounds.push([...states]);
    this.meanwhile();
    if (this.failure !== null) throw this.failure;
    const { states: found } = await this.#store.read(states);
    const values = found.map((state) => state && state.bytes);
    for (const [i, state] of states.entries()) this.kept.set(nameOf(state), values[i]!);
    return values;
  };

  /** Whether it tells of changes. */
  tells = false;
  /** Those that it keeps. */
  readonly kept = new Map<string, Uint8Array | null>();
  readonly #counts = new ChangeCounts();
  readonly #told = { told: 0, isTold: true };
  readonly changes: RemoteChanges;

  change(key: string): void {
    this.kept.delete(nameOf({ space: SPACE, key }));
    this.#counts.changed(key);
    this.#told.told++;
  }

  silence(): void {
    this.#told.isTold = false;
  }

  readHere: NonNullable<RemoteOnlineStore["readHere"]> = (states) => {
    const found = states.map((state) => this.kept.get(nameOf(state)));
    return !this.tells || found.includes(undefined) ? null : (found as (Uint8Array | null)[]);
  };

  stateIn = (stored: Uint8Array): Uint8Array => stored;
}

async function opened(
  keys: readonly string[],
): Promise<{ store: CountedStore; views: FetchedViews; served: ServedView }> {
  const store = new CountedStore(new MemoryOnlineStore());
  await store.write(keys, { space: SPACE, epoch: 0, position: 0, nextSequence: 0, flushedAt: 5 as Micros });
  const views = new FetchedViews(store as unknown as RemoteOnlineStore, { now: () => 9 as Micros });
  await views.places.hear([view, unstored]);
  return { store, views, served: views.view(view) };
}

/** The offset of its last event; null where the entity is unseen. */
async function read(views: FetchedViews, served: ServedView, key: string): Promise<number | null> {
  const fetched = await views.fetch([{ view: served, key }]);
  views.renew(fetched);
  return served.state(key)?.lastOffset ?? null;
}

describe("views that are fetched", () => {
  it("are read in one round trip by all who ask in one turn, each state once, and each by who asked for it", async () => {
    const { store, views, served } = await opened(["a", "b", "c"]);
    const keys = ["a", "b", "none", "c", "b"];
    expect(await Promise.all(keys.map((key) => read(views, served, key)))).toEqual([0, 1, null, 2, 1]);
    expect(store.rounds.map((round) => round.map(({ key }) => key))).toEqual([["a", "b", "none", "c"]]);
    expect(await read(views, served, "c")).toBe(2);
    expect(store.rounds.length).toBe(2);
  });

  it("keep a vector from waiting for a large batch", async () => {
    const { store, views, served } = await opened(["a"]);
    const batch = Array.from({ length: 2000 }, (_, i) => ({ view: served, key: `k${i}` }));
    await Promise.all([read(views, served, "a"), views.fetch(batch), read(views, served, "b")]);
    expect(store.rounds.map(({ length }) => length)).toEqual([1, 2000, 1]);
  });

  it("fail those who ask for a view that is not there, and nobody who asks beside them", async () => {
    const { store, views, served } = await opened(["a"]);
    const one = read(views, served, "a");
    expect(() => views.view(unstored)).toThrow("is not in the online store");
    expect(await one).toBe(0);
    store.failure = new OnefoldError("STORE_TIMEOUT", "slow");
    const all = await Promise.allSettled([read(views, served, "a"), read(views, served, "b")]);
    expect(all.map((ended) => ended.status === "rejected" && (ended.reason as OnefoldError).code)).toEqual([
      "STORE_TIMEOUT",
      "STORE_TIMEOUT",
    ]);
    // Nor those who read no state at all.
    const [none] = await Promise.all([views.fetch([]), expect(read(views, served, "a")).rejects.toThrow("slow")]);
    views.renew(none);
    store.failure = null;
    expect(await read(views, served, "a")).toBe(0);
  });

  it("are fetched again, by places heard anew, where a connection was lost on the way", async () => {
    const { store, views, served } = await opened(["a"]);
    store.meanwhile = () => {
      if (store.rounds.length === 1) store.way++;
    };
    expect(await read(views, served, "a")).toBe(0);
    expect(store.rounds.length).toBe(2);
    store.meanwhile = () => void store.way++;
    expect(await read(views, served, "a").catch((error: OnefoldError) => error.code)).toBe("STORE_UNAVAILABLE");
  });

  it("are read by the places that they were fetched by, whatever is heard meanwhile", async () => {
    const { store, views, served } = await opened(["a"]);
    const first = await views.fetch([{ view: served, key: "a" }]);
    await store.write([], {
      space: "user_payments@1#1",
      epoch: 1,
      position: 0,
      nextSequence: 0,
      flushedAt: 7 as Micros,
    });
    await views.places.hear([view]);
    views.renew(first);
    expect([served.epoch, served.snapshotTime, served.state("a")?.lastOffset]).toEqual([0, 5, 0]);
    expect(() => served.state("b")).toThrow("was not fetched");
    views.renew(await views.fetch([{ view: served, key: "a" }]));
    expect([served.epoch, served.snapshotTime, served.state("a")]).toEqual([1, 7, null]);
  });

  it("count what changes an answer that is kept: its states, where they are, and what is served in their place", async () => {
    const { store, views, served } = await opened(["a", "b"]);
    store.tells = true;
    const changes = served.changes!;
    const countOf = (): [cell: number, count: number] => {
      const cell = changes.cellOf("a");
      return [cell, changes.of(cell)];
    };
    await read(views, served, "a");
    const [cell, count] = countOf();
    expect(changes.of(cell)).toBe(count);
    store.change("b");
    store.change("b");
    expect(changes.of(cell)).toBe(count);
    store.change("a");
    expect(changes.of(cell)).not.toBe(count);
    await read(views, served, "a");
    for (const move of [
      () => views.moved(),
      async () => {
        const place = { space: "user_payments@1#1", epoch: 1, position: 0, nextSequence: 0, flushedAt: 7 as Micros };
        await store.write(["a"], place);
        await views.places.hear([view]);
      },
    ]) {
      const before = changes.of(cell);
      expect(changes.of(cell)).toBe(before);
      await move();
      expect(changes.of(cell)).not.toBe(before);
    }
    const before = changes.of(cell);
    await views.places.hear([view]);
    expect(changes.of(cell)).toBe(before);
    store.silence();
    expect(changes.of(cell)).toBeNaN();
  });

  it("keep no answer of states that changed, or of places that were heard, while they were fetched", async () => {
    const { store, views, served } = await opened(["a"]);
    store.tells = true;
    const changes = served.changes!;
    const keptCount = async (meanwhile: () => unknown): Promise<number> => {
      store.kept.clear();
      store.meanwhile = meanwhile;
      await read(views, served, "a");
      return changes.of(changes.cellOf("a"));
    };
    expect(await keptCount(() => {})).not.toBeNaN();
    expect(await keptCount(() => store.change("a"))).toBeNaN();
    expect(await keptCount(() => store.change("another"))).not.toBeNaN();
    // Behind the fetch, and before the read.
    const fetched = await views.fetch([{ view: served, key: "a" }]);
    await views.places.hear([view]);
    views.renew(fetched);
    expect(changes.of(changes.cellOf("a"))).toBeNaN();
  });

  it("are read without a round trip where the store has told of no change since they were", async () => {
    const { store, views, served } = await opened(["a", "b"]);
    store.tells = true;
    const ask = { view: served, key: "a" };
    expect(views.fetchHere([ask])).toBeNull();
    await read(views, served, "a");
    const here = views.fetchHere([ask])!;
    views.renew(here);
    expect(served.state("a")?.lastOffset).toBe(0);
    expect(await read(views, served, "a")).toBe(0);
    expect(views.fetchHere([ask, { view: served, key: "b" }])).toBeNull();
    expect(store.rounds).toHaveLength(1);
    // Another connection, and so perhaps another server, of which no place was heard.
    store.way++;
    expect(views.fetchHere([ask])).toBeNull();
    await read(views, served, "a");
    expect(views.fetchHere([ask])).not.toBeNull();
    store.change("a");
    expect(views.fetchHere([ask])).toBeNull();
  });

  it("say the age of kept answers by the places that were heard last", async () => {
    const { store, views, served } = await opened(["a"]);
    store.tells = true;
    await read(views, served, "a");
    views.renewKept();
    expect(served.snapshotTime).toBe(5);
    await store.write(["a"], { space: SPACE, epoch: 0, position: 1, nextSequence: 0, flushedAt: 8 as Micros });
    await views.places.hear([view]);
    expect(served.snapshotTime).toBe(8);
    expect(() => served.state("a")).toThrow("was not fetched");
  });
});
