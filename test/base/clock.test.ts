import { describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";

const START = parseMicros("2001-06-01T00:00:00Z");
const later = (seconds: number): Micros => (START + seconds * 1_000_000) as Micros;

describe("a replay clock", () => {
  it("stands where it was put, and never goes back", () => {
    const clock = new ReplayClock(START);
    expect(clock.now()).toBe(START);
    clock.advanceTo(later(10));
    clock.advanceTo(later(5));
    expect(clock.now()).toBe(later(10));
  });

  it("runs at any speed beside another clock, also from where it is moved to", () => {
    const base = new ReplayClock(0 as Micros);
    const clock = new ReplayClock(START, { speed: 60, base });
    base.advanceTo(1_000_000 as Micros);
    expect(clock.now()).toBe(later(60));
    clock.advanceTo(later(100));
    clock.advanceTo(later(90));
    expect(clock.now()).toBe(later(100));
    base.advanceTo(1_500_000 as Micros);
    expect(clock.now()).toBe(later(130));
  });
});
