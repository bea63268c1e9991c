import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Value, ValueType } from "../../src/schema/value.ts";
import { type AnswerBytes, writtenText } from "../../src/serve/answer-bytes.ts";
import type { FeatureVector } from "../../src/serve/vector-buffer.ts";
import { writeFeatures } from "../../src/serve/features-bytes.ts";
import { answerFeatures } from "../../src/serve/vector-answer.ts";
import type { VectorPlan } from "../../src/serve/vector-plan.ts";

type Typed = readonly [ValueType, Value];

const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, 1e21, 1e-7, 5e-324, 2 ** 53, -1.5, 0.1 + 0.2, Number.NaN, Infinity, -Infinity, 1e300),
);
const numeric: fc.Arbitrary<Typed> = fc.oneof(
  fc.tuple(fc.constant<ValueType>({ name: "float64" }), number),
  fc.tuple(fc.constant<ValueType>({ name: "int64" }), fc.maxSafeInteger()),
  fc.tuple(fc.constant<ValueType>({ name: "int64", wide: true }), fc.bigInt().map(String)),
  fc.tuple(fc.constant<ValueType>({ name: "bool" }), fc.boolean()),
) as fc.Arbitrary<Typed>;
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom('","', '\\",', "\\", '"', "[,", "]", "{", "ü,東", "\ud83d", "\u2028"),
);
const other: fc.Arbitrary<Typed> = fc.oneof(
  fc.tuple(fc.constant<ValueType>({ name: "string" }), text),
  fc.tuple(fc.constant<ValueType>({ name: "timestamp" }), fc.integer({ min: 0, max: 4e15 })),
  fc.tuple(fc.constant<ValueType>({ name: "bytes" }), fc.uint8Array()),
  fc.tuple(fc.constant<ValueType>({ name: "array", element: { name: "float64" } }), fc.array(number)),
  fc.tuple(fc.constant<ValueType>({ name: "array", element: { name: "string" } }), fc.array(text)),
) as fc.Arbitrary<Typed>;
const name = fc.oneof(fc.string({ unit: "binary", maxLength: 8 }), fc.constantFrom("a", "b", "1", "__proto__", ","));
const outputsOf = (typed: fc.Arbitrary<Typed>): fc.Arbitrary<(readonly [string, Typed, boolean])[]> =>
  fc.array(fc.tuple(name, typed, fc.boolean()), { maxLength: 12 });

/** With something before it, which must stay. */
function written(plan: VectorPlan, vector: FeatureVector): string {
  return writtenText((out: AnswerBytes) => {
    out.text("before");
    writeFeatures(plan, vector, out);
    out.text("behind");
  });
}

describe("the features of an answer as bytes", () => {
  it.each([
    ["numbers", numeric],
    ["values of all types", fc.oneof(numeric, other)],
  ])("are what JSON.stringify makes of %s", (_, typed) => {
    fc.assert(
      fc.property(outputsOf(typed), (outputs) => {
        const plan = { outputs: outputs.map(([name, [type]]) => ({ name, type })) } as unknown as VectorPlan;
        const values = outputs.map(([, [, value], isNull]) => (isNull ? null : value));
        const vector = { values } as unknown as FeatureVector;
        expect(written(plan, vector)).toBe(`before${JSON.stringify(answerFeatures(plan, vector))}behind`);
      }),
      { numRuns: 2000 },
    );
  });

  it("are those of the vector as it is now, however often they are written", () => {
    const plan = { outputs: [{ name: "a", type: { name: "float64" } }] } as unknown as VectorPlan;
    for (const value of [1, null, 2.5, Number.NaN, 7]) {
      const vector = { values: [value] } as unknown as FeatureVector;
      expect(written(plan, vector)).toBe(`before${JSON.stringify(answerFeatures(plan, vector))}behind`);
    }
  });
});
