import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ErrorCode, OnefoldError } from "../../src/base/errors.ts";
import { checkValue, valueToJson } from "../../src/schema/check-value.ts";
import type { Value, ValueType } from "../../src/schema/value.ts";
import { promised } from "../promised.ts";

const int64: ValueType = { name: "int64" };
const wide: ValueType = { name: "int64", wide: true };
const float64: ValueType = { name: "float64" };
const string: ValueType = { name: "string" };
const bytes: ValueType = { name: "bytes" };
const bool: ValueType = { name: "bool" };
const timestamp: ValueType = { name: "timestamp" };
const floats: ValueType = { name: "array", element: float64 };

function refusal(value: unknown, type: ValueType): ErrorCode | "accepted" {
  try {
    checkValue(value, type, { allowNonFinite: false });
    return "accepted";
  } catch (error) {
    if (error instanceof OnefoldError) return error.code;
    throw error;
  }
}

function messageOf(value: unknown, type: ValueType): string {
  try {
    checkValue(value, type, { allowNonFinite: false });
    return "accepted";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("values at the door", () => {
  it.each<[unknown, ValueType, Value]>([
    [5, int64, 5],
    ["-12", int64, -12],
    [12n, int64, 12],
    [9007199254740991, int64, 9007199254740991],
    ["9223372036854775807", wide, "9223372036854775807"],
    [-(2n ** 63n), wide, "-9223372036854775808"],
    [17, wide, "17"],
    ["-0", wide, "0"],
    [0.1, float64, 0.1],
    [3n, float64, 3],
    ["", string, ""],
    ["\u{1f600}", string, "\u{1f600}"],
    [false, bool, false],
    ["1970-01-01T00:00:01.000002Z", timestamp, 1000002],
    ["1970-01-01 00:00:01", timestamp, 1000000],
    [new Date(5), timestamp, 5000],
    [{ micros: 7 }, timestamp, 7],
    [{ millis: 7 }, timestamp, 7000],
    [[1, null, 2.5], floats, [1, null, 2.5]],
    [null, int64, null],
    [undefined, string, null],
  ])("takes %o as %o", (value, type, expected) => {
    expect(checkValue(value, type, { allowNonFinite: false })).toStrictEqual(expected);
  });

  it.each<[unknown, ValueType, ErrorCode]>([
    [JSON.parse("9007199254740993"), int64, "INT64_UNSAFE"],
    ["9007199254740993", int64, "INT64_UNSAFE"],
    [2n ** 60n, int64, "INT64_UNSAFE"],
    [JSON.parse("9007199254740993"), wide, "INT64_UNSAFE"],
    ["9223372036854775808", wide, "INT64_UNSAFE"],
    [1.5, int64, "TYPE_MISMATCH"],
    ["1.5", int64, "TYPE_MISMATCH"],
    ["007", int64, "TYPE_MISMATCH"],
    ["", int64, "TYPE_MISMATCH"],
    [Number.NaN, int64, "NUMBER_NOT_FINITE"],
    [true, int64, "TYPE_MISMATCH"],
    ["1.5", float64, "TYPE_MISMATCH"],
    [Number.NaN, float64, "NUMBER_NOT_FINITE"],
    ["Infinity", float64, "NUMBER_NOT_FINITE"],
    [1, string, "TYPE_MISMATCH"],
    ["\ud800", string, "TYPE_MISMATCH"],
    [1, bool, "TYPE_MISMATCH"],
    ["true", bool, "TYPE_MISMATCH"],
    [1700000000, timestamp, "TIME_INVALID"],
    ["yesterday", timestamp, "TIME_INVALID"],
    ["2026-02-30", timestamp, "TIME_INVALID"],
    [new Date(Number.NaN), timestamp, "TIME_INVALID"],
    [{ micros: 1.5 }, timestamp, "TIME_INVALID"],
    [{ seconds: 1 }, timestamp, "TYPE_MISMATCH"],
    [{ micros: 1, millis: 1 }, timestamp, "TYPE_MISMATCH"],
    ["a", bytes, "TYPE_MISMATCH"],
    ["a*==", bytes, "TYPE_MISMATCH"],
    [[1, "2"], floats, "TYPE_MISMATCH"],
    [1, floats, "TYPE_MISMATCH"],
  ])("refuses %o as %o with %s", (value, type, code) => {
    expect(refusal(value, type)).toBe(code);
  });

  it.each([
    [int64, "INT64_UNSAFE"],
    [wide, "INT64_UNSAFE"],
    [float64, "TYPE_MISMATCH"],
    [timestamp, "TIME_INVALID"],
    [bool, "TYPE_MISMATCH"],
  ] as const)("refuses millions of digits as %o at once, and does not repeat them", (type, code) => {
    const startMs = performance.now();
    for (const digits of ["9".repeat(8_000_000), `-1${"0".repeat(8_000_000)}`]) {
      expect(refusal(digits, type)).toBe(code);
      expect(messageOf(digits, type).length).toBeLessThan(200);
    }
    expect(performance.now() - startMs).toBeLessThan(promised(2000));
  });

  it("names the column in message and where, and says what to do about lost digits", () => {
    const check = (): Value => checkValue(2 ** 53, int64, { allowNonFinite: false, where: "amount" });
    expect(check).toThrow(/^amount: 9007199254740992 is outside the safe range/);
    try {
      check();
    } catch (error) {
      expect((error as OnefoldError).where).toBe("amount");
      expect((error as OnefoldError).hint).toContain("wide: true");
    }
    expect(() => checkValue("soon", timestamp, { allowNonFinite: false, where: "at" })).toThrow(/^at: "soon"/);
  });

  it("turns -0 into 0 in every numeric type", () => {
    for (const type of [int64, float64]) {
      expect(Object.is(checkValue(-0, type, { allowNonFinite: true }), 0)).toBe(true);
    }
    expect(checkValue(-0, wide, { allowNonFinite: true })).toBe("0");
    expect(Object.is(checkValue({ micros: -0 }, timestamp), 0)).toBe(true);
    expect(Object.is(checkValue({ millis: -0.0001 }, timestamp), 0)).toBe(true);
  });

  it("lets non-finite numbers in only where the source allows them", () => {
    expect(checkValue("NaN", float64, { allowNonFinite: true })).toBeNaN();
    expect(checkValue(Infinity, float64, { allowNonFinite: true })).toBe(Infinity);
    expect(valueToJson(-Infinity, float64)).toBe("-Infinity");
  });

  it("copies bytes and arrays, so that the caller may reuse its buffers", () => {
    const source = new Uint8Array([1, 2]);
    const copy = checkValue(source, bytes) as Uint8Array;
    source[0] = 9;
    expect([...copy]).toEqual([1, 2]);
  });

  it("returns what it wrote: checkValue(valueToJson(v)) is v for every type", () => {
    const cases = fc.oneof(
      fc.maxSafeInteger().map((value): [Value, ValueType] => [value + 0, int64]),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value): [Value, ValueType] => [String(value), wide]),
      fc.double().map((value): [Value, ValueType] => [value + 0, float64]),
      fc.string({ unit: "binary" }).map((value): [Value, ValueType] => [value, string]),
      fc.uint8Array().map((value): [Value, ValueType] => [new Uint8Array(value), bytes]),
      fc.boolean().map((value): [Value, ValueType] => [value, bool]),
      fc.integer({ min: 0, max: 9e15 }).map((value): [Value, ValueType] => [value, timestamp]),
      fc
        .array(fc.option(fc.double({ noNaN: true })))
        .map((value): [Value, ValueType] => [value.map((element) => (element === null ? null : element + 0)), floats]),
    );
    fc.assert(
      fc.property(cases, ([value, type]) => {
        const wire = JSON.parse(JSON.stringify(valueToJson(value, type))) as unknown;
        expect(checkValue(wire, type, { allowNonFinite: true })).toStrictEqual(value);
      }),
      { numRuns: 2000 },
    );
  });
});
