/**
 * Transformations as data, and what is refused of them by the DSL and by the registry.
 */
import { describe, expect, it } from "vitest";
import type { OnefoldError } from "../../src/base/errors.ts";
import { column, count, first, mean } from "../../src/define/aggregation-builder.ts";
import { t } from "../../src/define/column-type.ts";
import { customTransformation } from "../../src/define/custom-transformation.ts";
import type { ServiceDefinition } from "../../src/define/definition.ts";
import type { TransformationDefinition, TransformationNode } from "../../src/define/transformation-definition.ts";
import { entity } from "../../src/define/entity.ts";
import { onDemand } from "../../src/define/on-demand.ts";
import { service } from "../../src/define/service.ts";
import { stream } from "../../src/define/source.ts";
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
} from "../../src/define/transformation.ts";
import type { AnyTransformation } from "../../src/define/transformation-typing.ts";
import { transformationText } from "../../src/define/transformation-text.ts";
import { view } from "../../src/define/view.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { problemsOf } from "../../src/registry/validate.ts";

const airport = entity("airport", { airport: t.string() });
const arrivals = stream("arrivals", {
  columns: {
    airport: t.string(),
    at: t.timestamp(),
    delay: t.float64().nullable(),
    carrier: t.string(),
    tail: t.int64({ wide: true }),
    codes: t.array(t.string()),
  },
  eventTime: "at",
});
const delays = view("delays", {
  entity: airport,
  source: arrivals,
  features: {
    flights: count(),
    mean_delay: mean("delay"),
    carrier: column("carrier"),
    tail: column("tail"),
    first_at: first("at"),
    codes: column("codes"),
  },
});
const ratio = onDemand("ratio", {
  inputs: [delays.pick("flights")],
  outputs: { ratio: t.float64() },
  compute: ({ flights }) => ({ ratio: flights / 2 }),
});
const features = [delays, ratio] as const;

/** Of a service with this one transformation, written past the compiler. */
function withTransform(transform: unknown, omit?: unknown): ServiceDefinition {
  return service("model", { features: [...features], transform, omit } as never);
}

