/** Expectations as data, and what is said of wrong ones to those who write past the compiler. */
import { describe, expect, it } from "vitest";
import type { OnefoldError } from "../../src/base/errors.ts";
import type { SourceDefinition, ViewDefinition } from "../../src/define/definition.ts";
import { ruleText } from "../../src/define/expectation-problems.ts";
import { sourceProblems } from "../../src/define/source-problems.ts";
import { col, count, entity, expectation, last, stream, t, topK, view } from "../../src/index.ts";
import { viewProblems } from "../../src/define/view-problems.ts";

// A definition may be written in JavaScript: the compiler's own refusals are in test/types.
const anyExpectation = expectation as (...args: unknown[]) => ReturnType<typeof expectation>;

const columns = { id: t.string(), at: t.timestamp(), delay: t.int64().nullable(), codes: t.array(t.string()) };
const expected = [
  expectation("delay", { range: { min: -90, max: 1440 }, severity: "quarantine" }),
  expectation("at", { range: { min: new Date("2000-01-01T00:00:00Z") }, name: "this_century", severity: "block" }),
  expectation("id", { unique: true, over: "1d" }),
  expectation("late", { oneOf: [true], tolerate: 0.5 }),
  expectation({ arrivalRate: { min: 10, per: "15m" } }),
] as const;
const flights = stream("flights", {
  columns,
  eventTime: "at",
  derive: { late: col("delay").gt(15) },
  expect: expected,
});
const flight = entity("flight", { id: t.string() });

