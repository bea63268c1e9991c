/**
 * `expectView`: a view's features in a unit test, with no server, no folder and no waiting.
 *
 *     expectView(spending)
 *       .after([{ payment_id: "p1", user_id: "ada", paid_at: "2026-01-01T10:00:00Z", amount: 10 }])
 *       .at("2026-01-01T11:00:00Z")
 *       .toEqual({ payments_1h: 0, amount_24h: 10 });
 *
 * What fails throws `AssertionError` of `node:assert`, which every test runner shows; a test that is itself
 * wrong (an unknown feature, no entity to read) throws an `OnefoldError`.
 */
import { AssertionError } from "node:assert";
import { type ErrorCode, OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { ViewDefinition } from "../define/definition.ts";
import type { AnySelectable, KeysOf, ValuesOf } from "../define/selection.ts";
import type { EventOf } from "../define/source.ts";
import { type ReadBuffer, type StatusName, STATUS_NAMES } from "../fold/view-fold.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { type ExpectedValue, expectedValue, isClose, isEqual, type Tolerance } from "./expected-value.ts";
import { describeDifference, formatValue, type WrongFeature } from "./feature-difference.ts";
import { GivenRow, givenRow, late, rejected, type TimeInput } from "./given-row.ts";
import { type Intake, type SetAside, SimulatedView, timeOf } from "./simulated-view.ts";

type AnyView = ViewDefinition & AnySelectable;
type SourceOf<V> = V extends { readonly "~types"?: { readonly source: infer S } } ? S : never;
/** A row as the view's source takes it; any object where the view's type does not say. */
type RowOf<V> = [EventOf<SourceOf<V>>] extends [never] ? Readonly<Record<string, unknown>> : EventOf<SourceOf<V>>;

type ExpectedValues<V> = { readonly [N in keyof V]?: ExpectedValue<V[N]> };
type ExpectedStatuses<V> = { readonly [N in keyof V]?: StatusName };

/** Expectations of a view, before any event. Throws `DEFINITION_INVALID` for what is not a view. */
export function expectView<V extends AnyView>(view: V): ViewHistory<ValuesOf<V>, KeysOf<V>, RowOf<V>> {
  return new ViewHistory(new SimulatedView(view), [], undefined);
}

const CLOSE: Tolerance = { relative: 1e-9 };

/** What has happened so far. Immutable: one history can be the beginning of several. */
export class ViewHistory<V, K, R> {
  readonly #view: SimulatedView;
  readonly #rows: readonly GivenRow<unknown>[];
  readonly #key: EntityKey | undefined;
  readonly #intake: Intake;

  /** Made by `expectView`. */
  constructor(view: SimulatedView, rows: readonly GivenRow<unknown>[], key: EntityKey | undefined) {
    this.#view = view;
    this.#rows = rows;
    this.#key = key;
    this.#intake = view.takeIn(rows);
  }

  /**
   * Then these rows came. Each is known when it happened, or at `knownAt`, or as `late` says. A row that is
   * refused fails the test, unless it is `rejected(row, code)`; a second row with the same id is dropped.
   */
  after(rows: readonly (R | GivenRow<R>)[], options: { readonly knownAt?: TimeInput } = {}): ViewHistory<V, K, R> {
    const { knownAt } = options;
    const given = rows.map((row) =>
      knownAt === undefined || hasKnownTime(row) ? givenRow(row) : late(row, { knownAt }),
    );
    const next = new ViewHistory<V, K, R>(this.#view, [...this.#rows, ...given], this.#key);
    const problems = next.#refusalProblems(this.#rows.length);
    if (problems.length > 0) {
      throw new AssertionError({ message: problems.join("\n"), operator: "after", stackStartFn: this.after });
    }
    return next;
  }

  /** The source refuses the row with this code. */
  toReject(row: unknown, code: ErrorCode): ViewHistory<V, K, R> {
    return this.after([rejected(row, code)]);
  }

  /** Of this entity: needed where the events are of several. */
  of(key: Readonly<K>): ViewHistory<V, K, R> {
    return new ViewHistory(this.#view, this.#rows, this.#view.keyOf(key as Readonly<Record<string, unknown>>));
  }

  /** What is served at this time: from the events known by then, late ones not yet. Throws `TIME_INVALID`. */
  at(time: TimeInput): ViewReading<V, K, R> {
    return new ViewReading(this, this.#view, this.#intake, this.#entity(), timeOf(time), this.#notes());
  }

  /** The one that was named, or the one the events are of; null before any event: an unseen one. */
  #entity(): EntityKey | null {
    if (this.#key !== undefined) return this.#key;
    const keys = [...new Set(this.#intake.events.map((event) => event.key))];
    if (keys.length <= 1) return keys[0] ?? null;
    const named = keys.slice(0, 3).map((key) => this.#view.formatKey(key));
    throw new OnefoldError("REQUEST_INVALID", `the events are of ${keys.length} entities: ${named.join("; ")}`, {
      hint: `say which: .of({ ${this.#view.entity.keys.map((key) => `${key.name}: ...`).join(", ")} })`,
    });
  }

  /** Duplicates change values without a word, so a difference names them. */
  #notes(): string[] {
    return this.#intake.setAside
      .filter((aside) => aside.code === "DUPLICATE")
      .map(({ place, message }) => `row ${place + 1} was dropped: ${message}`);
  }

  /** Rows from `first` on that were refused and should not have been, or the other way round. */
  #refusalProblems(first: number): string[] {
    const refusals = new Map<number, SetAside>();
    for (const aside of this.#intake.setAside) if (aside.code !== "DUPLICATE") refusals.set(aside.place, aside);
    return this.#rows.flatMap((given, place) => {
      if (place < first) return [];
      const refusal = refusals.get(place);
      const expected = given.rejectedWith;
      if (refusal?.code === expected) return [];
      const row = `row ${place + 1} ${JSON.stringify(given.row, plainJson)}`;
      if (refusal === undefined) return [`${row} was let in; expected it to be refused with ${expected}`];
      const wanted = expected === undefined ? "" : `; expected ${expected}`;
      return [`${row} was refused with ${refusal.code}: ${refusal.message}${wanted}`];
    });
  }
}

/** One entity's features at one time. Each expectation returns the reading, so that more can follow. */
export class ViewReading<V, K, R> {
  readonly #history: ViewHistory<V, K, R>;
  readonly #view: SimulatedView;
  readonly #intake: Intake;
  readonly #key: EntityKey | null;
  readonly #asOf: Micros;
  readonly #notes: readonly string[];
  readonly #read: ReadBuffer;

  /** Made by `at`. */
  constructor(
    history: ViewHistory<V, K, R>,
    view: SimulatedView,
    intake: Intake,
    key: EntityKey | null,
    asOf: Micros,
    notes: readonly string[],
  ) {
    this.#history = history;
    this.#view = view;
    this.#intake = intake;
    this.#key = key;
    this.#asOf = asOf;
    this.#notes = notes;
    this.#read = view.read(intake.events, key, asOf);
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

  /** The same history at another time. */
  at(time: TimeInput): ViewReading<V, K, R> {
    return this.#history.at(time);
  }

  /** The same history of another entity. */
  of(key: Readonly<K>): ViewHistory<V, K, R> {
    return this.#history.of(key);
  }

  /** The same history and then these rows. */
  after(rows: readonly (R | GivenRow<R>)[], options: { readonly knownAt?: TimeInput } = {}): ViewHistory<V, K, R> {
    return this.#history.after(rows, options);
  }

  #byName<T>(of: (slot: number) => T): Readonly<Record<string, T>> {
    return Object.fromEntries(this.#view.fold.features.map(({ name }, slot) => [name, of(slot)]));
  }

  /** `problem` gives what was expected, for a person, where the feature is not so. */
  #expect(
    operator: string,
    stackStartFn: (...args: never[]) => unknown,
    expected: object,
    problem: (feature: { value: unknown; slot: number; type: ValueType }) => string | null,
  ): this {
    const { features } = this.#view.fold;
    const names = Object.keys(expected);
    if (names.length === 0)
      throw new OnefoldError("REQUEST_INVALID", `${operator} names no feature, so it checks nothing`);
    const wrong: WrongFeature[] = [];
    for (const name of names) {
      const slot = features.findIndex((feature) => feature.name === name);
      if (slot < 0) throw this.#unknownFeature(name);
      const value = (expected as Readonly<Record<string, unknown>>)[name];
      const wanted = problem({ value, slot, type: features[slot]!.type });
      if (wanted !== null) wrong.push({ slot, expected: wanted });
    }
    if (wrong.length === 0) return this;
    const moment = {
      view: this.#view,
      events: this.#intake.events,
      key: this.#key,
      asOf: this.#asOf,
      read: this.#read,
    };
    const actual = operator === "toHaveStatus" ? this.statuses() : this.values();
    throw new AssertionError({
      message: describeDifference(moment, wrong, this.#notes),
      expected,
      actual: Object.fromEntries(names.map((name) => [name, (actual as Readonly<Record<string, unknown>>)[name]])),
      operator,
      stackStartFn: stackStartFn as (...args: unknown[]) => unknown,
    });
  }

  #unknownFeature(name: string): OnefoldError {
    const names = this.#view.fold.features.map((feature) => feature.name);
    const candidates = nearestNames(name, names);
    const meant = candidates.length === 0 ? "" : `; did you mean "${candidates[0]}"?`;
    const { name: view, version } = this.#view.definition;
    return new OnefoldError("FEATURE_UNKNOWN", `${view}@${version} has no feature "${name}"${meant}`, {
      candidates,
      hint: `its features are: ${names.join(", ")}`,
    });
  }
}

function hasKnownTime(row: unknown): boolean {
  return row instanceof GivenRow && row.knownAt !== undefined;
}

/** A value of the feature's type as answers show it; any other as JavaScript does. */
function shown(wanted: unknown, type: ValueType): string {
  const isTime = type.name === "timestamp" && typeof wanted === "number";
  if (isTime || wanted instanceof Uint8Array) return formatValue(wanted as Value, type);
  return wanted === undefined ? "undefined" : JSON.stringify(wanted, plainJson);
}

/** What JSON has no form for. */
function plainJson(_: string, value: unknown): unknown {
  if (typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value))) return String(value);
  return value;
}
