/** Who reads what: counted by plan, told by feature, bounded in what callers choose; and summed up by days. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DayCount, firstDayOf, sumDays, type UsageDay } from "../../../src/monitor/metrics/usage-days.ts";
import { type UsedPlan, UsageTally } from "../../../src/monitor/metrics/usage-tally.ts";
import { firstSeed } from "../../first-seed.ts";

const SEED = firstSeed();

const PLANS: readonly UsedPlan[] = [
  { service: "model", qualifiedNames: ["a@1:x", "a@1:y", "b@dev:x"] },
  { service: "other", qualifiedNames: ["a@1:x"] },
  { service: "", qualifiedNames: ["a@2:x"] },
];

describe("reads by feature and consumer", () => {
  it("are what one addition for each feature of each vector gives, whenever one asks", () => {
    const step = fc.record({
      plan: fc.integer({ min: 0, max: 2 }),
      consumer: fc.constantFrom("", "web", "job"),
      asks: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const tally = new UsageTally();
        const naive = new Map<string, number>();
        for (const { plan, consumer, asks } of steps) {
          tally.add(PLANS[plan]!, consumer);
          for (const name of PLANS[plan]!.qualifiedNames) {
            naive.set(`${name} ${consumer}`, (naive.get(`${name} ${consumer}`) ?? 0) + 1);
          }
          if (asks) tally.features();
        }
        const told = tally
          .features()
          .map(({ view, feature, consumer, reads }) => [`${view}:${feature} ${consumer}`, reads]);
        expect(new Map(told as [string, number][])).toEqual(naive);
        const vectors = tally.services().reduce((sum, one) => sum + one.vectors, 0);
        expect(vectors).toBe(steps.length);
      }),
      { seed: SEED },
    );
  });

  it("are of so many consumers and plans at most, whatever callers call themselves and ask for", () => {
    const tally = new UsageTally();
    for (let i = 0; i < 5000; i++) {
      // A plan of its own each time, as lists of names may be.
      tally.add({ service: "", qualifiedNames: ["a@1:x"] }, `consumer ${i}`);
      tally.add(PLANS[0]!, "x".repeat(1000) + i);
    }
    const consumers = new Set(tally.features().map(({ consumer }) => consumer));
    expect(consumers.size).toBeLessThanOrEqual(102);
    expect(Math.max(...Array.from(consumers, ({ length }) => length))).toBeLessThanOrEqual(64);
    const reads = tally.features().filter(({ view, feature }) => view === "a@1" && feature === "x");
    expect(reads.reduce((sum, one) => sum + one.reads, 0)).toBe(10_000);
    expect(reads.find(({ consumer }) => consumer === "other")!.reads).toBeGreaterThan(4000);
  });
});

describe("days", () => {
  const counted = (reads: number, cpuSeconds: number): Pick<UsageDay, "reads" | "views"> => ({
    reads: [{ view: "a@1", feature: "x", consumer: "web", reads }],
    views: [{ view: "a@1", cpuSeconds, eventsFolded: 10 * cpuSeconds, bytesWritten: 100 * cpuSeconds }],
  });

  it("have what counters gained in them, also over a restart and midnight", () => {
    const count = new DayCount();
    count.take(counted(5, 1));
    count.take(counted(7, 2));
    expect(count.of("2026-11-25")).toEqual({ day: "2026-11-25", ...counted(7, 2) });
    count.begin();
    count.take(counted(10, 4));
    expect(count.of("2026-11-26")).toEqual({ day: "2026-11-26", ...counted(3, 2) });
    // Another process, whose counters begin at nothing, goes on with the same day.
    const later = new DayCount(count.of("2026-11-26"));
    later.take(counted(0, 0));
    later.take(counted(4, 1));
    later.take(counted(1, 1));
    expect(later.of("2026-11-26")).toEqual({ day: "2026-11-26", ...counted(3 + 4 + 1, 3) });
  });

  it("are summed up by feature, with who read it and when last", () => {
    const sums = sumDays([
      { day: "2026-11-26", ...counted(3, 1) },
      { day: "2026-11-20", ...counted(2, 1) },
      { day: "2026-11-21", reads: [{ view: "a@1", feature: "x", consumer: "", reads: 9 }], views: [] },
    ]);
    expect(sums.feature("a@1", "x")).toEqual({
      reads: 14,
      lastReadOn: "2026-11-26",
      consumers: [
        { consumer: "", reads: 9 },
        { consumer: "web", reads: 5 },
      ],
    });
    expect(sums.feature("a@1", "y")).toEqual({ reads: 0, lastReadOn: null, consumers: [] });
    expect(sums.view("a@1")).toEqual({ view: "a@1", cpuSeconds: 2, eventsFolded: 20, bytesWritten: 200 });
    expect(firstDayOf(30, Date.UTC(2026, 10, 30) * 1000)).toBe("2026-11-01");
  });
});
