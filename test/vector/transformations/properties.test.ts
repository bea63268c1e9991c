/**
 * What holds of every transformation, on random columns and random trees of transformations.
 */
import { describe, expect, it } from "vitest";
import { t } from "../../../src/define/column-type.ts";
import { customTransformation } from "../../../src/define/custom-transformation.ts";
import {
  bucketize,
  clip,
  cross,
  hashBucket,
  impute,
  log1p,
  minMax,
  oneHot,
  ordinal,
  quantileBins,
  standardize,
} from "../../../src/define/transformation.ts";
import type { AnyTransformation, Operand } from "../../../src/define/transformation-typing.ts";
import { Status, type StatusCode } from "../../../src/fold/view-fold.ts";
import { conformingValue } from "../../../src/fold/custom-value.ts";
import type { FittedParameters } from "../../../src/registry/fitted-service.ts";
import type { Value } from "../../../src/schema/value.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { compileTransformations } from "../../../src/vector/transformations/compile.ts";
import type { TransformedService } from "../../../src/vector/transformations/steps.ts";
import { apply, fit, serviceOf, type TestColumn, typesOf } from "./transformed.ts";
import { firstSeed } from "../../first-seed.ts";

const RUNS = 150;

const rootOf = customTransformation("root_of", {
  output: t.float64(),
  fit: (values: readonly number[]) => values.length,
  apply: (value: number, count) => (value < 0 ? null : Math.sqrt(value) / count),
});

function randomNumber(random: SeededRandom): number {
  if (random.oneIn(12)) return random.pick([0, 1e300, -1e300, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** -1022, -1]);
  if (random.oneIn(40)) return random.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  if (random.oneIn(3)) return random.integer(-5, 5);
  return (random.next() - 0.3) * 10 ** random.integer(-3, 6);
}

const orNull = (random: SeededRandom, value: Value): Value => (random.oneIn(6) ? null : value);

function randomColumns(random: SeededRandom, rows: number): Record<string, TestColumn> {
  const column = (type: TestColumn["type"], make: () => Value): TestColumn => ({
    type,
    // The last is there: what is all null is refused, which is a case of its own.
    values: Array.from({ length: rows }, (_, i) => (i === rows - 1 ? make() : orNull(random, make()))),
  });
  const finite = (): number => {
    const number = randomNumber(random);
    return Number.isFinite(number) ? number : 1;
  };
  return {
    x: column({ name: "float64" }, rows === 1 ? finite : () => (random.oneIn(50) ? randomNumber(random) : finite())),
    n: column({ name: "int64" }, () => random.integer(-3, 3)),
    s: column({ name: "string" }, () => random.pick(["a", "b", "c", "\u{1F6EB}", ""])),
    b: column({ name: "bool" }, () => random.oneIn(2)),
  };
}

function randomNumeric(random: SeededRandom, depth: number): Operand {
  if (depth === 0 || random.oneIn(4)) return random.pick(["x", "n"]);
  const input = randomNumeric(random, depth - 1);
  switch (random.integer(0, 9)) {
    case 0:
      return standardize(input);
    case 1:
      return minMax(input, random.pick([{}, { low: -1, high: 3 }]));
    case 2:
      return log1p(input);
    case 3:
      return clip(
        random.pick(["x", input, standardize(input)]),
        random.pick([{ low: -2 }, { high: 4 }, { low: 0, high: 1 }]),
      );
    case 4:
      return bucketize(input, [-1, 0, 2.5]);
    case 5:
      return quantileBins(input, { bins: random.integer(2, 9) });
    case 6:
      return impute(input, random.pick(["mean", "median"] as const));
    case 7:
      return impute(input, "mostFrequent");
    case 8:
      return rootOf(impute(input, "median"));
    default:
      return ordinal(randomCategory(random, depth - 1), { max: random.integer(1, 4) });
  }
}

function randomCategory(random: SeededRandom, depth: number): Operand {
  if (depth === 0 || random.oneIn(3)) return random.pick(["s", "n", "b"]);
  switch (random.integer(0, 4)) {
    case 0:
      return hashBucket(randomCategory(random, depth - 1), { buckets: random.integer(2, 5) });
    case 1:
      return cross([randomCategory(random, depth - 1), "s", "b"], { buckets: 50 });
    case 2:
      return impute(random.pick(["s", "b"]), "mostFrequent");
    case 3:
      return ordinal(randomCategory(random, depth - 1), { unseen: random.pick(["other", "null", "error"] as const) });
    default:
      return bucketize(randomNumeric(random, depth - 1), [0]);
  }
}

function randomTransformation(random: SeededRandom): AnyTransformation {
  for (;;) {
    const unseen = random.pick(["other", "zeros", "null", "error"] as const);
    const one = random.oneIn(4)
      ? oneHot(randomCategory(random, 2), { max: random.integer(1, 5), unseen })
      : random.oneIn(3)
        ? randomCategory(random, 3)
        : randomNumeric(random, 3);
    if (typeof one !== "string") return one;
  }
}

