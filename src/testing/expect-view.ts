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
import { formatMicros } from "../base/micros.ts";
import { formatViewName, type ViewDefinition } from "../define/definition.ts";
import type { AnySelectable, KeysOf, ValuesOf } from "../define/selection.ts";
import type { EventOf } from "../define/source.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { countedEvents, type Moment } from "./counted-events.ts";
import { GivenRow, givenRow, late, rejected, type TimeInput } from "./given-row.ts";
import { Reading } from "./reading.ts";
import { type Intake, type SetAside, SimulatedView, timeOf } from "./simulated-view.ts";
import { plainJson } from "./value-text.ts";

type AnyView = ViewDefinition & AnySelectable;
type SourceOf<V> = V extends { readonly "~types"?: { readonly source: infer S } } ? S : never;
/** A row as the view's source takes it; any object where the view's type does not say. */
type RowOf<V> = [EventOf<SourceOf<V>>] extends [never] ? Readonly<Record<string, unknown>> : EventOf<SourceOf<V>>;

/** Expectations of a view, before any event. Throws `DEFINITION_INVALID` for what is not a view. */
export function expectView<V extends AnyView>(view: V): ViewHistory<ValuesOf<V>, KeysOf<V>, RowOf<V>> {
  return new ViewHistory(new SimulatedView(view), [], undefined);
}

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
    const [view, { events }, key, asOf] = [this.#view, this.#intake, this.#entity(), timeOf(time)];
    return new ViewReading(this, { view, events, key, asOf, read: view.read(events, key, asOf) }, this.#notes());
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

/** One entity's features at one time. */
export class ViewReading<V, K, R> extends Reading<V> {
  readonly #history: ViewHistory<V, K, R>;

  /** Made by `ViewHistory.at`. */
  constructor(history: ViewHistory<V, K, R>, moment: Moment, notes: readonly string[]) {
    const { view, key, asOf, read } = moment;
    const name = formatViewName(view.definition);
    super({
      name,
      title: `${name} of ${view.formatKey(key)} at ${formatMicros(asOf)}`,
      features: view.fold.features,
      values: read.values,
      statuses: read.statuses,
      behind: (slot) => countedEvents(moment, slot),
      notes,
    });
    this.#history = history;
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
}

function hasKnownTime(row: unknown): boolean {
  return row instanceof GivenRow && row.knownAt !== undefined;
}
