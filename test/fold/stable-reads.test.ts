/**
 * A read says until when its values stand while no event comes: held on random views and events, and tight.
 *
 * ONEFOLD_SEED=n runs that one case.
 */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer, type ReadBuffer } from "../../src/fold/view-fold.ts";
import { randomEvents } from "../../src/testing/event-generator.ts";
import { type GeneratedAggregations, randomView } from "../../src/testing/view-generator.ts";
import { generatedEntity, generatedSource } from "../../src/testing/generated-source.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { sameBits } from "../../src/training/same-bits.ts";

const CASES = 600;
const only: string | undefined = process.env["ONEFOLD_SEED"];

interface Counts {
  stable: number;
  changed: number;
}

function same(a: ReadBuffer, b: ReadBuffer, i: number): boolean {
  return a.statuses[i] === b.statuses[i] && a.errors[i] === b.errors[i] && sameBits(a.values[i]!, b.values[i]!);
}

function runCase(seed: number, aggregations: GeneratedAggregations, counts: Counts): void {
  const random = new SeededRandom(seed);
  const view = randomView(random, aggregations);
  const fold = compileViewFold(view, generatedSource, generatedEntity);
  const events = randomEvents(random, random.pick([0, 1, 5, 40, 200, random.oneIn(5) ? 900 : 60]));
  const state = fold.empty();
  for (const event of events) fold.fold(state, event);
  const from = events.at(-1)?.knownTime ?? 0;
  const [now, later] = [createReadBuffer(fold.features.length), createReadBuffer(fold.features.length)];
  for (let read = 0; read < 4; read++) {
    const asOf = (from +
      random.pick([0, 1, random.integer(0, 60_000_000), random.integer(0, 90 * 86_400) * 1e6])) as Micros;
    fold.read(state, asOf, now);
    for (let i = 0; i < fold.features.length; i++) {
      const until = now.stableUntils[i]!;
      const span = Math.min(until - asOf, 400 * 86_400e6);
      const what = `seed ${seed} of ${aggregations}, ${fold.features[i]!.name}`;
      for (const time of [asOf, asOf + span - 1, asOf + Math.floor(span * random.next())]) {
        if (time < asOf || time >= until) continue;
        fold.read(state, time as Micros, later);
        if (!same(now, later, i)) throw new Error(`${what}: not at ${time} what it was at ${asOf}, before ${until}`);
        counts.stable++;
      }
      if (!Number.isFinite(until) || until === asOf) continue;
      fold.read(state, until as Micros, later);
      if (!same(now, later, i)) counts.changed++;
    }
  }
}

describe("a read", () => {
  it.each<GeneratedAggregations>(["basic", "summaries", "sessions"])(
    "of %s features gives the same bits until the time that it states",
    (aggregations) => {
      const counts: Counts = { stable: 0, changed: 0 };
      const seeds = only === undefined ? Array.from({ length: CASES }, (_, i) => 1 + i) : [Number(only)];
      for (const seed of seeds) runCase(seed, aggregations, counts);
      console.log(`${aggregations}: ${JSON.stringify(counts)}`);
      if (only !== undefined) return;
      expect(counts.stable).toBeGreaterThan(10_000);
      // and it does change then, as a rule: the time is not stated too early to be of use
      expect(counts.changed).toBeGreaterThan(300);
    },
    120_000,
  );
});
