/** Which sources take corrections, and what a call of them becomes in the log. */
import { describe, expect, it } from "vitest";
import type { SourceDefinition } from "../../src/define/definition.ts";
import { type Correction, planCorrections, refuseUncorrectable } from "../../src/ingest/corrections.ts";
import { isRetraction, type LogEvent } from "../../src/ingest/event.ts";
import { stream, t } from "../../src/index.ts";
import type { Micros } from "../../src/base/micros.ts";

const columns = { id: t.string(), user: t.string(), at: t.timestamp() };
const plain = stream("plain", { columns, eventTime: "at", id: "id" });
const RETRACT: readonly Correction[] = [{ op: "retract", id: "a" }];

describe("corrections", () => {
  it.each([
    ["come from Kafka", stream("topic", { columns, eventTime: "at", id: "id", kafka: "topic" }), "REQUEST_INVALID"],
    ["have no ids", stream("anonymous", { columns, eventTime: "at" }), "REQUEST_INVALID"],
    ["are read from a batch source", { ...plain, kind: "batch" } as unknown as SourceDefinition, "SOURCE_IS_BATCH"],
  ])("are refused for events that %s", (_, source: SourceDefinition, code) => {
    expect(() => refuseUncorrectable(source, RETRACT)).toThrow(expect.objectContaining({ code }));
    expect(() => refuseUncorrectable(plain, RETRACT)).not.toThrow();
  });

  it("become retractions, and events behind them, each judged by those before it in the call", () => {
    const known = new Map([
      ["a", { all: 1, counting: 1 }],
      ["gone", { all: 2, counting: 0 }],
    ]);
    const checked = (row: unknown) => ({ row: [], eventTime: 5 as Micros, id: (row as { id: string }).id });
    const planned = planCorrections(
      plain,
      [
        { op: "retract", id: "a" },
        { op: "retract", id: "a" },
        { op: "replace", id: "gone", event: { id: "gone" } },
        { op: "replace", id: "gone", event: { id: "other" } },
        { op: "retract", id: "gone" },
        { op: "retract", id: "never" },
      ],
      known,
      checked,
    );
    expect(planned.rows.map((row) => [row.id, isRetraction(row)])).toEqual([
      ["a", true],
      ["gone", true],
      ["gone", false],
      ["gone", true],
    ]);
    const run = planned.rows.map((row, i): LogEvent => ({ ...row, offset: 100 + i, knownTime: 9 as Micros }));
    expect(planned.result(run)).toMatchObject({
      corrected: 3,
      rejected: 3,
      outcomes: [
        { status: "retracted", id: "a", offset: 100, events: 1 },
        { status: "rejected", id: "a", code: "EVENT_UNKNOWN" },
        { status: "replaced", id: "gone", offset: 102, events: 0 },
        { status: "rejected", id: "gone", code: "REQUEST_INVALID" },
        { status: "retracted", id: "gone", offset: 103, events: 1 },
        { status: "rejected", id: "never", code: "EVENT_UNKNOWN" },
      ],
    });
  });
});
