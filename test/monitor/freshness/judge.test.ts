/** Freshness as it is judged, from facts and a time alone. */
import { describe, expect, it } from "vitest";
import { type FreshnessFacts, judge, type Judged } from "../../../src/monitor/freshness/judge.ts";
import { freshnessSignals } from "../../../src/monitor/freshness/signals.ts";
import { Violations } from "../../../src/monitor/freshness/violations.ts";

const NOW = Date.UTC(2026, 10, 26, 12) * 1000;
const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;

/** Entities that had their last events so many microseconds ago. */
function entities(...ages: number[]) {
  const before = (time: number) => ({ count: ages.filter((age) => NOW - age < time).length, edge: time });
  return { entities: ages.length, bytes: 0, before };
}

function facts({ sources = [], views = [] }: Partial<FreshnessFacts>): FreshnessFacts {
  return { sources, views };
}

describe("three ages", () => {
  it("are kept apart: what is behind, what is silent, and what is old", () => {
    const view = { view: "v@1", source: "s", sla: undefined, oldestUnfoldedAt: null, entities: entities(9 * HOUR) };
    const source = { source: "s", sla: undefined, lastEventAt: NOW - 2 * HOUR, registeredAt: 0 };
    const judged = judge(facts({ sources: [source], views: [view] }), NOW);
    // Silent for two hours and its entity older still, but nothing waits to be folded.
    expect(judged.map(({ kind, value, threshold, isBroken }) => [kind, value, threshold, isBroken])).toEqual([
      ["source-silence", 7200, null, false],
      ["pipeline-age", 0, null, false],
    ]);
  });

  it("are broken beyond what is promised, and since then", () => {
    const silence = { sla: { silenceMicros: 10 * SECOND }, registeredAt: NOW - HOUR };
    const sla = { pipelineAgeMicros: 5 * SECOND, entityAge: { withinMicros: HOUR, atLeast: 0.6 } };
    const view = { source: "quiet", sla, oldestUnfoldedAt: NOW - 5 * SECOND };
    const judged = judge(
      facts({
        sources: [
          { source: "lively", ...silence, lastEventAt: NOW - 10 * SECOND },
          { source: "quiet", ...silence, lastEventAt: NOW - 11 * SECOND },
          { source: "never", ...silence, lastEventAt: null },
        ],
        views: [
          { ...view, view: "kept@1", entities: entities(1, 2, 3, 2 * HOUR, 2 * HOUR) },
          { ...view, view: "broken@1", oldestUnfoldedAt: NOW - 6 * SECOND, entities: entities(1, 2 * HOUR) },
          { ...view, view: "empty@1", oldestUnfoldedAt: null, entities: entities() },
        ],
      }),
      NOW,
    );
    const shown = (one: Judged): unknown[] => [
      one.kind,
      one.view ?? one.source,
      one.value,
      one.isBroken,
      one.brokenSince,
    ];
    expect(judged.map(shown)).toEqual([
      ["source-silence", "lively", 10, false, null],
      ["source-silence", "quiet", 11, true, NOW - SECOND],
      ["source-silence", "never", 3600, true, NOW - HOUR + 10 * SECOND],
      ["pipeline-age", "kept@1", 5, false, null],
      ["entity-age", "kept@1", 0.4, false, null],
      ["pipeline-age", "broken@1", 6, true, NOW - SECOND],
      ["entity-age", "broken@1", 0.5, true, null],
      ["pipeline-age", "empty@1", 0, false, null],
      ["entity-age", "empty@1", 0, false, null],
    ]);
  });

  it("do not go below 0 where a clock went back", () => {
    const source = { source: "s", sla: undefined, lastEventAt: NOW + HOUR, registeredAt: 0 };
    expect(judge(facts({ sources: [source] }), NOW)[0]!.value).toBe(0);
  });
});

describe("violations", () => {
  const silent = (isBroken: boolean, brokenSince: number | null = null): Judged => ({
    kind: "source-silence",
    source: "s",
    view: null,
    value: 0,
    threshold: 1,
    isBroken,
    brokenSince,
    samples: 1,
  });

  it("begin when the promise broke, end when it is found to hold, and are told as a share of the last day", () => {
    const violations = new Violations();
    expect(violations.note([silent(false)], NOW)).toBe(false);
    expect(violations.note([silent(true, NOW - HOUR)], NOW)).toBe(true);
    expect(violations.note([silent(true, NOW - HOUR)], NOW + HOUR)).toBe(false);
    expect(violations.of(silent(true), NOW + HOUR)).toEqual({ since: NOW - HOUR, ratio24h: 2 / 24 });
    expect(violations.note([silent(false)], NOW + 2 * HOUR)).toBe(true);
    expect(violations.of(silent(false), NOW + 2 * HOUR)).toEqual({ since: null, ratio24h: 3 / 24 });
    // What was stored is what there is, in another process.
    const stored = new Violations(JSON.parse(JSON.stringify(violations.all)) as typeof violations.all);
    expect(stored.of(silent(false), NOW + 25 * HOUR)).toEqual({ since: null, ratio24h: 1 / 24 });
    expect(stored.of(silent(false), NOW + 27 * HOUR)).toEqual({ since: null, ratio24h: 0 });
  });

  it("of what is judged no more are over, and those of long ago are forgotten", () => {
    const violations = new Violations();
    violations.note([silent(true, NOW)], NOW);
    violations.note([], NOW + HOUR);
    expect(violations.all.map(({ until }) => until)).toEqual([NOW + HOUR]);
    const later = NOW + 31 * 24 * HOUR;
    violations.note([silent(true, later)], later);
    expect(violations.all.map(({ since }) => since)).toEqual([later]);
  });
});

describe("signals", () => {
  it("are one for each thing that is measured, promised or not, as the alerts take them", () => {
    const sla = { entityAge: { withinMicros: HOUR, atLeast: 0.6 } };
    const judged = judge(
      facts({
        sources: [
          { source: "s", sla: { silenceMicros: 10 * SECOND }, lastEventAt: NOW - 11 * SECOND, registeredAt: 0 },
        ],
        views: [{ view: "v@1", source: "s", sla, oldestUnfoldedAt: null, entities: entities(1, 2 * HOUR) }],
      }),
      NOW,
    );
    const violations = new Violations();
    violations.note(judged, NOW);
    const shown = freshnessSignals(judged, violations, NOW).map(
      ({ kind, subject, measure, value, threshold, isBeyond, samples, windowStartMicros }) => {
        return { kind, subject, measure, value, threshold, isBeyond, samples, windowStartMicros };
      },
    );
    const silence = { measure: "age_seconds", value: 11, threshold: 10, isBeyond: true, samples: 1 };
    const behind = { measure: "age_seconds", value: 0, threshold: null, isBeyond: false, samples: 1 };
    const old = { measure: "stale_ratio", value: 0.5, threshold: 0.4, isBeyond: true, samples: 2 };
    const subject = { source: "s", view: "v@1" };
    expect(shown).toEqual([
      { kind: "source-silence", subject: { source: "s" }, ...silence, windowStartMicros: NOW },
      { kind: "pipeline-age", subject, ...behind, windowStartMicros: NOW },
      { kind: "entity-age", subject, ...old, windowStartMicros: NOW },
    ]);
  });
});