interface RandomCase {
  readonly columns: Record<string, TestColumn>;
  readonly service: TransformedService;
  readonly fitted: FittedParameters;
}

/** A case that can be fitted: where an inner transformation leaves no value at all, another one is drawn. */
function randomCase(random: SeededRandom): RandomCase {
  for (;;) {
    const columns = randomColumns(random, random.pick([1, 2, 7, 40]));
    const transform = Object.fromEntries(
      Array.from({ length: random.integer(1, 5) }, (_, i) => [`out_${i}`, randomTransformation(random)]),
    );
    const service = serviceOf(columns, transform);
    try {
      return { columns, service, fitted: fit(service, columns) };
    } catch (error) {
      if ((error as { code?: string }).code !== "FIT_IMPOSSIBLE") throw error;
    }
  }
}

function forEachCase(check: (random: SeededRandom, one: RandomCase) => void): void {
  const first = firstSeed();
  for (let seed = first; seed < first + RUNS; seed++) {
    const random = new SeededRandom(seed);
    try {
      check(random, randomCase(random));
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
}

/** The bits of a value, as text: tells -0 from 0 and keeps NaN equal to itself. */
function bitsOf(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== "number") return part;
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, part);
    return view.getBigUint64(0).toString(16);
  });
}

function randomRow(random: SeededRandom): { readonly values: Value[]; readonly statuses: StatusCode[] } {
  const values = [
    orNull(random, randomNumber(random)),
    orNull(random, random.integer(-9, 9)),
    orNull(random, random.pick(["a", "b", "new", ""])),
    orNull(random, random.oneIn(2)),
  ];
  const whyNull = (): StatusCode =>
    random.pick([Status.NULL_VALUE, Status.NOT_FOUND, Status.OUTSIDE_MAX_AGE, Status.ERROR]);
  return { values, statuses: values.map((value) => (value === null ? whyNull() : Status.PRESENT)) };
}

describe("transformations, on random trees and columns,", () => {
  it("are total once fitted: every vector has values of the declared types, none of them -0 or not finite", () => {
    forEachCase((random, { columns, service, fitted }) => {
      const { outputs } = compileTransformations(service, typesOf(columns), fitted);
      for (let i = 0; i < 30; i++) {
        const row = randomRow(random);
        const { values, statuses } = apply(service, typesOf(columns), fitted, row.values, row.statuses);
        for (const [at, { type, name }] of outputs.entries()) {
          if (!name.startsWith("out_")) continue;
          const value = values[at]!;
          const conforming = conformingValue(value, type, false);
          // A value that is imputed or passed on may be one that the source lets in as it is.
          const isPassedOn = typeof value === "number" && !Number.isFinite(value);
          if (!isPassedOn) expect(bitsOf(conforming)).toBe(bitsOf(value));
          if (value === null) expect(statuses[at]).not.toBe(Status.PRESENT);
        }
      }
    });
  });

  it("are the same again, and after their parameters were written as JSON and read back, to the bit", () => {
    forEachCase((random, { columns, service, fitted }) => {
      expect(bitsOf(fit(service, columns))).toBe(bitsOf(fitted));
      const readBack = JSON.parse(JSON.stringify(fitted)) as FittedParameters;
      expect(bitsOf(readBack)).toBe(bitsOf(fitted));
      for (let i = 0; i < 10; i++) {
        const { values, statuses } = randomRow(random);
        const once = apply(service, typesOf(columns), fitted, values, statuses);
        expect(bitsOf(apply(service, typesOf(columns), readBack, values, statuses))).toBe(bitsOf(once));
      }
    });
  });

  it("are fitted to the rows of the train split alone", () => {
    forEachCase((random, { columns, service, fitted }) => {
      const rows = Object.values(columns)[0]!.values.length;
      // Each row of the split moved to another place, strangers between them.
      const padded = Object.fromEntries(
        Object.entries(columns).map(([name, { type, values }]) => {
          const at = Object.keys(columns).indexOf(name);
          return [name, { type, values: values.flatMap((value) => [randomRow(random).values[at]!, value]) }];
        }),
      );
      const split = Array.from({ length: rows }, (_, i) => 2 * i + 1);
      expect(bitsOf(fit(service, padded, split))).toBe(bitsOf(fitted));
    });
  });

  it("give one row what they give it among others: a compiled program keeps nothing between rows", () => {
    forEachCase((random, { columns, service, fitted }) => {
      const { run, outputs } = compileTransformations(service, typesOf(columns), fitted);
      const slots = { values: [] as Value[], statuses: [] as StatusCode[] };
      for (let i = 0; i < 20; i++) {
        const row = randomRow(random);
        for (let at = 0; at < row.values.length; at++) {
          slots.values[at] = row.values[at]!;
          slots.statuses[at] = row.statuses[at]!;
        }
        run(slots);
        const alone = apply(service, typesOf(columns), fitted, row.values, row.statuses);
        expect(bitsOf(outputs.map(({ slot }) => slots.values[slot]))).toBe(bitsOf(alone.values));
        expect(outputs.map(({ slot }) => slots.statuses[slot])).toEqual(alone.statuses);
      }
    });
  });
});
