/** What several processes saw of a shadow, put together, is what one would have seen of all of it. */
import { expect, it } from "vitest";
import { comparisonOf, type ShownComparison } from "../../../src/monitor/shadow/shadow-comparison.ts";
import {
  mergeAll,
  recordFromJson,
  recordToJson,
  type ShadowRecord,
} from "../../../src/monitor/shadow/shadow-record.ts";
import { type ShadowPair, ShadowTally, type ShadowValue } from "../../../src/monitor/shadow/shadow-tally.ts";
import type { Value, ValueType } from "../../../src/schema/value.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { caseCount } from "../../case-count.ts";
import { firstSeed } from "../../first-seed.ts";

const SEED = firstSeed();
const CASES = caseCount(10);
const TYPES: Readonly<Record<string, ValueType>> = {
  amount: { name: "float64" },
  rides: { name: "int64" },
  country: { name: "string" },
  is_new: { name: "bool" },
  raw: { name: "bytes" },
  last_five: { name: "array", items: { name: "float64" } } as unknown as ValueType,
};

function valueOf(random: SeededRandom, { name }: ValueType): Value {
  if (random.oneIn(8)) return null;
  const number = random.integer(-50, 50) / random.pick([1, 7]);
  switch (name) {
    case "int64":
      return random.integer(-3, 3);
    case "string":
      return random.pick(["FR", "DE", "", "Zoë"]);
    case "bool":
      return random.oneIn(2);
    case "bytes":
      return new Uint8Array([random.integer(0, 2)]);
    case "array":
      return [number, null];
    default:
      return random.oneIn(9) ? random.pick([Number.NaN, Number.POSITIVE_INFINITY, 0]) : number;
  }
}

/** The shadow often says the same, has a feature that is not served, and lacks one that is. */
function pairOf(random: SeededRandom): ShadowPair {
  const served: ShadowValue[] = [];
  const shadow: ShadowValue[] = [];
  for (const [name, type] of Object.entries(TYPES)) {
    const value = valueOf(random, type);
    if (name !== "is_new") served.push({ name, type, value, micros: random.integer(0, 9) / 4 });
    const other = random.oneIn(3) ? valueOf(random, type) : value;
    if (name !== "raw") shadow.push({ name, type, value: other, micros: random.integer(0, 9) / 4 });
  }
  return {
    served: { micros: random.integer(1, 400), values: served },
    shadow: { micros: random.integer(1, 400), values: shadow },
    entity: {},
    asOfMicros: 1,
  };
}

const OF = { served: "delay@1", shadow: "delay@2" };

/** Sums of the same numbers in another order, and what a bounded sketch may say. */
function expectAlike(merged: ShownComparison, whole: ShownComparison, seed: number): void {
  const near = (a: unknown, b: unknown, path: string): void => {
    if (typeof a === "number" && typeof b === "number") {
      const isNear = Object.is(a, b) || Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
      if (!isNear) throw new Error(`seed ${seed}: ${path} is ${a}, and ${b} of the whole`);
    } else if (typeof a === "object" && a !== null && typeof b === "object" && b !== null) {
      for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
        // The first five of each part: which they are goes by who wrote first.
        if (name === "examples") continue;
        near((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name], `${path}.${name}`);
      }
    } else if (!Object.is(a, b))
      throw new Error(`seed ${seed}: ${path} is ${String(a)}, and ${String(b)} of the whole`);
  };
  near(merged, whole, "comparison");
}

it(`records of parts, over JSON and back, merge into that of the whole (seeds from ${SEED})`, () => {
  for (let seed = SEED; seed < SEED + CASES; seed++) {
    const random = new SeededRandom(seed);
    const whole = new ShadowTally({ ...OF, since: "2026-01-01T00:00:00Z" });
    const parts: ShadowRecord[] = [];
    const counts = new Map<string, number>();
    for (let part = random.integer(1, 5); part > 0; part--) {
      const tally = new ShadowTally({ ...OF, since: `2026-01-0${part}T00:00:00Z` });
      for (let pairs = random.pick([0, 1, 30, 1500]); pairs > 0; pairs--) {
        const pair = pairOf(random);
        tally.add(pair);
        whole.add(pair);
        const of = new Map(pair.served.values.map((one) => [one.name, one.value]));
        for (const { name, value } of pair.shadow.values) {
          const other = of.get(name);
          if (other === undefined) continue;
          const isSame = Array.isArray(value)
            ? JSON.stringify(value) === JSON.stringify(other)
            : Object.is(value, other);
          if (!isSame) counts.set(name, (counts.get(name) ?? 0) + 1);
        }
      }
      if (random.oneIn(2)) {
        tally.dropped(3);
        whole.dropped(3);
        tally.failed("NOT_READY");
        whole.failed("NOT_READY");
      }
      parts.push(recordFromJson(JSON.parse(JSON.stringify(recordToJson(tally.record())))));
    }
    const [merged, ...others] = mergeAll(parts);
    expect(others).toEqual([]);
    const [shown, expected] = [comparisonOf(merged!), comparisonOf(whole.record())];
    expectAlike(shown, { ...expected, since: shown.since }, seed);
    expect(shown.since, `seed ${seed}`).toBe("2026-01-01T00:00:00Z");
    for (const { feature, mismatched, only_served, only_in_shadow } of shown.features) {
      const differ = mismatched + only_served + only_in_shadow;
      expect({ seed, feature, differ }).toEqual({ seed, feature, differ: counts.get(feature) ?? 0 });
    }
  }
});

it("records of other versions stay apart, and a feature that changed its kind is the later record's", () => {
  const tallyOf = (served: string, value: Value, type: ValueType): ShadowRecord => {
    const tally = new ShadowTally({ served, shadow: "delay@2", since: "2026-01-01T00:00:00Z" });
    const vector = { micros: 1, values: [{ name: "x", type, value, micros: 1 }] };
    tally.add({ served: vector, shadow: vector, entity: {}, asOfMicros: 0 });
    return tally.record();
  };
  const [number, text] = [tallyOf("delay@1", 1, { name: "int64" }), tallyOf("delay@1", "a", { name: "string" })];
  const merged = mergeAll([number, tallyOf("delay@3", 1, { name: "int64" }), text]);
  expect(merged.map(({ served, compared }) => [served, compared])).toEqual([
    ["delay@1", 2],
    ["delay@3", 1],
  ]);
  expect(comparisonOf(merged[0]!).features).toMatchObject([{ feature: "x", compared: 2, mismatched: 0 }]);
  expect(merged[0]!.features.shadow.get("x")).toMatchObject({ count: 1, profile: { kind: "category" } });
});
