/** How much evidence a rule wants of signals of several kinds, and what a clock does that was ahead. */
import { describe, expect, it } from "vitest";
import { alert, retrain, webhook } from "../../../src/index.ts";
import type { RuleDefinition } from "../../../src/define/alert-definition.ts";
import { type AlertMemory, evaluate, NOTHING_REMEMBERED } from "../../../src/monitor/alerts/evaluate.ts";
import { dueNow } from "../../../src/monitor/alerts/outbox.ts";
import type { WatchedSignal } from "../../../src/monitor/alerts/rule.ts";
import { judge } from "../../../src/monitor/freshness/judge.ts";
import { freshnessSignals } from "../../../src/monitor/freshness/signals.ts";
import { Violations } from "../../../src/monitor/freshness/violations.ts";

const parts = { featuresOf: () => [{ view: "spend@1", feature: "n", as: "n" }], sourceOf: () => "pays" };
const hook = webhook("hook", { url: "http://localhost:1" });
const MINUTE = 60_000_000;
const DAY = 1440 * MINUTE;
const START = 1_700_000_000_000_000;

class Watch {
  readonly #rule: RuleDefinition;
  readonly #violations = new Violations();
  #memory: AlertMemory = NOTHING_REMEMBERED;
  /** When it was told that something fires, or a training set was asked for. */
  readonly told: number[] = [];

  constructor(rule: RuleDefinition) {
    this.#rule = rule;
  }

  /** Of a source that promises an event a minute, and has had none for so long. */
  look(now: number, silentMicros: number, more: readonly WatchedSignal[] = []): void {
    const lastEventAt = now - silentMicros;
    const source = { source: "pays", sla: { silenceMicros: MINUTE }, lastEventAt, registeredAt: START - DAY };
    const judged = judge({ sources: [source], views: [] }, now);
    this.#violations.note(judged, now);
    const signals = [...freshnessSignals(judged, this.#violations, now), ...more];
    const { memory, notices, trainings } = evaluate(this.#memory, [this.#rule], signals, parts, now);
    this.#memory = memory;
    if (notices.some(({ status }) => status === "firing") || trainings.length > 0) this.told.push(now);
  }
}

function drift(now: number, samples: number): WatchedSignal {
  return {
    kind: "drift",
    subject: { service: "fraud", feature: "amount" },
    measure: "psi",
    value: 1,
    threshold: 0.2,
    isBeyond: true,
    pValue: null,
    samples,
    windowStartMicros: now - MINUTE,
    windowEndMicros: now,
    detail: {},
  };
}

describe("a rule on drift and on other kinds", () => {
  it("wants values and windows of drift, and neither of a source that is silent", () => {
    const watch = new Watch(alert("all", { on: ["source-silence", "drift"], to: hook }));
    watch.look(START, 5 * MINUTE);
    expect(watch.told).toEqual([START]);
  });

  it("goes on wanting them of drift", () => {
    const watch = new Watch(alert("all", { on: ["source-silence", "drift"], to: hook }));
    watch.look(START, 0, [drift(START, 29)]);
    watch.look(START + MINUTE, 0, [drift(START + MINUTE, 30)]);
    expect(watch.told).toEqual([]);
    watch.look(START + 2 * MINUTE, 0, [drift(START + 2 * MINUTE, 30)]);
    expect(watch.told).toEqual([START + 2 * MINUTE]);
  });
});

it("each look at how fresh something is counts as a window", () => {
  const watch = new Watch(alert("two", { on: "source-silence", windows: 3, to: hook }));
  for (let minute = 0; minute < 10; minute++) watch.look(START + minute * MINUTE, (5 + minute) * MINUTE);
  expect(watch.told).toEqual([START + 2 * MINUTE]);
});

describe("a clock that was a year ahead for a moment", () => {
  const afterwards = (watch: Watch): void => {
    watch.look(START + 365 * DAY, 5 * MINUTE);
    for (let minute = 1; minute < 20; minute++) watch.look(START + minute * MINUTE, 0);
    for (let hour = 1; hour < 48; hour++) watch.look(START + hour * 60 * MINUTE, hour * 60 * MINUTE);
  };

  it("keeps no alert from being told", () => {
    const watch = new Watch(alert("silent", { on: "source-silence", to: hook }));
    afterwards(watch);
    expect(watch.told).toHaveLength(2);
    expect(watch.told[1]).toBeLessThan(START + 3 * 60 * MINUTE);
  });

  it("keeps no model from being trained", () => {
    const labels = { every: "1d", range: "30d" } as const;
    const watch = new Watch(
      retrain("again", { on: "source-silence", service: "fraud", labels, cooldown: "1h", to: hook }),
    );
    afterwards(watch);
    expect(watch.told).toHaveLength(2);
  });

  it("keeps no notice from being sent", () => {
    const entry = { notice: { id: "a" }, destination: "hook", chain: "rule", createdMicros: START, attempts: 1 };
    const waiting = (nextMicros: number): number =>
      dueNow([{ ...entry, nextMicros, lastError: null } as never], new Set(), START).length;
    expect(waiting(START + MINUTE)).toBe(0);
    expect(waiting(START + 365 * DAY)).toBe(1);
  });
});
