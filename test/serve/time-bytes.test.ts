import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatMicros, type Micros } from "../../src/base/micros.ts";
import { writtenText } from "../../src/serve/answer-bytes.ts";
import { writeMicros, writeThousandths } from "../../src/serve/time-bytes.ts";

describe("times as bytes", () => {
  it("are what formatMicros says", () => {
    const time = fc.oneof(
      fc.maxSafeInteger(),
      fc.integer({ min: 1.7e9, max: 1.7e9 + 2 }).map((seconds) => seconds * 1e6),
      fc.integer({ min: 1.7e12, max: 1.7e12 + 3000 }).map((millis) => millis * 1e3),
      fc.integer({ min: 1.7e15, max: 1.7e15 + 3_000_000 }),
    );
    fc.assert(
      fc.property(time, (value) => {
        expect(writtenText((out) => writeMicros(value as Micros, out))).toBe(formatMicros(value as Micros));
      }),
      { numRuns: 2000 },
    );
  });

  it("are, of milliseconds, what the number says", () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(2000), fc.nat(), fc.integer({ min: 0, max: 1e15 })), (micros) => {
        expect(writtenText((out) => writeThousandths(micros, out))).toBe(String(micros / 1000));
      }),
      { numRuns: 2000 },
    );
  });
});
