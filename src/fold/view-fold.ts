/**
 * The one fold: what the stream, a replay, a backfill, training and the audit all call.
 *
 *     state' = fold(state, event)        value = read(state, asOf)
 *
 * Pure: no clock, no I/O, no randomness. `compileViewFold` (in `compile.ts`) turns a definition into one.
 */
import type { Micros } from "../base/micros.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Row, Value, ValueType } from "../schema/value.ts";

/** An event as the fold sees it. `row` holds the source's columns, then its derived ones. */
export interface FoldEvent {
  /** Place in the one order of its partition; history is below zero, the live log from zero. */
  readonly offset: number;
  /**
   * NaN for a retraction: events of the entity that came before it count no more. What folds it has left them out of
   * the state already; the fold moves the state's place in the log, and reads nothing of the row.
   */
  readonly eventTime: Micros;
  readonly knownTime: Micros;
  readonly row: Row;
}

/** Why an event left the state as it was. `poison` goes to the dead letters. */
export type FoldOutcome =
  | { readonly kind: "folded" }
  | { readonly kind: "already-folded" }
  | { readonly kind: "poison"; readonly message: string };

export const Status = { PRESENT: 0, NULL_VALUE: 1, NOT_FOUND: 2, OUTSIDE_MAX_AGE: 3, ERROR: 4 } as const;
export type StatusCode = (typeof Status)[keyof typeof Status];
export type StatusName = keyof typeof Status;
export const STATUS_NAMES: readonly StatusName[] = ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE", "ERROR"];

/** Where a read puts its results: one slot a feature of the view, in the view's order. Reused between reads. */
export interface ReadBuffer {
  readonly values: Value[];
  readonly statuses: StatusCode[];
  /**
   * True left edge of each feature's window: the value covers `(windowStart, asOf]` exactly.
   * -Infinity for lifetime and last-n features; of a session see session-window.ts.
   */
  readonly windowStarts: number[];
  /** How far each value may be off, as its aggregation states it (see docs/aggregations.md); 0 when exact. */
  readonly errors: number[];
  /**
   * A read of the same state at any later time before this one gives the same value, status and error, to the
   * bit; asOf itself where the value moves with time. (Its window may start elsewhere.)
   */
  readonly stableUntils: number[];
}

/** Mutable state of one entity in one view. Opaque outside `src/fold`, but for these. */
export interface ViewState {
  /** Offset of the last event folded; -Infinity in the empty state. */
  readonly lastOffset: number;
  /** Largest known time folded; -Infinity in the empty state. */
  readonly lastKnownTime: number;
  /** Largest effective time folded, min(eventTime, knownTime); -Infinity in the empty state. */
  readonly lastEventTime: number;
  /** Events folded over the lifetime (since the last forgetting). */
  readonly eventCount: number;
}

export interface CompiledFeature {
  readonly name: string;
  readonly type: ValueType;
  /** How far back its window reaches in microseconds: a time window's length, a session's max; null for others. */
  readonly windowMicros: number | null;
  /** `windowStart` lies less than this behind where it should, however busy the entity. */
  readonly hopMicros: number;
}

export interface ViewReader<S extends ViewState = ViewState> {
  /** `state` null or empty reads as NOT_FOUND with the empty values. Requires asOf >= state.lastKnownTime. Never throws. */
  read(state: S | null, asOf: Micros, into: ReadBuffer): void;
}

export interface ViewFold<S extends ViewState = ViewState> extends ViewReader<S> {
  readonly features: readonly CompiledFeature[];
  /** Source columns (stored ones, not derived) that folding needs, key columns included: for push-down. */
  readonly inputColumns: readonly string[];
  /** Those of them that are needed where an event's entity is known already: key columns only where a feature reads them. */
  readonly eventColumns: readonly string[];
  /**
   * So long after a state's last event every read gives the values of an unseen entity, though not its status; Infinity
   * where there is no such time.
   */
  readonly emptiesAfterMicros: number;
  /** Canonical key of the row's entity. Throws `KEY_MISSING`, `KEY_TOO_LONG`. */
  keyOf(row: Row): EntityKey;
  empty(): S;
  /** Changes `state` in place, or leaves it bit for bit as it was unless the outcome is `folded`. Never throws. */
  fold(state: S, event: FoldEvent): FoldOutcome;
  /**
   * `read` of the features in these slots alone, to the bit what `read` gives of them. What stands in other slots afterwards
   * means nothing.
   */
  reader(slots: readonly number[]): ViewReader<S>;
  /** Same state, same bytes: at any batch size, on any Node version. */
  encode(state: S): Uint8Array;
  /** How states lie in cells of memory that many share; null where something in them can lie on the heap alone. */
  readonly placed: PlacedFold<S> | null;
  /**
   * Throws `STATE_CODEC` for bytes of another codec version or another definition. Copies what it keeps. Where `over` is
   * given, a state of this fold that nobody needs any more, its memory may be used again for the decoded one.
   */
  decode(bytes: Uint8Array, over?: S | null): S;
}

/** States that lie in somebody's cells, and are read and folded into where they lie. */
export interface PlacedFold<S extends ViewState = ViewState> {
  /** A state that is to stand for such, one after another. */
  cursor(): S;
  /** Cells that a state takes, wherever it is put. */
  cellsMin(state: S): number;
  /** The same with room for some more events. */
  cellsWithRoom(state: S): number;
  /** Copies a state, which may be one that was opened elsewhere, into `size` cells from `at` on, at least `cellsMin`. */
  put(state: S, cells: Float64Array, at: number, size: number): void;
  /** Makes a cursor stand for the state that was put there: good while nothing else changes or moves it. */
  open(cells: Float64Array, at: number, cursor: S): S;
  /**
   * To be called once something was folded into a state that was opened there. False where it has grown out of its cells: they hold
   * nothing of use any more, and the cursor is to be put elsewhere before another is opened.
   */
  settle(cursor: S, cells: Float64Array, at: number): boolean;
  /** Whether a state has anything in these cells. */
  liesIn(state: S, cells: Float64Array): boolean;
}

/** Whether a window starts exactly where it should: not inside the hop that a merged bucket may have moved it by. */
export function startsExactly(
  { windowMicros, hopMicros }: Pick<CompiledFeature, "windowMicros" | "hopMicros">,
  windowStart: number,
  asOf: number,
): boolean {
  if (windowMicros === null) return true;
  const late = windowStart - (asOf - windowMicros);
  return late <= 0 || late >= hopMicros;
}

export function createReadBuffer(featureCount: number): ReadBuffer {
  return {
    values: Array.from<Value>({ length: featureCount }).fill(null),
    statuses: Array.from<StatusCode>({ length: featureCount }).fill(Status.NOT_FOUND),
    windowStarts: numbers(featureCount, Number.NEGATIVE_INFINITY),
    errors: numbers(featureCount, 0),
    stableUntils: numbers(featureCount, Number.NEGATIVE_INFINITY),
  };
}

/** A list that the engine knows to hold numbers from its first element on: one that began with others would allocate each. */
function numbers(count: number, value: number): number[] {
  const list: number[] = [];
  for (let i = 0; i < count; i++) list.push(Number.NEGATIVE_INFINITY);
  return list.fill(value);
}
