import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Value, ValueType } from "../../src/schema/value.ts";
import type { FeatureVector } from "../../src/serve/vector-buffer.ts";
import { featuresText } from "../../src/serve/features-text.ts";
import { answerFeatures } from "../../src/serve/vector-answer.ts";
import type { VectorPlan } from "../../src/serve/vector-plan.ts";

const scalar: fc.Arbitrary<readonly [ValueType, Value]> = fc.oneof(
  fc.tuple(fc.constant<ValueType>({ name: "float64" }), fc.double()),
  fc.tuple(fc.constant<ValueType>({ name: "int64" }), fc.maxSafeInteger()),
  fc.tuple(fc.constant<ValueType>({ name: "int64", wide: true }), fc.bigInt().map(String)),
  fc.tuple(fc.constant<ValueType>({ name: "string" }), fc.string({ unit: "binary" })),
  fc.tuple(fc.constant<ValueType>({ name: "bool" }), fc.boolean()),
  fc.tuple(fc.constant<ValueType>({ name: "timestamp" }), fc.integer({ min: 0, max: 4e15 })),
  fc.tuple(fc.constant<ValueType>({ name: "bytes" }), fc.uint8Array()),
) as fc.Arbitrary<readonly [ValueType, Value]>;
const list = fc
  .array(fc.double())
  .map((values): readonly [ValueType, Value] => [{ name: "array", element: { name: "float64" } }, values]);
const output = fc.tuple(
  fc.oneof(fc.string({ unit: "binary", maxLength: 8 }), fc.constantFrom("a", "b", "1", "__proto__")),
  fc.oneof(scalar, list),
  fc.boolean(),
);

describe("the features of an answer as text", () => {
  it("are what JSON.stringify makes of them", () => {
    fc.assert(
      fc.property(fc.array(output, { maxLength: 8 }), (outputs) => {
        const plan = { outputs: outputs.map(([name, [type]]) => ({ name, type })) } as unknown as VectorPlan;
        const values = outputs.map(([, [, value], isNull]) => (isNull ? null : value));
        const vector = { values } as unknown as FeatureVector;
        expect(featuresText(plan, vector)).toBe(JSON.stringify(answerFeatures(plan, vector)));
      }),
      { numRuns: 2000 },
    );
  });
});
