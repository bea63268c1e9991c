import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findJsonFault, parseJsonText, parseWideJson } from "../../src/schema/json-text.ts";

describe("JSON text", () => {
  it.each([
    ["", 0, "a value"],
    ["abc", 0, "a value"],
    ['{"a":1,}', 7, "a name in double quotes"],
    ["{'a':1}", 1, "a name in double quotes"],
    ['{"a" 1}', 5, '":"'],
    ['{"a":}', 5, "a value"],
    ["[1 2]", 3, '"," or "]"'],
    ["[1,]", 3, "a value"],
    ['{"a":1', 6, '"," or "}"'],
    ['"tab\there"', 4, "the rest of a string"],
    ['"\\x"', 1, "the rest of a string"],
    ["01", 1, "the end"],
    ["1 1", 2, "the end"],
    ["[nul]", 1, "a value"],
    ['{"a":{"b":[true,null,"x"]},"c" :NaN}', 32, "a value"],
  ])("finds the fault of %j at %i", (text, position, expected) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(findJsonFault(text)).toEqual({ position, expected });
  });

  it("says the line and the column", () => {
    expect(() => parseJsonText('{\n  "a": 1,\n  b: 2\n}', "body")).toThrowError(
      expect.objectContaining({
        code: "JSON_INVALID",
        where: "body",
        message: 'not valid JSON: "b" stands at line 3, column 3, where a name in double quotes is expected',
      }),
    );
  });

  it("finds no fault before the end of any valid text, and one inside any cut of it", () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, cut) => {
        expect(findJsonFault(text)).toEqual({ position: text.length, expected: "the end" });
        const part = text.slice(0, cut % (text.length + 1));
        let valid = true;
        try {
          JSON.parse(part);
        } catch {
          valid = false;
        }
        const fault = findJsonFault(part);
        expect(fault.position).toBeLessThanOrEqual(part.length);
        if (!valid) expect(fault).not.toEqual({ position: part.length, expected: "the end" });
      }),
    );
  });

  it("survives nesting far deeper than the stack", () => {
    expect(() => parseJsonText("[".repeat(2_000_000))).toThrowError(expect.objectContaining({ code: "JSON_INVALID" }));
  });
});

describe("JSON with wide whole numbers", () => {
  it("keeps the digits of those past the safe range, and nothing else of them", () => {
    const text =
      '{"a":[9007199254740993,-9223372036854775808,9007199254740991],"b":"9007199254740993 \\"9007199254740993",' +
      '"c":9007199254740993.5,"d":1e30,"12345678901234567":0.12345678901234567}';
    expect(parseWideJson(text)).toEqual({
      a: ["9007199254740993", "-9223372036854775808", 9007199254740991],
      b: '9007199254740993 "9007199254740993',
      c: Number("9007199254740993.5"),
      d: 1e30,
      "12345678901234567": Number("0.12345678901234567"),
    });
  });

  it("is what JSON.parse reads, where there are none", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const safe = (_key: string, one: unknown): unknown =>
          typeof one === "number" && Number.isInteger(one) && !Number.isSafeInteger(one) ? 0 : one;
        const text = JSON.stringify(value, safe);
        expect(parseWideJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it("refuses what is no JSON where it was written", () => {
    expect(() => parseWideJson('{"a": 9007199254740993, b}', "body")).toThrowError(
      expect.objectContaining({ code: "JSON_INVALID", message: expect.stringContaining("column 25") }),
    );
  });
});
