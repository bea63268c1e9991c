import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import type { LogEvent } from "../../src/ingest/event.ts";
import { FoldQueue } from "../../src/ingest/fold-queue.ts";

function events(from: number, count: number): LogEvent[] {
  const time = 1 as Micros;
  return Array.from({ length: count }, (_, i) => ({
    offset: from + i,
    knownTime: time,
    eventTime: time,
    id: null,
    row: [],
  }));
}

function spin(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

interface Folded {
  readonly queue: FoldQueue;
  readonly offsets: number[];
  readonly slices: number[];
}

function folding(eachMs: number): Folded {
  const offsets: number[] = [];
  const slices: number[] = [];
  const queue = new FoldQueue({
    fold: (some, from, to) => {
      slices.push(to - from);
      for (let i = from; i < to; i++) {
        offsets.push(some[i]!.offset);
        if (eachMs > 0) spin(eachMs);
      }
    },
    onError: (error) => {
      throw error;
    },
    mayFold: () => true,
  });
  return { queue, offsets, slices };
}

const inOrder = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe("the fold queue", () => {
  it("folds events that take long one by one, and leaves turns in between", async () => {
    const { queue, offsets, slices } = folding(0.6);
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all([queue.add(events(0, 40)), queue.add(events(40, 60))]);
    isDone = true;
    expect(offsets).toEqual(inOrder(100));
    // Eight, four, two, and then each alone.
    expect(slices.slice(0, 4)).toEqual([8, 4, 2, 1]);
    expect(Math.max(...slices.slice(3))).toBe(1);
    // At most two of them a turn.
    expect(turns).toBeGreaterThan(40);
  });

  it("folds many at a time of events that take next to nothing", async () => {
    const { queue, offsets, slices } = folding(0);
    await Promise.all([queue.add(events(0, 3000)), queue.add(events(3000, 1)), queue.add(events(3001, 6999))]);
    expect(offsets).toEqual(inOrder(10_000));
    expect(Math.max(...slices)).toBe(32);
    expect(slices.length).toBeLessThan(2500);
  });

  it("stops for good at what cannot be folded", async () => {
    const failures: unknown[] = [];
    const queue = new FoldQueue({
      fold: (some, from, to) => {
        if (some.slice(from, to).some(({ offset }) => offset === 20)) throw new Error("poison");
      },
      onError: (error) => failures.push(error),
      mayFold: () => true,
    });
    const [first, second] = [queue.add(events(0, 8)), queue.add(events(8, 30))];
    await first;
    await expect(second).rejects.toThrow("poison");
    expect(failures).toHaveLength(1);
    expect(queue.oldestKnownTime).toBe(1);
  });
});
