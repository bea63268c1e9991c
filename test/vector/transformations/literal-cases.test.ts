/**
 * Every transformation on few values, with results that were worked out by hand.
 */
import { describe, expect, it } from "vitest";
import type { OnefoldError } from "../../../src/base/errors.ts";
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
import type { AnyTransformation } from "../../../src/define/transformation-typing.ts";
import { Status } from "../../../src/fold/view-fold.ts";
import type { Value } from "../../../src/schema/value.ts";
import { compileTransformations } from "../../../src/vector/transformations/compile.ts";
import { needsFit } from "../../../src/vector/transformations/steps.ts";
import {
  apply,
  bools,
  fit,
  floats,
  ints,
  serviceOf,
  type TestColumn,
  texts,
  transformed,
  typesOf,
} from "./transformed.ts";

const { PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE, ERROR } = Status;

function refusal(work: () => unknown): OnefoldError {
  try {
    work();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}

interface LiteralCase {
  readonly name: string;
  readonly column: TestColumn;
  readonly by: AnyTransformation;
  /** Given instead of the column itself. */
  readonly given?: readonly Value[];
  readonly gives: readonly Value[];
}

const CASES: readonly LiteralCase[] = [
  {
    name: "standardize",
    column: floats(2, 4, 4, 4, 5, 5, 7, 9),
    by: standardize("x"),
    gives: [-1.5, -0.5, -0.5, -0.5, 0, 0, 1, 2],
  },
  {
    name: "standardize a constant column",
    column: floats(0.1, 0.1, 0.1),
    by: standardize("x"),
    given: [0.1, 1.1],
    gives: [0, 1],
  },
  { name: "standardize one row", column: ints(7), by: standardize("x"), gives: [0] },
  { name: "standardize leaves nulls out", column: floats(1, null, 3), by: standardize("x"), gives: [-1, null, 1] },
  {
    name: "standardize the largest numbers",
    column: floats(-Number.MAX_VALUE, Number.MAX_VALUE),
    by: standardize("x"),
    gives: [-1, 1],
  },
  {
    name: "standardize the smallest numbers",
    column: floats(0, 2 * Number.MIN_VALUE),
    by: standardize("x"),
    gives: [-1, 1],
  },
  {
    name: "standardize past what is finite",
    column: floats(0, 2e-10),
    by: standardize("x"),
    given: [1e300],
    gives: [null],
  },
  {
    name: "minMax",
    column: ints(10, 20, 30),
    by: minMax("x"),
    given: [10, 15, 30, 40, 0],
    gives: [0, 0.25, 1, 1.5, -0.5],
  },
  {
    name: "minMax to a range of one's own",
    column: floats(0, 10),
    by: minMax("x", { low: -1, high: 1 }),
    given: [0, 5, 10],
    gives: [-1, 0, 1],
  },
  {
    name: "minMax of values further apart than the largest float64",
    column: floats(-1e308, 0, 1e308),
    by: minMax("x"),
    gives: [0, 0.5, 1],
  },
  {
    name: "minMax to a range wider than the largest float64",
    column: floats(0, 1, 2),
    by: minMax("x", { low: -1e308, high: 1e308 }),
    gives: [-1e308, 0, 1e308],
  },
  {
    name: "minMax a constant column",
    column: floats(5, 5),
    by: minMax("x", { low: 2, high: 3 }),
    given: [5, 6],
    gives: [2, 3],
  },
  {
    name: "log1p",
    column: floats(0, 1),
    by: log1p("x"),
    given: [0, 1, -1, -2, null],
    gives: [0, Math.LN2, null, null, null],
  },
  {
    name: "clip",
    column: ints(1),
    by: clip("x", { low: 0, high: 10 }),
    given: [-5, 5, 15, null],
    gives: [0, 5, 10, null],
  },
  {
    name: "clip on one side",
    column: floats(1),
    by: clip("x", { high: 0.5 }),
    given: [-1e9, 0.75],
    gives: [-1e9, 0.5],
  },
  {
    name: "bucketize",
    column: floats(1),
    by: bucketize("x", [0, 15, 60]),
    given: [-1, 0, 14.9, 15, 60, 1e9, null],
    gives: [0, 1, 1, 2, 3, 3, null],
  },
  {
    name: "quantileBins",
    column: ints(1, 2, 3, 4, 5, 6, 7, 8, 9),
    by: quantileBins("x", { bins: 4 }),
    given: [0, 2, 3, 5, 7, 99],
    gives: [0, 0, 1, 2, 3, 3],
  },
  {
    name: "quantileBins of few values",
    column: ints(0, 0, 0, 0, 0, 1),
    by: quantileBins("x", { bins: 3 }),
    gives: [0, 0, 0, 0, 0, 0],
  },
  {
    name: "quantileBins of two values",
    column: ints(0, 1, 1, 1),
    by: quantileBins("x", { bins: 4 }),
    gives: [0, 1, 1, 1],
  },
  {
    name: "oneHot",
    column: texts("b", "a", "b", "c", "a", null),
    by: oneHot("x", { max: 2 }),
    given: ["a", "b", "c", null],
    gives: [[1, 0, 0], [0, 1, 0], [0, 0, 1], null],
  },
  {
    name: "oneHot of listed categories",
    column: texts("a"),
    by: oneHot("x", { categories: ["z", "a"] }),
    given: ["a", "z", "q"],
    gives: [
      [0, 1, 0],
      [1, 0, 0],
      [0, 0, 1],
    ],
  },
  {
    name: "oneHot, unseen as zeros",
    column: texts("a"),
    by: oneHot("x", { unseen: "zeros" }),
    given: ["a", "q"],
    gives: [[1], [0]],
  },
  {
    name: "oneHot, unseen as null",
    column: texts("a"),
    by: oneHot("x", { unseen: "null" }),
    given: ["q"],
    gives: [null],
  },
  {
    name: "oneHot of bools",
    column: bools(true, false, true),
    by: oneHot("x", { unseen: "error" }),
    gives: [
      [1, 0],
      [0, 1],
      [1, 0],
    ],
  },
  { name: "ordinal", column: ints(5, 9, 9, 2), by: ordinal("x"), given: [9, 2, 5, 7, null], gives: [0, 1, 2, 3, null] },
  {
    name: "ordinal, unseen as an error",
    column: ints(5),
    by: ordinal("x", { unseen: "error" }),
    given: [5, 6],
    gives: [0, null],
  },
  { name: "impute the mean", column: ints(1, null, 2), by: impute("x", "mean"), gives: [1, 1.5, 2] },
  {
    name: "impute the median of an odd count",
    column: floats(9, null, 1, 2),
    by: impute("x", "median"),
    gives: [9, 2, 1, 2],
  },
  {
    name: "impute the median of an even count",
    column: ints(4, null, 1, 2, 9),
    by: impute("x", "median"),
    given: [null],
    gives: [3],
  },
  {
    name: "impute the most frequent, the smallest of several",
    column: texts("b", "a", "b", null, "a"),
    by: impute("x", "mostFrequent"),
    given: [null],
    gives: ["a"],
  },
  {
    name: "impute a value",
    column: texts(null),
    by: impute("x", { value: "none" }),
    given: [null, "a"],
    gives: ["none", "a"],
  },
  { name: "nested", column: floats(0, null, 1), by: minMax(impute(log1p("x"), { value: 0 })), gives: [0, 0, 1] },
];

describe("transformations", () => {
  it.each(CASES)("$name", ({ column, by, given, gives }) => {
    expect(transformed(column, by, given).values).toEqual(gives);
  });

  it("crosses values so that no two combinations run together", () => {
    const columns = { a: texts("x"), b: texts("y") };
    const service = serviceOf(columns, { lane: cross(["a", "b"], { buckets: 2 ** 31 - 1 }) }, ["a", "b"]);
    const lane = (...row: (string | null)[]): Value => apply(service, typesOf(columns), null, row).values[0]!;
    expect(new Set([lane("ab", "c"), lane("a", "bc"), lane("", "abc"), lane("c", "ab"), lane("abc", "")]).size).toBe(5);
    expect(lane("a", null)).toBeNull();
    expect(lane(null, null)).toBeNull();
  });
});

describe("a vector", () => {
  const columns = { delay: floats(1, 3), carrier: texts("AA", "DL"), flights: ints(5, 7) };

  it("has replaced values in their place, new ones behind, and omitted ones left out", () => {
    const service = serviceOf(
      columns,
      { carrier_number: ordinal("carrier"), delay: standardize("delay"), delay_bin: bucketize("delay", [2]) },
      ["carrier"],
    );
    const compiled = compileTransformations(service, typesOf(columns), fit(service, columns));
    expect(compiled.outputs.map(({ name, type, features }) => ({ name, type: type.name, features }))).toEqual([
      { name: "delay", type: "float64", features: [0] },
      { name: "flights", type: "int64", features: [2] },
      { name: "carrier_number", type: "int64", features: [1] },
      // of the feature as it is read, not of what replaces it
      { name: "delay_bin", type: "int64", features: [0] },
    ]);
    expect(apply(service, typesOf(columns), fit(service, columns), [3, "DL", 5]).values).toEqual([1, 5, 1, 1]);
  });

  it("computes, and fits, once what is written twice", () => {
    const filled = impute("delay", "median");
    const service = serviceOf(columns, { a: standardize(filled), b: minMax(filled), c: filled });
    expect(fit(service, columns).map((step) => step.transformation)).toEqual([
      "impute(delay, median)",
      "standardize(impute(delay, median))",
      "minMax(impute(delay, median), 0 to 1)",
    ]);
    expect(compileTransformations(service, typesOf(columns), fit(service, columns)).slotCount).toBe(3);
  });

  it("is computed in the slots that it is told, and in no other", () => {
    const service = serviceOf(columns, { delay: standardize(clip("delay", { low: 0 })) });
    const places = { features: [4, 1, 0], free: 6 };
    const { run, outputs } = compileTransformations(service, typesOf(columns), fit(service, columns), places);
    const slots = { values: [5, "AA", "kept", "kept", 3] as Value[], statuses: [0, 0, 0, 0, 0] as (0 | 4)[] };
    run(slots);
    expect(outputs.map(({ slot }) => slots.values[slot])).toEqual([1, "AA", 5]);
    expect(slots.values.slice(2, 4)).toEqual(["kept", "kept"]);
  });

  it("is refused where it needs a fit and has none, or one of another service", () => {
    const service = serviceOf(columns, { a: standardize("delay") });
    expect(refusal(() => compileTransformations(service, typesOf(columns), null))).toMatchObject({
      code: "SERVICE_NOT_FITTED",
      hint: "onefold fit --service model --labels FILE",
    });
    expect(refusal(() => compileTransformations(service, typesOf(columns), []))).toMatchObject({ code: "FIT_CORRUPT" });
    const plain = serviceOf(columns, { a: log1p("delay"), b: hashBucket("carrier", { buckets: 3 }) });
    expect(needsFit(plain)).toBe(false);
    expect(needsFit(service)).toBe(true);
  });
});

describe("statuses", () => {
  const columns = { x: floats(1, 3) };
  const types = typesOf(columns);
  const of = (by: AnyTransformation, value: Value, status: 0 | 1 | 2 | 3 | 4): unknown => {
    const service = serviceOf(columns, { x: by });
    const { values, statuses } = apply(service, types, fit(service, columns), [value], [status]);
    return [values[0], statuses[0]];
  };

  it("pass through with the value, or with why there is none", () => {
    for (const status of [PRESENT, NOT_FOUND]) expect(of(standardize("x"), 2, status)).toEqual([0, status]);
    for (const status of [NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE, ERROR]) {
      expect(of(standardize("x"), null, status)).toEqual([null, status]);
      expect(of(bucketize(log1p("x"), [1]), null, status)).toEqual([null, status]);
    }
  });

  it("are ERROR where no number is finite", () => {
    expect(of(log1p("x"), -1, PRESENT)).toEqual([null, ERROR]);
    for (const by of [standardize("x"), minMax("x"), clip("x", { low: 0 }), bucketize("x", [0]), log1p("x")]) {
      expect(of(by, Number.NaN, PRESENT)).toEqual([null, ERROR]);
    }
    expect(of(clip("x", { high: 5 }), Number.POSITIVE_INFINITY, PRESENT)).toEqual([5, PRESENT]);
  });

  it("say of an imputed value why it had to be", () => {
    expect(of(impute("x", "mean"), null, NULL_VALUE)).toEqual([2, PRESENT]);
    for (const status of [NOT_FOUND, OUTSIDE_MAX_AGE, ERROR]) {
      expect(of(impute("x", "mean"), null, status)).toEqual([2, status]);
    }
  });

  it("say of an unseen category what was declared", () => {
    const texts2 = { x: texts("a") };
    const outcome = (by: AnyTransformation): unknown => {
      const service = serviceOf(texts2, { x: by });
      return apply(service, typesOf(texts2), fit(service, texts2), ["q"]).statuses[0];
    };
    expect(outcome(ordinal("x"))).toBe(PRESENT);
    expect(outcome(ordinal("x", { unseen: "null" }))).toBe(NULL_VALUE);
    expect(outcome(ordinal("x", { unseen: "error" }))).toBe(ERROR);
  });

  it("of several inputs are the gravest", () => {
    const two = { a: texts("x"), b: texts("y") };
    const service = serviceOf(two, { c: cross(["a", "b"], { buckets: 9 }) }, ["a", "b"]);
    const status = (a: 0 | 2, b: 0 | 3): unknown =>
      apply(service, typesOf(two), null, [a === 0 ? "x" : null, b === 0 ? "y" : null], [a, b]).statuses[0];
    expect([status(0, 0), status(2, 0), status(0, 3), status(2, 3)]).toEqual([0, 2, 3, 3]);
  });

  it("know no -0", () => {
    expect(Object.is(of(minMax("x", { low: -1e-320 }), 1, PRESENT), -0)).toBe(false);
    const [value] = of(standardize("x"), 2 - 1e-300, PRESENT) as [number];
    expect(Object.is(value, 0)).toBe(true);
    expect(Object.is((of(clip("x", { low: -5 }), -0, PRESENT) as [number])[0], 0)).toBe(true);
  });
});

describe("fitting", () => {
  it("is refused where a transformation has no value, all of them at once", () => {
    const columns = { x: floats(null, null), c: texts(null, null), y: floats(1, 2) };
    const service = serviceOf(columns, {
      a: standardize(impute("x", "median")),
      b: oneHot("c"),
      d: minMax("y"),
      e: impute("x", { value: 0 }),
    });
    const error = refusal(() => fit(service, columns));
    expect(error.code).toBe("FIT_IMPOSSIBLE");
    expect(error.message).toBe(
      "impute(x, median) has no value to be fitted to in the 2 rows of the train split; oneHot(c, max 100, unseen other) has no value to be fitted to in the 2 rows of the train split",
    );
    expect(refusal(() => fit(serviceOf(columns, { d: minMax("y") }), columns, [])).message).toContain("in the 0 rows");
  });

  it("leaves out numbers that are not finite", () => {
    const column = floats(1, Number.NaN, Number.POSITIVE_INFINITY, 3);
    expect(transformed(column, standardize("x")).fitted).toEqual([
      { transformation: "standardize(x)", values: 2, parameters: { mean: 2, deviation: 1 } },
    ]);
  });

  it("sums without losing what is small beside what is large", () => {
    expect(transformed(floats(1e16, 1, -1e16, 1), impute("x", "mean")).fitted[0]!.parameters).toEqual({ value: 0.5 });
  });
});

describe("a custom transformation", () => {
  const spread = customTransformation("spread", {
    output: t.float64(),
    fit: (values: readonly number[]) => ({ middle: values.reduce((sum, value) => sum + value, 0) / values.length }),
    apply: (value: number, { middle }) => value - middle,
  });

  it("is fitted to what there is, and applied to it", () => {
    const { values, fitted } = transformed(floats(1, null, 3), spread("x"));
    expect(values).toEqual([-1, null, 1]);
    expect(fitted).toEqual([{ transformation: "custom spread(x)", values: 2, parameters: { middle: 2 } }]);
  });

  it("gives an ERROR where it throws, and where its result is not of its type", () => {
    const faulty = customTransformation("faulty", {
      output: t.int64(),
      apply: (value: number) => {
        if (value === 0) throw new Error("zero");
        return value / 2;
      },
    });
    const { values, statuses } = transformed(ints(1), faulty("x"), [0, 1, 2]);
    expect(values).toEqual([null, null, 1]);
    expect(statuses).toEqual([ERROR, ERROR, PRESENT]);
  });

  it("cannot change what it was fitted to", () => {
    const counting = customTransformation("counting", {
      output: t.int64(),
      fit: () => ({ calls: 0 }),
      apply: (_: number, fitted) => ++fitted.calls,
    });
    expect(transformed(ints(1, 2), counting("x")).statuses).toEqual([ERROR, ERROR]);
  });

  it("is refused where its fit throws or gives no JSON data", () => {
    const of = (fitted: () => unknown): string => {
      const broken = customTransformation("broken", { output: t.int64(), fit: fitted, apply: () => 1 });
      return refusal(() => transformed(ints(1), broken("x"))).message;
    };
    expect(of(() => new Map())).toContain("not JSON data");
    expect(of(() => Number.NaN)).toContain("it holds NaN");
    expect(
      of(() => {
        throw new Error("too few");
      }),
    ).toBe("custom broken(x): too few");
  });
});
