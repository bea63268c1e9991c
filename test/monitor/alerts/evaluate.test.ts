/** Rounds of judging: against a naive model, and the cases that people ask about. */
import { describe, expect, it } from "vitest";
import type { AlertDefinition, RuleDefinition } from "../../../src/define/alert-definition.ts";
import { alert, retrain, webhook } from "../../../src/index.ts";
import {
  ABANDONED_MICROS,
  type AlertMemory,
  evaluate,
  NOTHING_REMEMBERED,
  type Round,
} from "../../../src/monitor/alerts/evaluate.ts";
import type { ServiceParts, WatchedSignal } from "../../../src/monitor/alerts/rule.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { fires, type Held, type Report, type Said, told } from "./naive-alerts.ts";

const hook = webhook("hook", { url: "https://example.com" });
const MINUTE = 60_000_000;
const HOUR = 60 * MINUTE;

const parts: ServiceParts = {
  featuresOf: (service) =>
    service === "model"
      ? [
          { view: "traffic@1", feature: "count_1h", as: "traffic_count" },
          { view: "traffic@1", feature: "mean_1h", as: "mean_1h" },
        ]
      : [],
  sourceOf: (view) => (view === "traffic@1" ? "departures" : null),
};

function signal(more: Partial<WatchedSignal> = {}): WatchedSignal {
  return {
    kind: "pipeline-age",
    subject: { source: "departures" },
    measure: "age_seconds",
    value: 10,
    threshold: 5,
    isBeyond: true,
    pValue: null,
    samples: 1000,
    windowStartMicros: 0,
    windowEndMicros: 0,
    detail: {},
    ...more,
  };
}

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 11);
const SUBJECTS = ["a", "b"];

function lists<T>(): Map<string, T[]> {
  return new Map(SUBJECTS.map((name) => [name, []]));
}

