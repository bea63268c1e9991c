import { describe, expect, test } from "vitest";
import { BackfillBudget } from "../../src/ingest/backfill-budget.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const SLICE_MS = 1;

/** A thread on which others have something to do for a part of the time, and backfills work whenever they may. */
class BusyThread {
  readonly budget: BackfillBudget;
  nowMs = 1000;
  activeMs = 0;
  workedMs = 0;

  constructor(share: number) {
    this.budget = new BackfillBudget(
      () => share,
      () => ({ nowMs: this.nowMs, activeMs: this.activeMs }),
    );
  }

  /** For so long, by so many backfills; `others` is the part of the time that others take of all, `oversleptMs` what timers do. */
  run(milliseconds: number, others: number, { backfills = 1, oversleptMs = 0 } = {}): { readonly share: number } {
    const [endMs, workedBefore, nowBefore] = [this.nowMs + milliseconds, this.workedMs, this.nowMs];
    const mayWorkAt = Array.from({ length: backfills }, () => this.nowMs);
    while (this.nowMs < endMs) {
      const next = mayWorkAt.indexOf(Math.min(...mayWorkAt));
      this.#passUntil(mayWorkAt[next]!, others);
      this.nowMs += SLICE_MS;
      this.activeMs += SLICE_MS;
      this.workedMs += SLICE_MS;
      mayWorkAt[next] = this.nowMs + this.budget.restAfter(SLICE_MS) + oversleptMs;
      // Behind it comes what has waited for it, and what comes while that is done.
      this.#passUntil(this.nowMs + (SLICE_MS * others) / (1 - others), 1);
    }
    return { share: (this.workedMs - workedBefore) / (this.nowMs - nowBefore) };
  }

  #passUntil(untilMs: number, others: number): void {
    const passedMs = Math.max(0, untilMs - this.nowMs);
    this.nowMs += passedMs;
    this.activeMs += passedMs * others;
  }
}

describe("backfills", () => {
  test("work for the given part of the time while others take little", () => {
    expect(new BusyThread(0.3).run(10_000, 0.05).share).toBeCloseTo(0.3, 1);
    expect(new BusyThread(0.05).run(10_000, 0).share).toBeCloseTo(0.05, 2);
  });

  test("leave three tenths of the time idle where others are busy", () => {
    const thread = new BusyThread(0.3);
    thread.run(2000, 0.5);
    expect(thread.run(10_000, 0.5).share).toBeGreaterThan(0.15);
    expect(thread.run(10_000, 0.5).share).toBeLessThan(0.25);
  });

  test("get on however busy others are, and faster again when those are not", () => {
    const thread = new BusyThread(0.3);
    thread.run(2000, 0.95);
    expect(thread.run(10_000, 0.95).share).toBeCloseTo(0.02, 2);
    thread.run(2000, 0.1);
    expect(thread.run(10_000, 0.1).share).toBeCloseTo(0.3, 1);
  });

  test("take no more together than one alone", () => {
    expect(new BusyThread(0.3).run(10_000, 0.1, { backfills: 4 }).share).toBeCloseTo(0.3, 1);
  });

  test("make up for what timers oversleep, and not for what they had nothing to do", () => {
    expect(new BusyThread(0.3).run(10_000, 0.1, { oversleptMs: 0.9 }).share).toBeCloseTo(0.3, 1);
    const thread = new BusyThread(0.3);
    thread.run(1000, 0.1);
    thread.nowMs += 60_000;
    expect(thread.run(1000, 0.1).share).toBeLessThan(0.32);
  });

  test("rest not at all while they may have all of the time", () => {
    const thread = new BusyThread(1);
    for (let i = 0; i < 1000; i++) expect(thread.budget.restAfter(SLICE_MS)).toBe(0);
  });

  test("never take more than the given part, whatever others do", () => {
    const random = new SeededRandom(7);
    for (let round = 0; round < 200; round++) {
      const share = 0.01 + 0.8 * random.next();
      const thread = new BusyThread(share);
      for (let part = 0; part < 5; part++) {
        const asked = thread.run(1000, 0.99 * random.next(), { backfills: random.integer(1, 3) });
        expect(asked.share).toBeLessThan(share + 0.02);
      }
    }
  });
});
