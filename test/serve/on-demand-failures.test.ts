/** A view that fails at every request is told of, and does not flood the one who is told. */
import { expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { diagnostics } from "../../src/base/diagnostics.ts";
import { type Micros, MICROS_PER_MINUTE, parseMicros } from "../../src/base/micros.ts";
import { tellOnDemandFailures } from "../../src/serve/on-demand-failures.ts";

const START = parseMicros("2026-03-01T00:00:00Z");

it("tells each message of a view once a minute, and at most twenty", () => {
  const clock = new ReplayClock(START);
  const told: string[] = [];
  const stop = tellOnDemandFailures(clock, ({ code, message, where }) => told.push(`${code} ${message} ${where}`));
  const fail = (view: string, message: string, code = "ON_DEMAND_FAILED"): void =>
    diagnostics.onDemandFailed.publish({ view, code, message, where: "features.ts:3" });
  const round = (): void => {
    for (let i = 0; i < 100; i++) {
      fail("a@1", "x");
      fail("b@1", "x");
      fail("a@1", "y", "ON_DEMAND_OUTPUT_INVALID");
    }
  };
  round();
  const once = [
    "ON_DEMAND_FAILED on-demand view a@1: x features.ts:3",
    "ON_DEMAND_FAILED on-demand view b@1: x features.ts:3",
    "ON_DEMAND_OUTPUT_INVALID on-demand view a@1: y features.ts:3",
  ];
  expect(told).toEqual(once);
  clock.advanceTo((START + MICROS_PER_MINUTE - 1) as Micros);
  round();
  expect(told).toEqual(once);
  clock.advanceTo((START + MICROS_PER_MINUTE) as Micros);
  round();
  expect(told).toEqual([...once, ...once]);
  for (let i = 0; i < 1000; i++) fail("a@1", `no such id ${i}`);
  expect(told).toHaveLength(3 + 20);
  stop();
  clock.advanceTo((START + 10 * MICROS_PER_MINUTE) as Micros);
  round();
  expect(told).toHaveLength(3 + 20);
  expect(diagnostics.onDemandFailed.hasSubscribers).toBe(false);
});