describe("rounds", () => {
  it(`say what the naive model says (ONEFOLD_SEED=${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const counted = { firing: 0, resolved: 0, again: 0 };
    for (let trial = 0; trial < 100; trial++) {
      const cooldownMicros = random.integer(1, 40);
      const rule: AlertDefinition = {
        ...alert("rule", { on: "pipeline-age", to: hook }),
        ...(random.integer(0, 2) === 0 ? {} : { repeatMicros: cooldownMicros + random.integer(0, 20) }),
        forMicros: random.integer(0, 2) * 7,
        windows: random.integer(1, 3),
        keepFiringMicros: random.integer(0, 2) * 9,
        cooldownMicros,
      };
      const [reports, notices, silences] = [lists<Report>(), lists<Said>(), lists<Held>()];
      const rounds: number[] = [];
      const windowKind = random.integer(0, 2);
      const beyondShare = 0.2 + 0.7 * random.next();
      let memory: AlertMemory = NOTHING_REMEMBERED;
      let now = 1000;
      for (let step = 0; step < 50; step++) {
        now += random.integer(1, 9);
        rounds.push(now);
        if (random.integer(0, 11) === 0) {
          const source = SUBJECTS[random.integer(0, 1)]!;
          const held = { from: now, until: now + random.integer(0, 30) };
          silences.get(source)!.push(held);
          const silence = { id: String(step), subject: { source }, by: "me", comment: "" };
          const made = { ...silence, createdMicros: now, untilMicros: held.until };
          memory = { ...memory, silences: [...memory.silences, made] };
        }
        const signals = SUBJECTS.filter(() => random.next() < 0.8).map((source) => {
          const end = windowKind === 2 ? Math.floor(now / 20) * 20 : now;
          const start = windowKind === 0 ? now : windowKind === 1 ? now - random.integer(0, 19) : end - 20;
          const isBeyond = random.next() < beyondShare;
          reports.get(source)!.push({ at: now, isBeyond, start, end });
          return signal({ subject: { source }, isBeyond, windowStartMicros: start, windowEndMicros: end });
        });
        const round = evaluate(memory, [rule], signals, parts, now);
        // What is remembered is plain data: nothing hangs on the objects.
        memory = JSON.parse(JSON.stringify(round.memory)) as AlertMemory;
        for (const source of SUBJECTS) {
          const isOfSource = ({ measured }: { measured: { subject: { source?: string } } }): boolean =>
            measured.subject.source === source;
          const told = round.notices.filter(({ state }) => isOfSource(state));
          expect(told.length).toBeLessThan(2);
          const said = told[0] === undefined ? null : told[0].isRepeat ? "again" : told[0].status;
          notices.get(source)!.push(said);
          if (said !== null) counted[said] += 1;
          const isFiring = memory.states.some((state) => state.phase === "firing" && isOfSource(state));
          const all = reports.get(source)!;
          expect(isFiring, `trial ${trial}, step ${step}, ${source}`).toBe(fires(rule, all, all.length - 1));
        }
      }
      const subjects = SUBJECTS.map(
        (name) => [name, { reports: reports.get(name)!, silences: silences.get(name)! }] as const,
      );
      expect(notices, `trial ${trial}`).toEqual(told(rule, rounds, new Map(subjects)));
    }
    // The trials are about something.
    expect(Math.min(counted.firing, counted.resolved, counted.again)).toBeGreaterThan(100);
  });
});

/** Rounds of one rule at the given minutes; what each round said. */
function rounds(
  rule: RuleDefinition,
  steps: readonly (readonly [minute: number, signals: readonly WatchedSignal[]])[],
  memory: AlertMemory = NOTHING_REMEMBERED,
): { said: string[]; last: Round } {
  const said: string[] = [];
  let last!: Round;
  for (const [minute, signals] of steps) {
    last = evaluate(memory, [rule], signals, parts, minute * MINUTE);
    memory = last.memory;
    said.push(
      [
        ...last.notices.map(({ status, isRepeat }) => (isRepeat ? "again" : status)),
        ...last.trainings.map(({ states }) => `train ${states.length}`),
      ].join() || "-",
    );
  }
  return { said, last };
}

const well = signal({ isBeyond: false });
const drift = (feature: string, window: number, more: Partial<WatchedSignal> = {}): WatchedSignal =>
  signal({
    kind: "drift",
    subject: { view: "traffic@1", feature },
    measure: "psi",
    pValue: 1e-9,
    windowStartMicros: window * HOUR,
    windowEndMicros: (window + 1) * HOUR,
    ...more,
  });

describe("an alert", () => {
  it("waits for its time, is told of once, and is over only after it was well for long enough", () => {
    const rule = alert("stale", { on: "pipeline-age", for: "5m", keepFiring: "10m", to: hook });
    const { said } = rounds(rule, [
      [0, [signal()]],
      [4, [signal()]],
      [5, [signal()]],
      [6, [signal()]],
      [7, [well]],
      [9, [signal()]],
      [10, [well]],
      [19, [well]],
      [20, [well]],
      [21, [well]],
    ]);
    expect(said).toEqual(["-", "-", "firing", "-", "-", "-", "-", "-", "resolved", "-"]);
  });

  it("that flaps is told of once in a cool-down, and again where it fires when that is over", () => {
    const rule = { ...alert("stale", { on: "pipeline-age", cooldown: "1h", to: hook }), keepFiringMicros: 0 };
    const minutes = Array.from({ length: 70 }, (_, minute) => minute);
    const { said } = rounds(
      rule,
      minutes.map((minute) => [minute, [minute % 2 === 0 ? signal() : well]]),
    );
    expect(said.flatMap((one, minute) => (one === "-" ? [] : [`${minute} ${one}`]))).toEqual([
      "0 firing",
      "1 resolved",
      "60 firing",
      "61 resolved",
    ]);
  });

  it("is told of again while it fires, all of its rule in one, and what began later does not put that off", () => {
    const rule = alert("stale", { on: "pipeline-age", repeat: "4h", cooldown: "1h", keepFiring: "1m", to: hook });
    const other = (isBeyond: boolean): WatchedSignal => signal({ subject: { source: "arrivals" }, isBeyond });
    const { said } = rounds(
      rule,
      Array.from({ length: 13 * 60 }, (_, minute) => [
        minute,
        [signal({ isBeyond: minute < 540 }), other(minute >= 150 && minute < 600)],
      ]),
    );
    expect(said.flatMap((one, minute) => (one === "-" ? [] : [`${minute} ${one}`]))).toEqual([
      "0 firing",
      "150 firing",
      "240 again,again",
      "480 again,again",
      "541 resolved",
      "601 resolved",
    ]);
  });

  it("says nothing while it is silent, and what still holds afterwards", () => {
    const rule = alert("stale", { on: "pipeline-age", to: hook });
    const silence = { id: "1", subject: { source: "departures" }, by: "me", comment: "", createdMicros: 0 };
    const memory = { ...NOTHING_REMEMBERED, silences: [{ ...silence, untilMicros: 10 * MINUTE }] };
    const other = signal({ subject: { source: "arrivals" } });
    const { said, last } = rounds(
      rule,
      [
        [1, [signal()]],
        [2, [signal(), other]],
        [10, [signal(), other]],
      ],
      memory,
    );
    expect(said).toEqual(["-", "firing", "firing"]);
    expect(last.memory.silences).toEqual([]);
  });

  it("of drift needs two windows that do not overlap, and the same feature in both", () => {
    const rule = alert("moves", { on: "drift", to: hook });
    const { said } = rounds(rule, [
      [60, [drift("count_1h", 0)]],
      [61, [drift("count_1h", 0)]],
      [90, [drift("count_1h", 0.5)]],
      [120, [drift("mean_1h", 1), drift("count_1h", 1, { isBeyond: false })]],
      [180, [drift("count_1h", 2)]],
      [240, [drift("count_1h", 3)]],
    ]);
    expect(said).toEqual(["-", "-", "-", "-", "-", "firing"]);
  });

  it("of drift needs an effect, significance among all features, and enough values", () => {
    const rule = { ...alert("moves", { on: "drift", to: hook }), windows: 1 };
    const calm = Array.from({ length: 19 }, (_, i) => drift(`f${i}`, 0, { isBeyond: false, pValue: 0.5 + i / 40 }));
    const said = (...signals: WatchedSignal[]): string => rounds(rule, [[60, signals]]).said[0]!;
    expect(said(drift("x", 0, { pValue: 0.04 }))).toBe("firing");
    // One of twenty: 0.04 * 20 is no surprise, 0.002 * 20 is.
    expect(said(drift("x", 0, { pValue: 0.04 }), ...calm)).toBe("-");
    expect(said(drift("x", 0, { pValue: 0.002 }), ...calm)).toBe("firing");
    expect(said(drift("x", 0, { isBeyond: false }))).toBe("-");
    const tiny = { measure: "ks_p_value", value: 1e-9, threshold: 0.05 };
    expect(said(drift("x", 0, { ...tiny, detail: { effect_beyond: false } }))).toBe("-");
    expect(said(drift("x", 0, { ...tiny, detail: { effect_beyond: true } }))).toBe("firing");
    expect(said(drift("x", 0, { samples: 29 }))).toBe("-");
    expect(said(drift("x", 0, { pValue: null }), ...calm)).toBe("firing");
  });

  it("takes the bound of its rule in place of the signal's", () => {
    const above = alert("a", { on: "pipeline-age", above: 100, to: hook });
    expect(rounds(above, [[1, [signal({ value: 100 })]]]).said).toEqual(["-"]);
    expect(rounds(above, [[1, [signal({ value: 101, isBeyond: false })]]]).said).toEqual(["firing"]);
    const below = alert("b", { on: "pipeline-age", below: 3, to: hook });
    expect(rounds(below, [[1, [signal({ value: 2, isBeyond: false })]]]).said).toEqual(["firing"]);
  });

  it("is over where nobody reports it for a day, or its rule is off or watches something else", () => {
    const rule = alert("stale", { on: "pipeline-age", to: hook });
    const { last } = rounds(rule, [[1, [signal()]]]);
    const at = MINUTE + ABANDONED_MICROS;
    expect(evaluate(last.memory, [rule], [], parts, at - 1).changes).toEqual([]);
    const gone = evaluate(last.memory, [rule], [], parts, at);
    expect(gone.changes).toMatchObject([{ change: "resolved", reason: "nobody reports it any more" }]);
    expect(gone.notices.map(({ status }) => status)).toEqual(["resolved"]);
    expect(evaluate(last.memory, [], [], parts, 2 * MINUTE)).toMatchObject({
      changes: [{ change: "resolved", reason: "the rule is off or gone" }],
      notices: [],
      memory: { states: [] },
    });
    const narrower = alert("stale", { on: "pipeline-age", source: "arrivals", to: hook });
    expect(evaluate(last.memory, [narrower], [], parts, 2 * MINUTE).notices).toMatchObject([{ status: "resolved" }]);
  });

  it("knows the features of a service by the view, by the service and by the name in the vector", () => {
    const rule = alert("moves", { on: "drift", windows: 1, service: "model", to: hook });
    const said = (subject: WatchedSignal["subject"]): string =>
      rounds(rule, [[60, [drift("", 0, { subject })]]]).said[0]!;
    expect(said({ view: "traffic@1", feature: "count_1h" })).toBe("firing");
    expect(said({ view: "traffic@2", feature: "count_1h" })).toBe("-");
    expect(said({ view: "traffic@1", feature: "other" })).toBe("-");
    expect(said({ service: "model@3", feature: "traffic_count" })).toBe("firing");
    expect(said({ service: "other@3", feature: "traffic_count" })).toBe("-");
    expect(said({ source: "departures" })).toBe("firing");
    expect(said({ source: "arrivals" })).toBe("-");
  });
});

describe("a retraining", () => {
  const rule = retrain("again", { service: "model", labels: { every: "1d", range: "30d" }, cooldown: "1d", to: hook });

  it("is one for all that drifts at once, and no other before its cool-down is over", () => {
    const both = (window: number): [number, WatchedSignal[]] => [
      60 * (window + 1),
      [drift("count_1h", window), drift("mean_1h", window)],
    ];
    const { said, last } = rounds(
      rule,
      Array.from({ length: 40 }, (_, window) => both(window)),
    );
    expect(said.flatMap((one, i) => (one === "-" ? [] : [`${i} ${one}`]))).toEqual(["1 train 2"]);
    const calm = (window: number): [number, WatchedSignal[]] => [
      60 * (window + 1),
      [drift("count_1h", window, { isBeyond: false })],
    ];
    const again = rounds(rule, [calm(40), calm(41), both(42), both(43)], last.memory);
    expect(again.said).toEqual(["-", "-", "-", "train 2"]);
  });

  it("waits for a silence and for the cool-down, and is not forgotten meanwhile", () => {
    const memory = { ...NOTHING_REMEMBERED, trainedMicros: { again: 0 } };
    const hours = Array.from({ length: 30 }, (_, window): [number, WatchedSignal[]] => [
      60 * (window + 1),
      [drift("count_1h", window)],
    ]);
    const { said } = rounds(rule, hours, memory);
    expect(said.flatMap((one, i) => (one === "-" ? [] : [`${i + 1}h ${one}`]))).toEqual(["24h train 1"]);
  });
});

describe("quiet windows", () => {
  it(`stay quiet: of 2,000 windows of 30 features hardly any alert comes (ONEFOLD_SEED=${SEED})`, () => {
    const random = new SeededRandom(SEED);
    const rule = alert("moves", { on: "drift", to: hook });
    const names = Array.from({ length: 30 }, (_, i) => `f${i}`);
    let windowsWithAny = 0;
    let notices = 0;
    const days = 2000;
    let memory: AlertMemory = NOTHING_REMEMBERED;
    for (let day = 0; day < days; day++) {
      // Nothing changed, so that p-values are uniform; the effect, which would help, is taken as there.
      const signals = names.map((name) => drift(name, day, { pValue: random.next() }));
      const round = evaluate(memory, [rule], signals, parts, (day + 1) * HOUR);
      memory = round.memory;
      notices += round.notices.filter(({ status }) => status === "firing").length;
      if (memory.states.some(({ phase, seenMicros }) => phase === "pending" && seenMicros === (day + 1) * HOUR))
        windowsWithAny += 1;
    }
    // A window calls any of the features significant in 5% of cases, whatever their number: 100 of 2,000 are expected,
    // with a standard deviation of 9.7; twice in a row the same one in 0.05 * 0.05 / 30.
    expect(windowsWithAny).toBeGreaterThan(100 - 5 * 9.7);
    expect(windowsWithAny).toBeLessThan(100 + 5 * 9.7);
    expect(notices).toBeLessThan(6);
  });
});
