import { expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { stream, t } from "../../src/index.ts";
import type { LogEvent } from "../../src/ingest/event.ts";
import { Timeliness } from "../../src/ingest/timeliness.ts";

const options = { columns: { at: t.timestamp() }, eventTime: "at" } as const;
const MINUTE = 60_000_000;

function event(eventTime: number, knownTime: number): LogEvent {
  return { eventTime: eventTime as Micros, knownTime: knownTime as Micros, offset: 0, id: null, row: [] };
}

it("counts what comes later than the source says, a minute by default, and what happened before an earlier event", () => {
  const byDefault = new Timeliness(stream("default", options));
  expect(byDefault.count([event(0, MINUTE), event(0, MINUTE + 1), event(1, MINUTE + 1)])).toEqual({
    late: 1,
    outOfOrder: 0,
  });
  expect(byDefault.count([event(0, MINUTE + 2), event(1, MINUTE + 2)])).toEqual({ late: 2, outOfOrder: 1 });
  const patient = new Timeliness(stream("patient", { ...options, lateAfter: "1h" }));
  expect(patient.count([event(0, 60 * MINUTE), event(0, 60 * MINUTE + 1)])).toEqual({ late: 1, outOfOrder: 0 });
});

it("takes a time ahead of the clock for the time it became known", () => {
  const timeliness = new Timeliness(stream("ahead", options));
  expect(timeliness.count([event(30, 10), event(11, 20), event(10, 20)])).toEqual({ late: 0, outOfOrder: 1 });
});
