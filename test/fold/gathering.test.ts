/**
 * Gathering summaries shows a reader, to the bit, what adding and merging them one by one would: below, at and
 * far past the sizes up to which they are exact. ONEFOLD_SEED=n runs it from the seed that a failure printed.
 */
import { describe, expect, it } from "vitest";
import { DISTINCT_VALUES } from "../../src/fold/distinct-values.ts";
import { QUANTILES } from "../../src/fold/quantile-sketch.ts";
import type { Summary } from "../../src/fold/summary.ts";
import { TOP_VALUES, type TopState } from "../../src/fold/top-values.ts";
import type { Value } from "../../src/schema/value.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 1);
const CASES = 300;

/** Of few values or many, some of them frequent; of any size and sign. */
function randomValue(random: SeededRandom, different: number): number {
  const value = random.integer(0, random.integer(1, different));
  return different % 3 === 0 ? (value - different / 2) * 2 ** (value % 60) : value;
}

interface Sketch {
  readonly name: string;
  readonly summary: Summary;
  /** Of two states that look the same to every reader, the same. */
  seen(state: unknown): unknown;
}

const SKETCHES: readonly Sketch[] = [
  { name: "countDistinct", summary: DISTINCT_VALUES as Summary, seen: (state) => state },
  { name: "quantile", summary: QUANTILES as Summary, seen: (state) => state },
  {
    name: "topK",
    summary: TOP_VALUES as Summary,
    // in which order values came is not what a reader sees
    seen: (state) => {
      const [events, lost, values, counts] = state as TopState;
      return { events, lost, counts: new Map(values.map((value, i) => [value, counts[i]!] as const)) };
    },
  },
];

describe.each(SKETCHES)("$name", ({ summary, seen }) => {
  it("is gathered as if it had been added and merged one by one, and leaves what it gathers alone", () => {
    for (let seed = SEED; seed < SEED + CASES; seed++) {
      const random = new SeededRandom(seed);
      const different = random.pick([3, 100, 128, 129, 256, 257, 400, 3000]);
      const gathering = summary.gather!();
      let oneByOne = summary.empty();
      for (let step = random.integer(1, 12); step > 0; step--) {
        const values: Value[] = Array.from({ length: random.pick([1, 1, 30, 129, 500, 1500]) }, () =>
          randomValue(random, different),
        );
        if (random.oneIn(3)) {
          for (const value of values) {
            gathering.add(value, 0);
            oneByOne = summary.add(oneByOne, value, 0);
          }
          continue;
        }
        const part = values.reduce((state: unknown, value) => summary.add(state, value, 0), summary.empty());
        const before = structuredClone(part);
        gathering.merge(part);
        expect(part, `seed ${seed}`).toEqual(before);
        oneByOne = summary.merge(oneByOne, part);
      }
      expect(seen(gathering.result()), `seed ${seed}`).toEqual(seen(oneByOne));
    }
  });
});
