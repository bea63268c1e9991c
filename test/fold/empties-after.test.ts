/**
 * A state that is thrown away when it reads as empty is not missed by reads: held on random views and events.
 *
 * ONEFOLD_SEED=n runs that one case.
 */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer } from "../../src/fold/view-fold.ts";
import { randomEvents } from "../../src/testing/event-generator.ts";
import { type GeneratedAggregations, randomView } from "../../src/testing/view-generator.ts";
import { generatedEntity, generatedSource } from "../../src/testing/generated-source.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { sameBits } from "../../src/training/same-bits.ts";
import { DAY, feature, float64, HOUR, int64, streamOf, user, viewOf } from "./definitions.ts";

const CASES = 600;
const only: string | undefined = process.env["ONEFOLD_SEED"];

function runCase(
  seed: number,
  aggregations: GeneratedAggregations,
  counts: { ended: number; wouldDiffer: number },
): void {
  const random = new SeededRandom(seed);
  const fold = compileViewFold(randomView(random, aggregations), generatedSource, generatedEntity);
  if (!Number.isFinite(fold.emptiesAfterMicros)) return;
  const events = randomEvents(random, random.pick([1, 5, 40, 200]));
  const before = fold.empty();
  for (const event of events) fold.fold(before, event);
  if (before.lastOffset === Number.NEGATIVE_INFINITY) return;
  const [kept, thrown] = [createReadBuffer(fold.features.length), createReadBuffer(fold.features.length)];
  const differ = (state: typeof before, other: typeof before | null, asOf: number): string | null => {
    fold.read(state, asOf as Micros, kept);
    fold.read(other, asOf as Micros, thrown);
    const at = kept.values.findIndex((value, i) => !sameBits(value, thrown.values[i]!));
    return at === -1 ? null : `seed ${seed} of ${aggregations}, ${fold.features[at]!.name} at ${asOf}`;
  };
  const end = Math.max(before.lastEventTime + fold.emptiesAfterMicros + 1, before.lastKnownTime);
  for (const asOf of [end, end + random.integer(0, 100) * DAY]) {
    const difference = differ(before, null, asOf);
    if (difference !== null) throw new Error(`${difference}: a read misses the state that was thrown away`);
    counts.ended++;
  }
  if (differ(before, null, before.lastKnownTime) !== null) counts.wouldDiffer++;
}

describe("a state that is old enough", () => {
  it.each<GeneratedAggregations>(["basic", "summaries", "sessions"])(
    "reads as one that is not there, of %s features",
    (aggregations) => {
      const counts = { ended: 0, wouldDiffer: 0 };
      const seeds = only === undefined ? Array.from({ length: CASES }, (_, i) => 1 + i) : [Number(only)];
      for (const seed of seeds) runCase(seed, aggregations, counts);
      console.log(`${aggregations}: ${JSON.stringify(counts)}`);
      if (only !== undefined) return;
      expect(counts.ended).toBeGreaterThan(20);
      // and before the end it is missed, as a rule
      expect(counts.wouldDiffer).toBeGreaterThan(10);
    },
  );

  it("is older than every window, TTL and forgetAfter; and none is where a feature has no end", () => {
    const over = (micros: number) => ({ kind: "time", micros }) as const;
    const hour = feature(int64, { fn: "count", over: over(HOUR) });
    const week = feature(float64, { fn: "sum", column: "x", over: over(7 * DAY) });
    const ever = feature(float64, { fn: "sum", column: "x" });
    const forDay = { ...ever, ttlMicros: DAY as Micros & never };
    const countForDay = { ...feature(int64, { fn: "count" }), ttlMicros: DAY as Micros & never };
    const forget = (micros: number) => ({ forgetAfterMicros: micros as never });
    const of = (view: ReturnType<typeof viewOf>): number =>
      compileViewFold(view, streamOf({ x: float64 }), user).emptiesAfterMicros;
    expect(of(viewOf([hour, week]))).toBe(7 * DAY);
    expect(of(viewOf([hour, ever]))).toBe(Number.POSITIVE_INFINITY);
    // Read as it is, whatever its age: only the fold forgets it.
    expect(of(viewOf([hour, ever], forget(DAY)))).toBe(Number.POSITIVE_INFINITY);
    expect(of(viewOf([hour, forDay]))).toBe(DAY);
    expect(of(viewOf([hour, forDay], forget(3 * DAY)))).toBe(3 * DAY);
    expect(of(viewOf([week, forDay], forget(3 * DAY)))).toBe(7 * DAY);
    // Null after a day, where an unseen entity has 0.
    expect(of(viewOf([countForDay], forget(DAY)))).toBe(Number.POSITIVE_INFINITY);
  });
});
