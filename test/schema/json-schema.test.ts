import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { checkValue, valueToJson } from "../../src/schema/check-value.ts";
import { rowJsonSchema, vectorJsonSchema } from "../../src/schema/json-schema.ts";
import type { Column, Value, ValueType } from "../../src/schema/value.ts";

interface Validator {
  compile(schema: object): (data: unknown) => boolean;
}
// Fastify brings Ajv along; resolved from there, so that it is the same copy.
const fromFastify = createRequire(createRequire(import.meta.url).resolve("fastify"));
const { default: Ajv2020 } = fromFastify("ajv/dist/2020.js") as {
  default: new (options: object) => Validator;
};
const ajv = new Ajv2020({ strict: false, validateFormats: false });

const TYPES: readonly ValueType[] = [
  { name: "int64" },
  { name: "int64", wide: true },
  { name: "float64" },
  { name: "string" },
  { name: "bytes" },
  { name: "bool" },
  { name: "timestamp" },
  { name: "array", element: { name: "int64" } },
];

function accepts(type: ValueType, value: unknown, nullable = false): boolean {
  const column: Column = { name: "a", type, nullable };
  return ajv.compile(rowJsonSchema([column]))({ a: value });
}

describe("JSON schema of a source's rows", () => {
  it("requires what is not nullable, and knows no other column", () => {
    const columns: readonly Column[] = [
      { name: "a", type: { name: "string" }, nullable: false },
      { name: "b", type: { name: "bool" }, nullable: true, description: "maybe" },
    ];
    const schema = rowJsonSchema(columns);
    const validate = ajv.compile(schema);
    expect(validate({ a: "x" })).toBe(true);
    expect(validate({ a: "x", b: null })).toBe(true);
    expect(validate({ b: true })).toBe(false);
    expect(validate({ a: null })).toBe(false);
    expect(validate({ a: "x", c: 1 })).toBe(false);
    expect(schema["properties"]).toMatchObject({ b: { description: "maybe" } });
  });

  it("takes a value exactly where the door takes it", () => {
    const candidates: readonly unknown[] = [
      0,
      -7,
      1.5,
      2 ** 53,
      "12",
      "-12",
      "007",
      "1.5",
      "text",
      "",
      "AAEC",
      true,
      "2026-01-31T12:00:00Z",
      "2026-01-31",
      "2026-01-31 12:00:00.123456+02:00",
      { micros: 5 },
      { millis: 5 },
      { micros: 5, millis: 5 },
      { seconds: 5 },
      [],
      [1, null, "2"],
      ["x"],
    ];
    for (const type of TYPES) {
      for (const candidate of candidates) {
        // Base64 is only an annotation in JSON schema.
        if (type.name === "bytes" && typeof candidate === "string") continue;
        let taken = true;
        try {
          checkValue(candidate, type);
        } catch {
          taken = false;
        }
        expect({ type, candidate, taken: accepts(type, candidate) }).toEqual({ type, candidate, taken });
      }
    }
  });

  it("lets the names of non-finite numbers in only where the source does", () => {
    const column: Column = { name: "a", type: { name: "float64" }, nullable: false };
    expect(accepts(column.type, "NaN")).toBe(false);
    expect(ajv.compile(rowJsonSchema([column], { allowNonFinite: true }))({ a: "NaN" })).toBe(true);
  });
});

describe("JSON schema of a vector", () => {
  it("describes every value that is served", () => {
    const values: Readonly<Record<string, fc.Arbitrary<Value>>> = {
      int64: fc.maxSafeInteger(),
      wide: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
      float64: fc.double(),
      string: fc.string(),
      bytes: fc.uint8Array(),
      bool: fc.boolean(),
      timestamp: fc.integer({ min: 0, max: 4e15 }).map((value) => value as Micros),
      array: fc.array(fc.option(fc.maxSafeInteger())),
    };
    const features = TYPES.map((type) => ({
      name: type.name === "int64" && type.wide === true ? "wide" : type.name,
      type,
    }));
    const validate = ajv.compile(vectorJsonSchema(features));
    const vectors = fc.record(
      Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fc.option(value)])),
    );
    fc.assert(
      fc.property(vectors, (vector) => {
        const answer = features.map(({ name, type }) => [name, valueToJson(vector[name] as Value, type)]);
        expect(validate(JSON.parse(JSON.stringify(Object.fromEntries(answer))))).toBe(true);
      }),
    );
    expect(validate({})).toBe(false);
  });
});
