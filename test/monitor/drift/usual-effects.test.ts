/** What is usual of hours: their effects one by one, but for the few that are unusual. */
import { describe, expect, it } from "vitest";
import { driftReport } from "../../../src/monitor/drift/drift-report.ts";
import { driftSignals } from "../../../src/monitor/drift/drift-signals.ts";
import { type DriftWindow, mergeWindows, WINDOW_MICROS } from "../../../src/monitor/drift/drift-window.ts";
import { featureDrift } from "../../../src/monitor/drift/feature-drift.ts";
import { newsFrom, UsualHours } from "../../../src/monitor/drift/usual-effects.ts";
import { VectorSampler } from "../../../src/monitor/drift/vector-sampler.ts";
import { SeededRandom } from "../../../src/testing/random.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 17);
const COLUMNS = [
  { name: "fare", view: "rides@1", type: { name: "float64", nullable: true } },
  { name: "city", view: "rides@1", type: { name: "string", nullable: true } },
] as const;
const of = { service: "fares", fit: null, columns: COLUMNS };

/** An hour of so many vectors, whose fares are about `mean`. */
function hour(random: SeededRandom, at: number, vectors: number, mean: number, missing = 0.1): DriftWindow {
  const sampler = new VectorSampler(1, () => 0);
  for (let i = 0; i < vectors; i++) {
    const fare = random.next() < missing ? null : mean + random.next();
    sampler.see(of, [fare, random.next() < mean / 4 ? "bern" : "genf"], at * WINDOW_MICROS);
  }
  return sampler.take()[0]!;
}

describe("the usual effect of hours", () => {
  it(`is their 95% quantile, each as a report has it, and an hour's windows count as one (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    for (let trial = 0; trial < 2; trial++) {
      const count = random.integer(24, 40);
      const hours = Array.from({ length: count }, (_, at) => hour(random, at, 120, random.next(), random.next() / 2));
      const whole = mergeWindows(hours);
      const usual = new UsualHours(whole, 30);
      for (const one of hours) usual.add([one]);
      for (const [i, { name }] of COLUMNS.entries()) {
        const reports = hours.map(({ features }) =>
          featureDrift({ name, isInteger: false }, whole.features[i]!.profile, features[i]!.profile),
        );
        const rank = Math.ceil(0.95 * count) - 1;
        const sorted = (values: number[]): number[] => values.toSorted((a, b) => a - b);
        const effects = sorted(reports.map(({ judged }) => judged!.effect.value));
        const missing = sorted(reports.map((one) => one.missing.effect));
        expect(usual.usual().get(name)).toEqual({ values: effects[rank], missing: missing[rank] });
      }
    }
    const [a, b, ...others] = Array.from({ length: 30 }, (_, at) => hour(random, Math.max(1, at), 100, 1));
    const merged = mergeWindows([a!, b!]);
    const whole = mergeWindows([merged, ...others]);
    const [apart, joined] = [new UsualHours(whole, 30), new UsualHours(whole, 30)];
    apart.add([a!, b!]);
    joined.add([merged]);
    for (const one of others) for (const hours of [apart, joined]) hours.add([one]);
    expect(apart.usual()).toEqual(joined.usual());
  });

  it(`passes over a few that are unusual, and hours of few values; few hours say nothing (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const quiet = Array.from({ length: 48 }, (_, at) => hour(random, at, 100, 1));
    const usualOf = (hours: readonly DriftWindow[], samplesMin = 30): number => {
      const usual = new UsualHours(mergeWindows(quiet), samplesMin);
      for (const one of hours) usual.add([one]);
      return usual.usual().get("fare")!.values;
    };
    const calm = usualOf(quiet);
    expect(calm).toBeLessThan(0.25);
    const odd = Array.from({ length: 2 }, (_, at) => hour(random, at, 100, 50));
    expect(usualOf([...quiet, ...odd])).toBeLessThan(0.25);
    const many = Array.from({ length: 6 }, (_, at) => hour(random, at, 100, 50));
    expect(usualOf([...quiet, ...many])).toBe(1);
    expect(usualOf(quiet.slice(0, 23))).toBe(0);
    expect(usualOf(quiet, 200)).toBe(0);
  });

  it(`keeps an hour from being news that is as far from the others as they are (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    const before = { source: "before", isExact: false, window: hour(random, 0, 500, 1) };
    const now = { source: "now", isExact: false, window: hour(random, 1, 500, 1.5, 0.4) };
    const report = await driftReport(before, now, {}, 0);
    const [distance] = report.features.map(({ judged }) => judged!.effect.value);
    expect(distance).toBeGreaterThan(0.3);
    const news = (values: number, missing: number): unknown[] =>
      driftSignals(report, new Map([["fare", { values, missing }]]))
        .filter(({ subject }) => subject.feature === "fare")
        .map(({ detail }) => detail["effect_beyond"]);
    expect(news(0, 0)).toEqual([true, true]);
    expect(news(distance! / 2, 0.1)).toEqual([true, true]);
    expect(news(distance! / 1.9, 0.1)).toEqual([false, true]);
    expect(news(0.1, 0.6)).toEqual([true, false]);
    // Of a feature of which nothing is known, what is more than small.
    expect(driftSignals(report, new Map())[0]!.detail).toMatchObject({ effect_threshold: 0.1, effect_usual: 0 });
  });

  it("leaves room for news", () => {
    expect(newsFrom(0, 1)).toBe(0);
    expect(newsFrom(0.2, 1)).toBe(0.4);
    expect(newsFrom(0.8, 1)).toBeCloseTo(0.9, 12);
    expect(newsFrom(1, 1)).toBe(1);
  });
});
