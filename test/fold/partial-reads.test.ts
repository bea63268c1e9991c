/** A read of some features gives, to the bit, what a read of all gives of them. ONEFOLD_SEED=n begins with that case. */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer, type ReadBuffer } from "../../src/fold/view-fold.ts";
import { randomEvents } from "../../src/testing/event-generator.ts";
import { type GeneratedAggregations, randomView } from "../../src/testing/view-generator.ts";
import { generatedEntity, generatedSource } from "../../src/testing/generated-source.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { sameBits } from "../../src/training/same-bits.ts";
import { firstSeed } from "../first-seed.ts";

const FIRST_SEED = firstSeed();
const CASES = 60;

function sameSlot(a: ReadBuffer, b: ReadBuffer, i: number): boolean {
  return (
    sameBits(a.values[i]!, b.values[i]!) &&
    a.statuses[i] === b.statuses[i] &&
    a.errors[i] === b.errors[i] &&
    a.windowStarts[i] === b.windowStarts[i] &&
    a.stableUntils[i] === b.stableUntils[i]
  );
}

/** How many values were compared that some event had counted for. */
function runCase(seed: number, aggregations: GeneratedAggregations): number {
  const random = new SeededRandom(seed);
  const fold = compileViewFold(randomView(random, aggregations), generatedSource, generatedEntity);
  const events = randomEvents(random, random.pick([0, 1, 5, 40, 200, random.oneIn(5) ? 900 : 60]));
  const state = fold.empty();
  for (const event of events) fold.fold(state, event);
  const from = events.at(-1)?.knownTime ?? 0;
  const slots = fold.features.flatMap((_, i) => (random.oneIn(2) ? [i] : []));
  const reader = fold.reader(slots);
  const [all, some] = [createReadBuffer(fold.features.length), createReadBuffer(fold.features.length)];
  let present = 0;
  for (let times = 0; times < 4; times++) {
    const asOf = (from +
      random.pick([0, 1, random.integer(0, 60_000_000), random.integer(0, 90 * 86_400) * 1e6])) as Micros;
    fold.read(state, asOf, all);
    reader.read(state, asOf, some);
    for (const i of slots) {
      if (!sameSlot(all, some, i)) throw new Error(`${fold.features[i]!.name} at ${asOf}, of ${slots.join(", ")}`);
      if (all.values[i] !== null) present++;
    }
  }
  return present;
}

describe("a read of some features", () => {
  it("gives of them what a read of all does, to the bit", () => {
    let present = 0;
    for (const aggregations of ["basic", "summaries", "sessions"] as const) {
      for (let seed = FIRST_SEED; seed < FIRST_SEED + CASES; seed++) {
        try {
          present += runCase(seed, aggregations);
        } catch (cause) {
          throw new Error(`seed ${seed} of ${aggregations}`, { cause });
        }
      }
    }
    expect(present).toBeGreaterThan(CASES);
  });
});
