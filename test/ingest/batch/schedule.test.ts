import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatMicros, type Micros, parseMicros } from "../../../src/base/micros.ts";
import { missedScheduled, nextScheduled } from "../../../src/ingest/batch/schedule.ts";

const at = (text: string): Micros => parseMicros(text);
const next = (schedule: string, after: string): string => formatMicros(nextScheduled(schedule, at(after)));

describe("a schedule", () => {
  it("is of five fields, in UTC, strictly after the time given", () => {
    expect(next("0 3 * * *", "2026-03-01T02:59:59Z")).toBe("2026-03-01T03:00:00Z");
    expect(next("0 3 * * *", "2026-03-01T03:00:00Z")).toBe("2026-03-02T03:00:00Z");
    expect(next("*/15 * * * *", "2026-03-01T03:07:00.000001Z")).toBe("2026-03-01T03:15:00Z");
    expect(next("30 1 29 2 *", "2026-03-01T00:00:00Z")).toBe("2028-02-29T01:30:00Z");
    // No daylight saving: every hour of every day comes once.
    expect(next("30 2 * * *", "2026-03-29T00:00:00Z")).toBe("2026-03-29T02:30:00Z");
  });

  it("takes either day where day of month and day of week are both given, as cron does", () => {
    expect(next("0 0 13 * 5", "2026-03-01T00:00:00Z")).toBe("2026-03-06T00:00:00Z");
  });

  it("has missed the newest of several times that have passed, or none", () => {
    const missed = (after: string, now: string): string | null => {
      const found = missedScheduled("0 * * * *", at(after), at(now));
      return found === null ? null : formatMicros(found);
    };
    expect(missed("2026-03-01T00:00:00Z", "2026-03-01T00:59:59Z")).toBeNull();
    expect(missed("2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z")).toBe("2026-03-01T01:00:00Z");
    expect(missed("2026-03-01T00:00:00Z", "2026-03-01T07:20:00Z")).toBe("2026-03-01T07:00:00Z");
  });

  it("finds what was missed as walking from time to time would, however long ago that was", () => {
    const schedules = ["* * * * *", "*/7 3 * * *", "0 0 13 * 5", "30 1 29 2 *", "0 0 30 2 *", "59 23 31 12 0"];
    const passed = fc.integer({ min: 0, max: 43_200 * 1_000_000 });
    const start = fc.integer({ min: at("2023-12-30T00:00:00Z"), max: at("2024-03-05T00:00:00Z") });
    const walked = (schedule: string, after: Micros, now: Micros): Micros | null => {
      let missed: Micros | null = null;
      for (let time = nextScheduled(schedule, after); time <= now; time = nextScheduled(schedule, time)) missed = time;
      return missed;
    };
    fc.assert(
      fc.property(fc.constantFrom(...schedules), start, passed, fc.boolean(), (schedule, after, micros, isEven) => {
        const minute = 60_000_000;
        const [from, now] = [after, after + micros].map((time) => (isEven ? time - (time % minute) : time) as Micros);
        expect(missedScheduled(schedule, from!, now!)).toBe(walked(schedule, from!, now!));
      }),
      { numRuns: 60 },
    );
    expect(missedScheduled("* * * * *", at("1996-03-01T00:00:00Z"), at("2026-03-01T00:00:30Z"))).toBe(
      at("2026-03-01T00:00:00Z"),
    );
  });

  it("that never comes is looked at again in a year", () => {
    expect(next("0 0 30 2 *", "2026-03-01T00:00:00Z")).toBe("2027-03-02T00:00:00Z");
  });
});