function refusal(define: () => unknown): OnefoldError {
  try {
    define();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}

function nodeOf(one: AnyTransformation): TransformationNode {
  return one.node as TransformationNode;
}

describe("transformations are frozen plain data", () => {
  it("writes trees, types and defaults", () => {
    const model = service("model", {
      features: [delays, ratio],
      transform: {
        mean_delay: standardize(impute("mean_delay", "median")),
        slots: oneHot("carrier"),
        half: log1p("ratio"),
      },
      omit: ["carrier"],
    });
    expect(model.transform).toEqual([
      {
        name: "mean_delay",
        type: { name: "float64" },
        node: {
          op: "standardize",
          input: { op: "impute", by: "median", input: { op: "input", feature: "mean_delay" } },
        },
      },
      {
        name: "slots",
        type: { name: "array", element: { name: "float64" } },
        node: { op: "oneHot", input: { op: "input", feature: "carrier" }, max: 100, unseen: "other" },
      },
      { name: "half", type: { name: "float64" }, node: { op: "log1p", input: { op: "input", feature: "ratio" } } },
    ]);
    expect(model.omit).toEqual(["carrier"]);
    expect(Object.isFrozen(model.transform![0]!.node)).toBe(true);
    expect(problemsOf([airport, arrivals, delays, ratio, model], [])).toEqual([]);
  });

  it("leaves services without any what they were", () => {
    const plain = service("plain", { features: [delays] });
    expect(Object.keys(plain)).not.toContain("transform");
    expect(Object.keys(plain)).not.toContain("omit");
  });

  it("gives another fingerprint to every other option", () => {
    const options: AnyTransformation[] = [
      standardize("mean_delay"),
      minMax("mean_delay"),
      minMax("mean_delay", { low: -1 }),
      clip("mean_delay", { low: 0 }),
      clip("mean_delay", { high: 0 }),
      bucketize("mean_delay", [0]),
      quantileBins("mean_delay", { bins: 2 }),
      quantileBins("mean_delay", { bins: 3 }),
      oneHot("carrier"),
      oneHot("carrier", { max: 99 }),
      oneHot("carrier", { unseen: "zeros" }),
      oneHot("carrier", { categories: ["AA"] }),
      ordinal("carrier"),
      hashBucket("carrier", { buckets: 2 }),
      cross(["carrier", "tail"], { buckets: 2 }),
      cross(["tail", "carrier"], { buckets: 2 }),
      impute("carrier", "mostFrequent"),
      impute("carrier", { value: "AA" }),
    ];
    const hashes = options.map((one) => fingerprint(withTransform({ x: one })));
    expect(new Set(hashes).size).toBe(options.length);
    // the text stands for the transformation in a fit, so it has to tell them apart, too
    expect(new Set(options.map((one) => transformationText(nodeOf(one)))).size).toBe(options.length);
  });
});

describe("a service refuses", () => {
  const REFUSED: readonly (readonly [transform: Record<string, unknown>, sentence: string])[] = [
    [{ a: standardize("mean_dely") }, 'the service has no feature "mean_dely"; did you mean "mean_delay"?'],
    [{ a: standardize("carrier") }, 'standardize needs a number, feature "carrier" is string'],
    [
      { a: log1p(oneHot("carrier") as never) },
      "log1p needs a number, oneHot(carrier, max 100, unseen other) is array<float64>",
    ],
    [{ a: minMax("first_at") }, 'minMax needs a number, feature "first_at" is timestamp'],
    [{ a: oneHot("mean_delay") }, 'oneHot needs a string, an int64 or a bool, feature "mean_delay" is float64'],
    [
      { a: hashBucket("codes", { buckets: 4 }) },
      'hashBucket needs a string, an int64 or a bool, feature "codes" is array<string>',
    ],
    [{ a: minMax("flights", { low: 1, high: 1 }) }, "minMax: 1 to 1 is no range"],
    [{ a: clip("flights", {} as never) }, "clip needs low, high or both"],
    [{ a: clip("flights", { low: 0.5 }) }, "clip: 0.5 is no int64"],
    [{ a: clip("mean_delay", { low: 2, high: 1 }) }, "clip: 2 to 1 is no range"],
    [{ a: bucketize("flights", [0, 0]) }, "bucketize: [0,0] are not numbers that rise"],
    [{ a: bucketize("flights", []) }, "bucketize needs its boundaries"],
    [{ a: quantileBins("flights", { bins: 1 }) }, "quantileBins: bins is 1, not a whole number from 2 to 1000"],
    [{ a: oneHot("carrier", { max: 5000 }) }, "oneHot: max is 5000, not a whole number from 1 to 1000"],
    [{ a: oneHot("carrier", { categories: ["AA", "AA"] }) }, 'oneHot: category "AA" is there twice'],
    [{ a: oneHot("carrier", { categories: [1] }) }, "oneHot: 1 is no string"],
    [{ a: oneHot("tail", { categories: [1] }) }, "oneHot: 1 is no wide int64, which is decimal text"],
    [{ a: ordinal("carrier", { unseen: "zeros" } as never) }, 'ordinal: unseen "zeros" is none of other, null, error'],
    [{ a: cross(["carrier"], { buckets: 4 }) }, "cross needs two features or more"],
    [{ a: cross(["carrier", "tail"], { buckets: 0 }) }, "cross: buckets is 0, not a whole number from 2 to 2147483647"],
    [{ a: impute("carrier", "mean") }, 'impute needs a number, feature "carrier" is string'],
    [{ a: impute("flights", { value: "none" }) }, 'impute: "none" is no int64'],
    [{ a: impute("flights", "mode" as never) }, 'impute: "mode" is none of mean, median, mostFrequent, value'],
    [{ "not a name": log1p("flights") }, 'its name "not a name" is not a name'],
    [{ a: "flights" }, 'transform "a" is not a transformation such as standardize("a")'],
  ];
  it.each(REFUSED)("%j", (transform, sentence) => {
    const error = refusal(() => withTransform(transform));
    expect(error).toMatchObject({ code: "DEFINITION_INVALID" });
    expect(error.message).toContain(sentence);
    expect(error.where).toMatch(/transformations\.test\.ts:\d+$/);
  });

  it.each([
    [["carrir"], 'omit: the service has no feature "carrir"; did you mean "carrier"?'],
    [["mean_delay"], 'omit: "mean_delay" is what a transformation gives'],
    [["flights"], 'omit: no transformation reads "flights": leave it out of features instead'],
    [["carrier", "carrier"], 'omit: "carrier" is there twice'],
  ])("omit %j", (omit, sentence) => {
    const transform = { mean_delay: log1p("mean_delay"), slots: oneHot("carrier") };
    expect(refusal(() => withTransform(transform, omit)).message).toContain(sentence);
  });

  it("operands that are none, at their line", () => {
    const error = refusal(() => standardize(3 as never));
    expect(error.message).toBe("standardize takes the name of a feature of its service, or another transformation");
    expect(error.where).toMatch(/transformations\.test\.ts:\d+$/);
  });

  it("two custom transformations of one name, as their parameters would be kept under it", () => {
    const made = (by: number): AnyTransformation =>
      customTransformation("scaled", { output: t.float64(), apply: (value: number) => value * by })("flights");
    expect(refusal(() => withTransform({ a: made(1), b: made(2) })).message).toContain(
      'two custom transformations are named "scaled"',
    );
    const one = made(3);
    expect(withTransform({ a: one, b: minMax(one) }).transform).toHaveLength(2);
  });

  it("a custom transformation without its functions", () => {
    const error = refusal(() => customTransformation("x y", { output: "float64", apply: 1, fit: 2 } as never));
    expect(error.message).toMatch(
      /its name.*apply is not a function; fit is not a function; output is not a column type/,
    );
  });
});

describe("the registry", () => {
  const base = [airport, arrivals, delays, ratio];
  const model = withTransform({ a: standardize("mean_delay") });
  const changed = (parts: Partial<ServiceDefinition>): string[] =>
    problemsOf([...base, { ...model, ...parts }], []).map(({ message }) => message);

  it("refuses the same of definitions that no compiler has seen", () => {
    const node = (text: unknown): TransformationDefinition[] => [
      { name: "a", type: { name: "float64" }, node: text as TransformationNode },
    ];
    const input = { op: "input", feature: "carrier" };
    expect(changed({ transform: node({ op: "standardize", input }) })).toEqual([
      'transform "a": standardize needs a number, feature "carrier" is string',
    ]);
    expect(changed({ transform: node({ op: "scale", input }) })).toEqual([
      'transform "a": there is no transformation "scale"',
    ]);
    expect(
      changed({ transform: [{ name: "a", type: { name: "string" }, node: input as TransformationNode }] }),
    ).toEqual(['transform "a": it transforms nothing']);
    expect(changed({ transform: [{ ...model.transform![0]!, type: { name: "string" } }] })).toEqual([
      'transform "a": its type is string, it computes float64',
    ]);
    expect(changed({ transform: [model.transform![0]!, model.transform![0]!] })).toEqual([
      'transform: "a" is there twice',
    ]);
    expect(changed({ omit: model.features.map((feature) => feature.as), transform: [] })).toContain(
      "omit leaves nothing in its vector",
    );
  });

  it("says nothing of transformations where a feature is not there: that is told already", () => {
    const [one, ...others] = model.features;
    expect(changed({ features: [{ ...one!, feature: "flihgts" }, ...others] })).toEqual([
      'there is no feature of delays@1 "flihgts"; did you mean "flights"?',
    ]);
  });
});
