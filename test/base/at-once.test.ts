/** Work on many things at once, and work that is shared. */
import { describe, expect, it } from "vitest";
import { atOnce } from "../../src/base/at-once.ts";
import { SharedRuns } from "../../src/base/shared-runs.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("work on many things", () => {
  it("is done on each once, so many at a time", async () => {
    const done: number[] = [];
    let [running, most] = [0, 0];
    const things = Array.from({ length: 20 }, (_, i) => i);
    await atOnce(4, things, async (thing) => {
      most = Math.max(most, ++running);
      for (let i = 0; i < thing % 3; i++) await turn();
      running--;
      done.push(thing);
    });
    expect(done.toSorted((a, b) => a - b)).toEqual(things);
    expect(most).toBe(4);
  });

  it("is not begun behind a failure, which is told once all others have ended", async () => {
    const begun: number[] = [];
    let running = 0;
    const work = atOnce(2, [0, 1, 2, 3], async (thing) => {
      begun.push(thing);
      running++;
      await turn();
      if (thing === 1) await turn();
      running--;
      if (thing === 0) throw new Error("no");
    });
    await expect(work).rejects.toThrow("no");
    expect(begun).toEqual([0, 1]);
    expect(running).toBe(0);
  });
});

describe("shared work", () => {
  it("begins behind every call that it is for, and once for all that wait", async () => {
    let begun = 0;
    const runs = new SharedRuns(async () => {
      begun++;
      await turn();
    });
    const first = runs.run();
    expect(begun).toBe(1);
    await Promise.all([first, runs.run(), runs.run(), runs.run()]);
    expect(begun).toBe(2);
    expect(runs.isIdle).toBe(true);
    await runs.run();
    expect(begun).toBe(3);
  });

  it("that fails fails for who waits for it, and is tried anew for the others", async () => {
    let begun = 0;
    const runs = new SharedRuns(async () => {
      await turn();
      if (++begun === 1) throw new Error("no");
    });
    const [first, second] = [runs.run(), runs.run()];
    await expect(first).rejects.toThrow("no");
    await second;
    expect(begun).toBe(2);
  });
});
