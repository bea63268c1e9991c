/** How far a position goes back where a server of a cluster has lost states, and when it must not. */
import { describe, expect, it } from "vitest";
import type { FoldedPartition } from "../../../src/ingest/kafka/folded-partition.ts";
import { decodePosition, encodePosition, type FoldPosition } from "../../../src/ingest/kafka/position.ts";
import { StoredPositions } from "../../../src/ingest/kafka/stored-positions.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import type { GroupMark, OnlineStore } from "../../../src/online-store/online-store.ts";

const NAME = "kafka/t/0";
const PLACE = { topic: "t", partition: 0, startOffset: 0 };

/** A group for each letter; what is written of marks can be taken back. */
class MarkedStore extends MemoryOnlineStore {
  readonly written: GroupMark[] = [];
  isReady = true;
  readonly marks: NonNullable<OnlineStore["marks"]> = {
    groupOf: (key) => key.charCodeAt(0),
    write: async (marks) => {
      for (const mark of marks) for (const group of mark.groups) this.written.push({ ...mark, groups: [group] });
    },
    read: async (name, groups) =>
      groups.map((group) => {
        const last = this.written.findLast((mark) => mark.name === name && mark.groups[0] === group);
        return { group, bytes: last?.bytes ?? null };
      }),
  };

  async isReplicated(): Promise<boolean> {
    return this.isReady;
  }
}

interface MovedFold extends FoldedPartition {
  at: number;
}

function foldOf(views: readonly string[]): MovedFold {
  const fold = {
    at: 0,
    options: { partition: 0, topicId: "id", startOffset: 0, route: { topic: "t" } },
    isLate: false,
    storedOffset: 0,
  } as unknown as MovedFold;
  const position = (): FoldPosition => {
    const byView = Object.fromEntries(views.map((view) => [view, fold.at]));
    return { topicId: "id", offset: fold.at, knownTime: null, origins: {}, views: byView };
  };
  Object.defineProperty(fold, "offset", { get: () => fold.at });
  Object.defineProperty(fold, "position", { get: position });
  return fold;
}

const written = (...keys: string[]) => ({ states: [], ids: [], passed: keys }) as never;

async function opened(store: MarkedStore, views: readonly string[], allEveryMs: number) {
  const positions = new StoredPositions({
    store,
    tellsJudged: false,
    letGo: () => undefined,
    marking: { putEveryMs: 0, allEveryMs },
  });
  const fold = foldOf(views);
  const [stored] = (await positions.read([PLACE]))[0]!;
  fold.at = stored?.offset ?? 0;
  positions.opened(fold, stored);
  const goTo = async (offset: number, ...keys: string[]): Promise<void> => {
    positions.touch(fold, written(...keys));
    fold.at = offset;
    await positions.write([fold]);
  };
  return { positions, fold, goTo };
}

const storedOffset = (store: MarkedStore): number => decodePosition(store.getMeta(NAME)!).offset;

describe("a position on a cluster", () => {
  it("goes back to the last mark of what was lost, and no further than all were marked last", async () => {
    for (const [allEveryMs, back] of [
      [0, 8000],
      [1e9, 10],
    ] as const) {
      const store = new MarkedStore();
      const { goTo } = await opened(store, ["v"], allEveryMs);
      await goTo(10, "a");
      for (let offset = 1000; offset <= 8000; offset += 1000) await goTo(offset, "b");
      await goTo(9000, "a");
      expect(storedOffset(store)).toBe(9000);
      // The server that has "a" is started again without its last write.
      const lost = store.written.findLastIndex((mark) => mark.groups[0] === "a".charCodeAt(0));
      store.written.splice(lost, 1);
      await opened(store, ["v"], allEveryMs);
      expect([allEveryMs, storedOffset(store)]).toEqual([allEveryMs, back]);
    }
  });

  it("is stored once copies have its marks, too", async () => {
    const store = new MarkedStore();
    const { goTo } = await opened(store, ["v"], 0);
    await goTo(10, "a");
    store.isReady = false;
    await goTo(20, "a");
    expect(store.written.map(({ bytes }) => decodePosition(bytes).offset)).toEqual([10, 20]);
    expect(storedOffset(store)).toBe(10);
  });

  it("is marked again by who idles", async () => {
    const store = new MarkedStore();
    const { goTo, positions, fold } = await opened(store, ["v"], 0);
    await goTo(10, "a");
    await goTo(20, "b");
    // A worker that woke up late marks what it knew.
    const mark = store.written.find(({ groups }) => groups[0] === "a".charCodeAt(0))!;
    store.written.push({ ...mark, bytes: encodePosition({ ...decodePosition(mark.bytes), offset: 5 }) });
    await positions.lookAfter([fold]);
    await opened(store, ["v"], 0);
    expect(storedOffset(store)).toBe(20);
  });

  it("is not spoken for by marks of others with other definitions, nor taken back by them", async () => {
    const store = new MarkedStore();
    const both = await opened(store, ["v", "w"], 1e9);
    await both.goTo(10, "a");
    const one = await opened(store, ["v"], 1e9);
    await one.goTo(20, "b");
    const again = await opened(store, ["v"], 1e9);
    expect(again.fold.at).toBe(20);
    // It marked all that was marked before, for its own views.
    expect(store.written.filter(({ bytes }) => decodePosition(bytes).views["w"] === undefined)).toHaveLength(2);
  });

  it("stays where the topic no longer has what would have to be folded again", async () => {
    const store = new MarkedStore();
    const { goTo } = await opened(store, ["v"], 0);
    await goTo(100, "a");
    const { positions } = await opened(store, ["v"], 0);
    store.written.length = 0;
    await expect(positions.read([{ ...PLACE, startOffset: 50 }])).rejects.toMatchObject({ code: "KAFKA_RECORDS_GONE" });
    expect(storedOffset(store)).toBe(100);
    expect(await positions.read([PLACE])).toEqual([[null, null]]);
  });
});
