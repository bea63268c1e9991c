/** What workers tell of how far they have come, heard by a server: of all partitions, and in its own time. */
import { expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../../src/base/micros.ts";
import { readUntil, WholeUntil } from "../../../src/ingest/kafka/whole-until.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { ToldFreshness } from "../../../src/platform/online/told-freshness.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const SECOND = 1_000_000;
const at = (seconds: number): Micros => (START + seconds * SECOND) as Micros;

function world(workerAheadSeconds = 0) {
  const store = new MemoryOnlineStore();
  const [ours, theirs] = [new ReplayClock(START), new ReplayClock(at(workerAheadSeconds))];
  const told = new ToldFreshness(store, ours);
  const whole = new WholeUntil(theirs);
  return {
    store,
    told,
    whole,
    theirs,
    pass: (seconds: number): void => {
      for (const clock of [ours, theirs]) clock.advanceTo((clock.now() + seconds * SECOND) as Micros);
    },
    /** All there was when it was asked for, just now. */
    tell: async (topic: string, partition: number, partitions: number): Promise<void> => {
      whole.took({ topic, partition }, theirs.now(), true, Number.NEGATIVE_INFINITY);
      const note = { partitions, lastEventAt: theirs.now(), known: whole.knownOf({ topic, partition }) };
      await whole.tell(store, [{ topic, partition, note }]);
    },
  };
}

it("is the least of all partitions, of as many as a note says, and nothing where one is not told of", async () => {
  const { store, told, tell, pass } = world();
  await tell("paid", 0, 3);
  const hear = async (): Promise<readonly (number | null)[]> => {
    await told.hear(new Set(["paid"]));
    return [told.until("paid"), await readUntil(store, "paid", 1)];
  };
  expect(await hear()).toEqual([null, null]);
  pass(1);
  await tell("paid", 2, 3);
  pass(1);
  await tell("paid", 1, 3);
  expect(await hear()).toEqual([at(0), at(0)]);
  await tell("paid", 0, 3);
  expect(await hear()).toEqual([at(1), at(1)]);
});

it("of known times goes no further than routing was heard to have gone before records were asked for", async () => {
  const { told, whole, theirs, tell, pass } = world();
  const known = async (): Promise<number | null> => {
    await told.hear(new Set(["by-user"]));
    return told.knownUntil("by-user", "spent@1");
  };
  await tell("by-user", 0, 1);
  expect(await known()).toBeNull();
  whole.heardRouting("by-user", at(-5));
  pass(1);
  await tell("by-user", 0, 1);
  expect(await known()).toBe(at(-5));
  // Asked for before it was heard: that is of what was heard before.
  const askedAt = theirs.now();
  pass(1);
  whole.heardRouting("by-user", at(1));
  whole.took({ topic: "by-user", partition: 0 }, askedAt, true, Number.NEGATIVE_INFINITY);
  expect(whole.knownOf({ topic: "by-user", partition: 0 })).toBe(at(-5));
  // Not all there was: what is left became known no earlier than the last that was taken.
  whole.took({ topic: "by-user", partition: 0 }, theirs.now(), false, at(0));
  expect(whole.knownOf({ topic: "by-user", partition: 0 })).toBe(at(0));
  pass(1);
  await tell("by-user", 0, 1);
  expect(await known()).toBe(at(1));
  expect(told.until("by-user")).toBe(at(3));
});

it("is taken to be of when it was heard, where a worker's clock is ahead of ours", async () => {
  const { told, tell, pass } = world(20);
  await tell("paid", 0, 1);
  await told.hear(new Set(["paid"]));
  expect(told.until("paid")).toBe(at(0));
  expect(told.lastEventAt("paid")).toBe(at(0));
  // It is gone, and its last word, heard again, is no younger for that.
  pass(30);
  await told.hear(new Set(["paid"]));
  expect(told.until("paid")).toBe(at(0));
  await tell("paid", 0, 1);
  await told.hear(new Set(["paid"]));
  expect(told.until("paid")).toBe(at(30));
});
