/** Times that are told by a clock that is ahead are taken as of the moment they were heard in. */
import { expect, it } from "vitest";
import { TellerClock } from "../../../src/platform/online/teller-clock.ts";

it("shifts by the word heard last, and by nothing where that does not say of when it is", () => {
  const clock = new TellerClock();
  const shiftAfter = (at: number | undefined, now: number): number => {
    clock.heard(at, now);
    return clock.shift;
  };
  expect(shiftAfter(150, 100)).toBe(-50);
  // The same word, heard again later, was heard first.
  expect(shiftAfter(150, 120)).toBe(-50);
  expect(shiftAfter(160, 170)).toBe(0);
  expect(shiftAfter(250, 200)).toBe(-50);
  expect(shiftAfter(undefined, 210)).toBe(0);
  expect(shiftAfter(250, 220)).toBe(-30);
});
