/**
 * Expectations as they are written: `expectation("delay", { range: { min: -90, max: 1440 }, severity: "quarantine" })`.
 *
 * Like an expression, one is written before its column is known: it carries its needs in its type, and `stream`,
 * `batch` and `view` hold them against what they have.
 */
import type { DurationMicros } from "../base/micros.ts";
import { MICROS_PER_HOUR, micros, parseMicros } from "../base/micros.ts";
import { patternProblem } from "../schema/pattern.ts";
import type { Value } from "../schema/value.ts";
import { callSite, refuse } from "./defined-at.ts";
import type { ExpectationDefinition, ExpectationRule, ExpectationSeverity } from "./expectation-definition.ts";
import { duration } from "./duration.ts";
import type { Literal } from "./expression-builder.ts";
import { frozen } from "./frozen.ts";
import { nameProblems } from "./names.ts";
import { checkOptions } from "./shape.ts";
import type { DurationText, Need } from "./typing.ts";

type Bound = number | Date;

/** Of single values: what does not meet one may be refused. */
type ValueRule =
  | { readonly range: { readonly min?: Bound; readonly max?: Bound } }
  | { readonly oneOf: readonly Literal[] }
  | { readonly pattern: string };

/** Of all values of a stretch of time: they are told of. */
type WindowRule =
  | { readonly nullRate: { readonly max: number } }
  | { readonly unique: true }
  | { readonly monotone: "increasing" | "decreasing"; readonly per?: string };

interface Told {
  /** In reports and alerts. Default: the column and the rule, `delay_range`. */
  readonly name?: string;
  /** The stretch of time that it is judged over, up to now. Default 1h. */
  readonly over?: DurationText;
  /** The share of values that may not meet it, from 0 to 1. Default 0. */
  readonly tolerate?: number;
}

/** Default `warn`: it is told. `quarantine`: the event becomes a dead letter. `block`: the push that brings it is refused. */
interface Refused {
  readonly name?: string;
  readonly over?: DurationText;
  readonly tolerate?: never;
  readonly severity: "quarantine" | "block";
}

export type ExpectationOptions =
  | (ValueRule & (Refused | (Told & { readonly severity?: "warn" })))
  | (WindowRule & Told & { readonly severity?: "warn" });

export interface ArrivalOptions extends Omit<Told, "tolerate" | "over"> {
  /** Events in each stretch of `per`, which must be over. */
  readonly arrivalRate: { readonly min?: number; readonly max?: number; readonly per: DurationText };
}

type NeedOf<C extends string, R> = R extends { readonly range: infer B }
  ? readonly [C, ClassOfBound<B[keyof B]>]
  : R extends { readonly oneOf: readonly (infer V)[] }
    ? readonly [C, ClassOfMember<V>]
    : R extends { readonly pattern: string }
      ? readonly [C, "text"]
      : R extends { readonly monotone: string; readonly per: infer P extends string }
        ? readonly [C, "ordered"] | readonly [P, "any"]
        : R extends { readonly monotone: string }
          ? readonly [C, "ordered"]
          : readonly [C, "any"];
type ClassOfBound<B> = [B] extends [number] ? "number" : [B] extends [Date] ? "time" : "ordered";
type ClassOfMember<V> = [V] extends [number]
  ? "number"
  : [V] extends [string]
    ? "text"
    : [V] extends [boolean]
      ? "bool"
      : [V] extends [Date]
        ? "time"
        : "any";

/** `window` is that of a single value, which a view's features have, or of what they have not. */
type ScopeOf<R> = R extends { readonly severity: "quarantine" | "block" }
  ? "refusing"
  : R extends { readonly unique: true } | { readonly monotone: string }
    ? "of events"
    : "telling";

/** What may stand where: a view's features can be told of only, and have no order of arrival. */
export type Scope = "telling" | "of events" | "refusing";

export class Expectation<N extends Need = Need, S extends Scope = Scope> {
  declare readonly "~types": { readonly needs: N; readonly scope: S };
  readonly definition: ExpectationDefinition;

  constructor(definition: ExpectationDefinition) {
    this.definition = definition;
    Object.freeze(this);
  }
}

// `any`: the parameters are phantoms, read back where the expectation is used.
export type AnyExpectation = Expectation<any, any>;

const OPTIONS: readonly string[] = [
  "range",
  "oneOf",
  "pattern",
  "nullRate",
  "unique",
  "monotone",
  "per",
  "name",
  "over",
  "tolerate",
  "severity",
];
const RULES: readonly string[] = OPTIONS.slice(0, 6);
const REFUSING: readonly ExpectationSeverity[] = ["quarantine", "block"];

/**
 * What is expected of a column, stored or derived, or of a feature. Nulls meet everything but `nullRate`.
 * Throws `DEFINITION_INVALID`.
 */
