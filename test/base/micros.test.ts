/** Times as text: what `Date` says, to the microsecond. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";

const time = fc.oneof(
  fc.integer({ min: -6_000_000_000_000_000, max: 9_000_000_000_000_000 }),
  fc.integer({ min: -6_000_000_000_000, max: 9_000_000_000_000 }).map((millis) => millis * 1000),
  fc.integer({ min: -6_000_000_000, max: 9_000_000_000 }).map((seconds) => seconds * 1_000_000),
  // Some that share a second.
  fc.integer({ min: 1_700_000_000_000_000, max: 1_700_000_001_999_999 }),
);

describe("a time as text", () => {
  it("is what Date says of its milliseconds, with the microseconds behind", () => {
    fc.assert(
      fc.property(time, (micros) => {
        const millis = Math.floor(micros / 1000);
        const rest = micros - millis * 1000;
        const iso = new Date(millis).toISOString();
        const text = rest === 0 ? iso.replace(".000Z", "Z") : iso.replace("Z", `${String(rest).padStart(3, "0")}Z`);
        expect(formatMicros(micros as Micros)).toBe(text);
        // Years of four digits are what the doors read.
        if (/^\d/.test(text)) expect(parseMicros(text)).toBe(micros);
      }),
      { numRuns: 5000 },
    );
  });
});
