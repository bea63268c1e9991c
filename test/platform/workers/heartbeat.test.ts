import { describe, expect, it } from "vitest";
import { Heartbeat } from "../../../src/platform/workers/heartbeat.ts";

/** How many beats it takes until it is stuck, of up to so many; `answers` says which questions are answered. */
async function beatsUntilStuck(most: number, answers: (beat: number) => boolean): Promise<number> {
  let asked = 0;
  const heartbeat = new Heartbeat(() => (answers(++asked) ? Promise.resolve() : new Promise(() => {})));
  for (let beat = 1; beat <= most; beat++) {
    if (heartbeat.beat()) return beat;
    await Promise.resolve();
  }
  return most;
}

describe("a process", () => {
  it("that answers is never stuck, however many questions it has left out", async () => {
    expect(await beatsUntilStuck(100, () => true)).toBe(100);
    expect(await beatsUntilStuck(100, (beat) => beat % 6 === 0)).toBe(100);
  });

  it("is stuck once six in a row went unanswered", async () => {
    expect(await beatsUntilStuck(100, () => false)).toBe(7);
    expect(await beatsUntilStuck(100, (beat) => beat <= 10)).toBe(17);
  });

  it("that answers late is well again", async () => {
    const waiting: (() => void)[] = [];
    const heartbeat = new Heartbeat(() => new Promise<void>((resolve) => waiting.push(resolve)));
    for (let beat = 0; beat < 6; beat++) expect(heartbeat.beat()).toBe(false);
    waiting[0]!();
    await Promise.resolve();
    expect(heartbeat.beat()).toBe(false);
  });
});