export function expectation<const C extends string, const R extends ExpectationOptions>(
  column: C,
  options: R,
): Expectation<NeedOf<C, R>, ScopeOf<R>>;
/** What is expected of a source's rate. */
export function expectation(options: ArrivalOptions): Expectation<never, "of events">;
export function expectation(first: string | ArrivalOptions, second?: ExpectationOptions): Expectation<any, any> {
  if (typeof first === "object" && first !== null) return arrivals(first);
  const problems: string[] = [];
  if (typeof first !== "string") problems.push("its first argument is not the name of a column");
  checkOptions(expectation, second, OPTIONS);
  const options = second as Readonly<Record<string, unknown>> & ExpectationOptions;
  const given = RULES.filter((rule) => options[rule] !== undefined);
  if (given.length !== 1) problems.push(`it says ${given.join(" and ") || "nothing"}: give one of ${RULES.join(", ")}`);
  const rule = problems.length > 0 ? ({ kind: "unique" } as const) : ruleOf(options, problems);
  const {
    name = `${first}_${rule.kind}`,
    severity = "warn",
    over,
    tolerate,
  } = options as Told & { severity?: ExpectationSeverity };
  if (severity !== "warn" && !REFUSING.includes(severity))
    problems.push(`severity ${JSON.stringify(severity)} is none of warn, quarantine and block`);
  else if (severity !== "warn" && !isOfOneValue(rule))
    problems.push(`${rule.kind} is of many values, so it can only warn`);
  if (tolerate !== undefined && severity !== "warn")
    problems.push(`tolerate is for one that warns: with ${severity} each value is judged by itself`);
  else if (tolerate !== undefined && rule.kind === "nullRate") problems.push("nullRate has a max, and no tolerate");
  else if (tolerate !== undefined && !isShare(tolerate)) problems.push(`tolerate is ${tolerate}, not from 0 to 1`);
  return build(problems, {
    name,
    column: first as string,
    rule,
    severity,
    windowMicros: duration("over", over, problems) ?? (MICROS_PER_HOUR as DurationMicros),
    ...(tolerate === undefined ? {} : { tolerate }),
  });
}

function arrivals(options: ArrivalOptions): Expectation<never, "of events"> {
  checkOptions(expectation, options, ["arrivalRate", "name"]);
  const problems: string[] = [];
  checkOptions(expectation, options.arrivalRate, ["min", "max", "per"]);
  const { min, max, per } = options.arrivalRate;
  const perMicros = duration("per", per, problems);
  if (perMicros === undefined) problems.push('per is missing: give the stretch that is counted, such as "1h"');
  const rule = {
    kind: "arrivalRate",
    ...bounds("arrivalRate", min, max, problems),
    perMicros: perMicros ?? 1,
  } as const;
  if ([min, max].some((bound) => bound !== undefined && bound < 0)) problems.push("arrivalRate: less than 0 events");
  const { name = "arrival_rate" } = options;
  const definition = { name, rule, severity: "warn", windowMicros: rule.perMicros } as ExpectationDefinition;
  return build(problems, definition) as Expectation<never, "of events">;
}

function build(problems: string[], parts: ExpectationDefinition): Expectation<any, any> {
  const definedAt = callSite(expectation);
  const definition = frozen({ ...parts, ...(definedAt === undefined ? {} : { definedAt }) }) as ExpectationDefinition;
  refuse(definition, "expectation", [...nameProblems("its name", definition.name), ...problems]);
  return new Expectation(definition);
}

function ruleOf(options: Readonly<Record<string, unknown>>, problems: string[]): ExpectationRule {
  const { range, oneOf, pattern, nullRate, monotone, per } = options;
  if (per !== undefined && monotone === undefined) problems.push("per goes with monotone");
  if (range !== undefined) {
    checkOptions(expectation, range, ["min", "max"]);
    const { min, max } = range as { min?: Bound; max?: Bound };
    return { kind: "range", ...bounds("range", boundOf(min), boundOf(max), problems) };
  }
  if (oneOf !== undefined) {
    if (!Array.isArray(oneOf) || oneOf.length === 0) problems.push("oneOf is not a list of values");
    else return { kind: "oneOf", values: oneOf.map(literal) };
  }
  if (pattern !== undefined) {
    const problem = patternProblem(pattern);
    if (problem !== undefined) problems.push(`pattern: ${problem}`);
    return { kind: "pattern", pattern: String(pattern) };
  }
  if (nullRate !== undefined) {
    checkOptions(expectation, nullRate, ["max"]);
    const { max } = nullRate as { max: number };
    if (!isShare(max)) problems.push(`nullRate: max is ${JSON.stringify(max)}, not from 0 to 1`);
    return { kind: "nullRate", max };
  }
  if (monotone !== undefined) {
    if (monotone !== "increasing" && monotone !== "decreasing")
      problems.push(`monotone is ${JSON.stringify(monotone)}: it is increasing or decreasing`);
    return {
      kind: "monotone",
      direction: monotone as "increasing",
      ...(per === undefined ? {} : { per: per as string }),
    };
  }
  if (options["unique"] !== true) problems.push("unique is true, or left out");
  return { kind: "unique" };
}

function bounds(
  rule: string,
  min: number | undefined,
  max: number | undefined,
  problems: string[],
): { min?: number; max?: number } {
  const given = [min, max].filter((bound) => bound !== undefined);
  if (given.length === 0) problems.push(`${rule} has neither min nor max`);
  if (given.some((bound) => typeof bound !== "number" || !Number.isFinite(bound)))
    problems.push(`${rule}: a bound is a number, or a Date for times`);
  else if (min !== undefined && max !== undefined && min > max)
    problems.push(`${rule}: min ${min} is above max ${max}`);
  return { ...(min === undefined ? {} : { min: min + 0 }), ...(max === undefined ? {} : { max: max + 0 }) };
}

function boundOf(bound: Bound | undefined): number | undefined {
  return bound instanceof Date ? micros(bound.getTime() * 1000) : bound;
}

function literal(value: Literal): Value {
  if (value instanceof Date) return parseMicros(value.toISOString());
  return typeof value === "number" ? value + 0 : value;
}

function isShare(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value <= 1;
}

/** Whether each value meets it or not by itself. */
export function isOfOneValue(rule: ExpectationRule): boolean {
  return rule.kind === "range" || rule.kind === "oneOf" || rule.kind === "pattern";
}
