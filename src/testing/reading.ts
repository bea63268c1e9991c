/**
 * Features at one moment, and what a test may expect of them. Whoever made the reading knows where its
 * values come from, and says so where one is wrong.
 */
import { AssertionError } from "node:assert";
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { type StatusCode, type StatusName, STATUS_NAMES } from "../fold/view-fold.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { type ExpectedValue, expectedValue, isClose, isEqual, type Tolerance } from "./expected-value.ts";
import { formatValue, shown } from "./value-text.ts";

export type ExpectedValues<V> = { readonly [N in keyof V]?: ExpectedValue<V[N]> };
export type ExpectedStatuses<V> = { readonly [N in keyof V]?: StatusName };

/** All lists are in the order of the features. */
export interface ReadFeatures {
  /** `name@version`. */
  readonly name: string;
  /** `spending@1 of user_id=ada at 2026-01-01T11:00:00Z`. */
  readonly title: string;
  readonly features: readonly { readonly name: string; readonly type: ValueType }[];
  readonly values: readonly Value[];
  readonly statuses: readonly StatusCode[];
  /** Lines that say what the value was made from. */
  behind(slot: number): readonly string[];
  readonly notes: readonly string[];
}

const CLOSE: Tolerance = { relative: 1e-9 };

/** Each expectation returns the reading, so that more can follow. What fails throws `AssertionError`. */
export class Reading<V> {
  readonly #read: ReadFeatures;

  constructor(read: ReadFeatures) {
    this.#read = read;
  }

  /** The named features have exactly these values; others are not looked at. Throws `FEATURE_UNKNOWN`. */
  toEqual(expected: ExpectedValues<V>): this {
    return this.#expect("toEqual", this.toEqual, expected, ({ value, slot, type }) => {
      const wanted = expectedValue(value, type);
      return isEqual(wanted, this.#read.values[slot]!) ? null : shown(wanted, type);
    });
  }

  /** As `toEqual`, but numbers may be off by the tolerance: by a relative 1e-9 where none is given. */
  toBeCloseTo(expected: ExpectedValues<V>, tolerance: Tolerance = CLOSE): this {
    return this.#expect("toBeCloseTo", this.toBeCloseTo, expected, ({ value, slot, type }) => {
      const wanted = expectedValue(value, type);
      if (isClose(wanted, this.#read.values[slot]!, type, tolerance)) return null;
      const { within, relative } = tolerance;
      const off = [within ?? "", relative === undefined ? "" : `relative ${relative}`].filter((one) => one !== "");
      return `${shown(wanted, type)} within ${off.join(" or ")}`;
    });
  }

  /** The named features have these statuses. */
  toHaveStatus(expected: ExpectedStatuses<V>): this {
    return this.#expect("toHaveStatus", this.toHaveStatus, expected, ({ value, slot }) =>
      STATUS_NAMES[this.#read.statuses[slot]!] === value ? null : String(value),
    );
  }

  /** Every feature's value, as the platform holds it: times in microseconds. For any other assertion. */
  values(): V {
    return this.#byName((slot) => this.#read.values[slot]!) as V;
  }

  /** Every feature's status. */
  statuses(): { readonly [N in keyof V]: StatusName } {
    return this.#byName((slot) => STATUS_NAMES[this.#read.statuses[slot]!]!) as { readonly [N in keyof V]: StatusName };
  }

  #byName<T>(of: (slot: number) => T): Readonly<Record<string, T>> {
    return Object.fromEntries(this.#read.features.map(({ name }, slot) => [name, of(slot)]));
  }

  /** `problem` gives what was expected, for a person, where the feature is not so. */
  #expect(
    operator: string,
    stackStartFn: (...args: never[]) => unknown,
    expected: object,
    problem: (feature: { value: unknown; slot: number; type: ValueType }) => string | null,
  ): this {
    const { features, title, notes } = this.#read;
    const names = Object.keys(expected);
    if (names.length === 0)
      throw new OnefoldError("REQUEST_INVALID", `${operator} names no feature, so it checks nothing`);
    const wrong = names.flatMap((name) => {
      const slot = features.findIndex((feature) => feature.name === name);
      if (slot < 0) throw this.#unknownFeature(name);
      const value = (expected as Readonly<Record<string, unknown>>)[name];
      const wanted = problem({ value, slot, type: features[slot]!.type });
      return wanted === null ? [] : this.#difference(slot, wanted);
    });
    if (wrong.length === 0) return this;
    const lines = [...wrong, ...notes.map((note) => `(${note})`)];
    const actual: Readonly<Record<string, unknown>> =
      operator === "toHaveStatus" ? this.statuses() : this.#byName((slot) => this.#read.values[slot]);
    throw new AssertionError({
      message: [`${title}:`, ...lines.map((line) => `  ${line}`)].join("\n"),
      expected,
      actual: Object.fromEntries(names.map((name) => [name, actual[name]])),
      operator,
      stackStartFn: stackStartFn as (...args: unknown[]) => unknown,
    });
  }

  #difference(slot: number, wanted: string): string[] {
    const { features, values, statuses, behind } = this.#read;
    const { name, type } = features[slot]!;
    const status: StatusName = STATUS_NAMES[statuses[slot]!]!;
    const actual = `${formatValue(values[slot]!, type)}${status === "PRESENT" ? "" : ` (${status})`}`;
    return [`${name}: expected ${wanted}, got ${actual}`, ...behind(slot).map((line) => `  ${line}`)];
  }

  #unknownFeature(name: string): OnefoldError {
    const names = this.#read.features.map((feature) => feature.name);
    const candidates = nearestNames(name, names);
    const meant = candidates.length === 0 ? "" : `; did you mean "${candidates[0]}"?`;
    return new OnefoldError("FEATURE_UNKNOWN", `${this.#read.name} has no feature "${name}"${meant}`, {
      candidates,
      hint: `its features are: ${names.join(", ")}`,
    });
  }
}