function refusal(define: () => unknown): OnefoldError {
  try {
    define();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}

/** The line of this file on which the caller stands. */
function hereLine(): number {
  return Number(/expectations\.test\.ts:(\d+)/.exec(new Error("here").stack!.split("\n")[2]!)![1]);
}

describe("expectations", () => {
  it("are plain data of their source, with their defaults", () => {
    const data = flights.expectations!.map(({ definedAt: _, ...rest }) => rest);
    expect(data).toEqual([
      {
        name: "delay_range",
        column: "delay",
        rule: { kind: "range", min: -90, max: 1440 },
        severity: "quarantine",
        windowMicros: 3600e6,
      },
      {
        name: "this_century",
        column: "at",
        rule: { kind: "range", min: 946684800e6 },
        severity: "block",
        windowMicros: 3600e6,
      },
      { name: "id_unique", column: "id", rule: { kind: "unique" }, severity: "warn", windowMicros: 86400e6 },
      {
        name: "late_oneOf",
        column: "late",
        rule: { kind: "oneOf", values: [true] },
        severity: "warn",
        windowMicros: 3600e6,
        tolerate: 0.5,
      },
      {
        name: "arrival_rate",
        rule: { kind: "arrivalRate", min: 10, perMicros: 900e6 },
        severity: "warn",
        windowMicros: 900e6,
      },
    ]);
    expect(Object.isFrozen(flights.expectations![0]!.rule)).toBe(true);
    expect(stream("none", { columns, eventTime: "at", expect: [] })).not.toHaveProperty("expectations");
  });

  it("say what they expect", () => {
    expect(flights.expectations!.map(({ column, rule }) => ruleText(column, rule))).toEqual([
      "delay is from -90 to 1440",
      "at is at least 946684800000000",
      "no two values of id are the same",
      "late is one of true",
      "at least 10 events come in",
    ]);
  });

  it("are refused at their own line where they say nothing that can be", () => {
    for (const [args, why] of [
      [["delay", {}], "it says nothing: give one of range, oneOf, pattern, nullRate, unique, monotone"],
      [["delay", { range: { min: 1 }, unique: true }], "it says range and unique"],
      [["delay", { range: {} }], "range has neither min nor max"],
      [["delay", { range: { min: 2, max: 1 } }], "range: min 2 is above max 1"],
      [["delay", { range: { min: Number.NaN } }], "range: a bound is a number"],
      [["delay", { oneOf: [] }], "oneOf is not a list of values"],
      [["id", { pattern: "(" }], "is not a regular expression of RE2"],
      [["delay", { nullRate: { max: 2 } }], "nullRate: max is 2, not from 0 to 1"],
      [["delay", { nullRate: { max: 0 }, severity: "block" }], "nullRate is of many values, so it can only warn"],
      [["delay", { monotone: "up" }], 'monotone is "up": it is increasing or decreasing'],
      [["delay", { range: { min: 0 }, severity: "stop" }], 'severity "stop" is none of warn, quarantine and block'],
      [["delay", { range: { min: 0 }, tolerate: 3 }], "tolerate is 3, not from 0 to 1"],
      [["delay", { range: { min: 0 }, tolerate: 0.1, severity: "block" }], "tolerate is for one that warns"],
      [["delay", { range: { min: 0 }, over: "1 hour" }], 'over: "1 hour" is not a duration'],
      [["delay", { range: { min: 0 }, name: "a b" }], 'its name "a b" is not a name'],
      [[{ arrivalRate: { per: "1h" } }], "arrivalRate has neither min nor max"],
      [[{ arrivalRate: { min: 1 } }], "per is missing"],
    ] as const) {
      const line = hereLine() + 1;
      const error = refusal(() => anyExpectation(...args));
      expect(error.message).toContain(why);
      expect(error.where).toMatch(new RegExp(`expectations\\.test\\.ts:${line}$`));
    }
    expect(refusal(() => anyExpectation("delay", { rnge: {} })).message).toContain("did you mean range?");
  });

  it("are held against the columns and features that they name, whoever wrote them", () => {
    const of = (rule: object, more: object = {}): SourceDefinition => {
      const one = { name: "x", column: "delay", rule, severity: "warn", windowMicros: 1, ...more };
      return { ...flights, expectations: [one] } as unknown as SourceDefinition;
    };
    expect(sourceProblems(of({ kind: "range", min: 0 }))).toEqual([]);
    for (const [source, why] of [
      [of({ kind: "range", min: 0 }, { column: "dely" }), 'there is no column "dely"; did you mean "delay"?'],
      [of({ kind: "range", min: 0 }, { column: "id" }), "gte cannot take"],
      [of({ kind: "oneOf", values: ["a"] }), "in cannot take"],
      [of({ kind: "pattern", pattern: "a" }), 'pattern is for texts, column "delay" is none'],
      [of({ kind: "pattern", pattern: "(" }, { column: "id" }), "is not a regular expression"],
      [of({ kind: "monotone", direction: "increasing", per: "nobody" }), 'per: there is no column "nobody"'],
      [of({ kind: "monotone", direction: "increasing" }, { column: "id" }), "monotone is for numbers and times"],
      [of({ kind: "unique" }, { column: "codes" }), "unique is not for lists"],
      [of({ kind: "unique" }, { severity: "block" }), "it can only warn"],
      [{ ...flights, expectations: [...flights.expectations!, flights.expectations![0]!] }, "two expectations"],
    ] as const) {
      expect(sourceProblems(source).join("; ")).toContain(why);
    }
  });

  it("of features only warn, and only of features that are written offline", () => {
    const by = { entity: flight, source: flights, features: { n: count(), codes: topK("id", 3), d: last("delay") } };
    const good = view("good", { ...by, expect: [expectation("d", { range: { min: 0 }, over: "1d" })] });
    const problems = (changed: object): string =>
      viewProblems({ ...good, ...changed } as unknown as ViewDefinition, flights, flight).join("; ");
    expect(problems({})).toBe("");
    const [one] = good.expectations!;
    expect(problems({ expectations: [{ ...one, severity: "quarantine" }] })).toContain("it can only warn");
    expect(problems({ expectations: [{ ...one, rule: { kind: "unique" } }] })).toContain("of a source's events");
    expect(problems({ expectations: [{ ...one, column: "dd" }] })).toContain('there is no column "dd"');
    expect(problems({ offline: false })).toContain("is not written offline, so there is nothing to judge");
  });
});
