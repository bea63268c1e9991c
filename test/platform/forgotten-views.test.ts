/** What was folded of views that are gone, wherever the process ends while it is removed. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BackfillBudget } from "../../src/ingest/backfill-budget.ts";
import { BackfillPace } from "../../src/ingest/backfill-pace.ts";
import { stateSpace, viewMetaName } from "../../src/ingest/stored-view.ts";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import type { SharedOnlineStore, StateSpace } from "../../src/online-store/online-store.ts";
import { backfillMeta } from "../../src/platform/backfill-place.ts";
import { isDropping } from "../../src/platform/dropped-spaces.ts";
import { forgetStaleViews } from "../../src/platform/forgotten-views.ts";
import { builtMetaName } from "../../src/platform/view-builder.ts";

const DRAFT = "clicks@dev";
const KEPT = "clicks@1";
const STATES = 600;
/** Of the draft: served, waiting for its place, losing it, and being built. */
const SPACES = [stateSpace(DRAFT, 0), stateSpace(DRAFT, 1), stateSpace(DRAFT, 2), stateSpace(DRAFT, 3)];

let folder: string;
let store: SharedOnlineStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-forgotten-"));
  store = openLmdbStore({ folder });
  const states = [...SPACES, stateSpace(KEPT, 0)].flatMap((space) =>
    Array.from({ length: STATES }, (_, i) => ({ space, key: `k${i}`, epoch: 0, offset: i, bytes: Uint8Array.of(1) })),
  );
  const json = (data: unknown): Uint8Array => Buffer.from(JSON.stringify(data));
  const [served, waiting, former, building] = SPACES as [StateSpace, StateSpace, StateSpace, StateSpace];
  const place = { epoch: 1, position: 0, nextSequence: 0 };
  const built = { fingerprint: "old", epoch: 1, end: 0, position: 0 };
  await store.commitAlone(states, [
    { name: viewMetaName(DRAFT), bytes: json({ ...place, space: served }) },
    { name: builtMetaName(DRAFT), bytes: json({ ...built, space: waiting, former }) },
    { name: `totals/${served}/head`, bytes: json({}) },
    { name: `totals/${building}/head`, bytes: json({}) },
    backfillMeta(DRAFT, { fingerprint: "old", epoch: 3, historyEnd: 0, upTo: 0, space: building, place: null }),
    { name: viewMetaName(KEPT), bytes: json({ ...place, space: stateSpace(KEPT, 0) }) },
    { name: builtMetaName(KEPT), bytes: json({ ...built, fingerprint: "kept", space: stateSpace(KEPT, 0) }) },
  ]);
});
afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

const isStale = (view: string, fingerprint: string): boolean => view === DRAFT && fingerprint === "old";
const pace = (): BackfillPace => new BackfillPace(new BackfillBudget(() => 1));
const counts = (): number[] => [...SPACES, stateSpace(KEPT, 0)].map((space) => store.count(space));
const metas = (): string[] => [...store.scanMeta("")].map(({ name }) => name);

/** A process whose disk fails at the n-th thing that is written or removed, and at all behind it. */
function failingAt(at: number): SharedOnlineStore {
  let done = 0;
  const fail = (): void => {
    if (done++ >= at) throw new Error("killed");
  };
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== "function") return value;
      if (name !== "commitAlone" && name !== "dropSpace") return value.bind(target);
      return async (...given: unknown[]) => {
        fail();
        return (value as (...of: unknown[]) => Promise<unknown>).apply(target, given);
      };
    },
  });
}

describe("states of views that are gone", () => {
  it("are removed by the next call, wherever the one before was cut short", async () => {
    let cuts = 0;
    for (; ; cuts++) {
      const cut = await forgetStaleViews(failingAt(cuts), pace(), isStale).then(
        () => false,
        () => true,
      );
      if (!cut) break;
    }
    expect(cuts).toBeGreaterThan(2);
    expect(counts()).toEqual([0, 0, 0, 0, STATES]);
  });

  it.each(Array.from({ length: 10 }, (_, i) => i))(
    "are removed where it was cut short at write %d, under another name by then",
    async (at) => {
      await forgetStaleViews(failingAt(at), pace(), isStale).catch(() => undefined);
      // The draft is registered otherwise, or as it was again: nothing of it is stale any more.
      if (at > 1) await forgetStaleViews(store, pace(), () => false);
      else await forgetStaleViews(store, pace(), isStale);
      expect(counts()).toEqual([0, 0, 0, 0, STATES]);
      expect(metas()).toEqual([builtMetaName(KEPT), viewMetaName(KEPT)]);
    },
  );

  it("are being removed until the last is gone, also where that is cancelled", async () => {
    const cancelling = new AbortController();
    let rests = 0;
    const cancelled = {
      resume: () => undefined,
      rest: async () => {
        if (++rests === 1) cancelling.abort();
      },
    };
    await expect(forgetStaleViews(store, cancelled, isStale, cancelling.signal)).rejects.toMatchObject({
      code: "CANCELLED",
    });
    const [served] = SPACES;
    expect([store.count(served!), isDropping(store, served!)]).toEqual([STATES - 250, true]);
    await forgetStaleViews(store, pace(), () => false);
    expect([...counts(), isDropping(store, served!)]).toEqual([0, 0, 0, 0, STATES, false]);
  });
});
