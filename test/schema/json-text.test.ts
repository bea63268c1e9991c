import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findJsonFault, parseJsonText } from "../../src/schema/json-text.ts";

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
