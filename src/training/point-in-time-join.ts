/**
 * The point-in-time join: events sorted by (entity, order) merged with labels sorted by (entity, limit).
 *
 *     events  --e1------e2----e3----------e4-->   one entity, folded left to right into one state
 *     labels  ------L1-------------L2-------->    each reads that state at its own asOf
 *
 * Where events were taken back, a mark stands in the entity's order where that became known, and labels behind it read a
 * state folded anew from the events that count (see `corrected-entity.ts`); labels before it see them as they were.
 *
 * Known times never decrease along offsets, so the events known at a label's time are always a prefix of the
 * entity's events, and one pass with one state answers every label. The same holds for offsets (as served)
 * and, once sorted so, for effective times (final).
 */
import { asOnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { FeatureDefinition } from "../define/definition.ts";
import { fallBack, fallbackOfCode } from "../fold/fallback.ts";
import {
  type CompiledFeature,
  createReadBuffer,
  type FoldOutcome,
  type ReadBuffer,
  startsExactly,
  type ViewFold,
  type ViewState,
} from "../fold/view-fold.ts";
import type { EntityEventBatch } from "../offline-store/event-reader.ts";
import type { Row, Value } from "../schema/value.ts";
import { correctableEvent, CorrectedEntity } from "./corrected-entity.ts";
import type { FeatureColumn } from "./feature-columns.ts";

/**
 * Which events a label with limit `l` sees: known time <= l or < l, effective time <= l or < l, offset <= l.
 * Events come by offset, but for the `effective` ones, where they come by (effective time, offset).
 */
export type EventBound = "known" | "known-before" | "effective" | "effective-before" | "offset";

/** Labels sorted by (entity, limit), as columns. */
export interface LabelRun {
  readonly count: number;
  readonly entity: Int32Array;
  /** Time in microseconds, or offset; -Infinity sees no event. */
  readonly limit: Float64Array;
  readonly asOf: Float64Array;
  /** Row of the spine, which is the slot in the feature columns. */
  readonly row: Int32Array;
  /** What was served in place of the view's values, as `FALLBACK_CODES`; absent where nothing was. */
  readonly fallback?: Uint8Array;
}

export interface ViewJoinSettings {
  readonly fold: ViewFold;
  /** Width of a stored row. */
  readonly storedColumnCount: number;
  /** Computes derived columns; null where the source has none. */
  readonly derive: ((stored: Value[]) => Row) | null;
  readonly bound: EventBound;
  readonly labels: LabelRun;
  readonly columns: readonly FeatureColumn[];
  /** Of the view, for labels with a fallback. */
  readonly features?: readonly FeatureDefinition[];
  /** Called after each label's read with the state it was read from (null: no event). */
  readonly onRead?: (label: number, state: ViewState | null, read: ReadBuffer) => void;
}

interface MutableFoldEvent {
  offset: number;
  eventTime: Micros;
  knownTime: Micros;
  row: Row;
}

export class ViewJoin {
  readonly #settings: ViewJoinSettings;
  readonly #read: ReadBuffer;
  readonly #stored: Value[];
  readonly #event: MutableFoldEvent;
  /** Those of the columns whose window can begin later than asked. */
  readonly #windowed: readonly { readonly column: FeatureColumn; readonly feature: CompiledFeature }[];
  #entity = -1;
  #state: ViewState | null = null;
  /** Set while the entity has events that are taken back, and then has its state. */
  #corrected: CorrectedEntity | null = null;
  /** Place of the entity's last event on the axis of the limits. */
  #lastPlace = Number.NEGATIVE_INFINITY;
  #rank = 0;
  #cursor = 0;
  #eventsFolded = 0;
  #eventsPoisoned = 0;
  #firstPoison: string | null = null;
  #coincidentLabels = 0;

  constructor(settings: ViewJoinSettings) {
    this.#settings = settings;
    this.#read = createReadBuffer(settings.fold.features.length);
    this.#stored = Array.from<Value>({ length: settings.storedColumnCount }).fill(null);
    this.#event = { offset: 0, eventTime: 0 as Micros, knownTime: 0 as Micros, row: this.#stored };
    this.#windowed = settings.columns
      .map((column) => ({ column, feature: settings.fold.features[column.slot]! }))
      .filter(({ feature }) => feature.windowMicros !== null && feature.hopMicros > 0);
  }

  /** Labels answered so far. */
  get labelsDone(): number {
    return this.#cursor;
  }
  get eventsFolded(): number {
    return this.#eventsFolded;
  }
  /** Events that left the state as it was because something threw; the same ones as in the stream. */
  get eventsPoisoned(): number {
    return this.#eventsPoisoned;
  }
  /** What the first of them threw. */
  get firstPoison(): string | null {
    return this.#firstPoison;
  }
  /** Labels whose limit equals the place of an event of their entity; counted under inclusive bounds only. */
  get coincidentLabels(): number {
    return this.#coincidentLabels;
  }

  push(batch: EntityEventBatch): void {
    const { bound, labels } = this.#settings;
    const isEffective = bound === "effective" || bound === "effective-before";
    const isStrict = bound === "known-before" || bound === "effective-before";
    const { entity, limit, count } = labels;
    for (let i = 0; i < batch.rowCount; i++) {
      const eventEntity = batch.entity[i]!;
      if (eventEntity !== this.#entity) this.#begin(eventEntity);
      const eventTime = batch.eventTime[i]!;
      const knownTime = batch.knownTime[i]!;
      const effective = eventTime < knownTime ? eventTime : knownTime;
      const place = bound === "offset" ? batch.offset[i]! : isEffective ? effective : knownTime;
      while (this.#cursor < count && entity[this.#cursor] === eventEntity) {
        const labelLimit = limit[this.#cursor]!;
        if (isStrict ? place < labelLimit : place <= labelLimit) break;
        this.#answer();
      }
      // Nobody asks for this entity any more: its later events need no folding.
      if (this.#cursor >= count || entity[this.#cursor] !== eventEntity) continue;
      this.#lastPlace = place;
      const event = this.#event;
      if (isEffective) {
        // In this order offsets jump; the rank keeps the fold's one rule, that offsets rise.
        event.offset = this.#rank++;
        event.eventTime = event.knownTime = effective as Micros;
      } else {
        event.offset = batch.offset[i]!;
        event.eventTime = eventTime as Micros;
        event.knownTime = knownTime as Micros;
      }
      if (batch.retractions?.has(eventEntity) === true) this.#foldCorrected(batch, i);
      else this.#fold(batch, i);
    }
  }

  /** Answers the labels behind the last event. Call once, after the last batch. */
  finish(): void {
    while (this.#cursor < this.#settings.labels.count) this.#answer();
  }

  #begin(entity: number): void {
    const { labels } = this.#settings;
    while (this.#cursor < labels.count && labels.entity[this.#cursor]! < entity) this.#answer();
    this.#entity = entity;
    this.#state = null;
    this.#corrected = null;
    this.#lastPlace = Number.NEGATIVE_INFINITY;
    this.#rank = 0;
  }

  #fold(batch: EntityEventBatch, index: number): void {
    const { fold, derive } = this.#settings;
    batch.fillRow(index, this.#stored);
    if (derive !== null) {
      try {
        this.#event.row = derive(this.#stored);
      } catch (error) {
        this.#eventsPoisoned++;
        this.#firstPoison ??= asOnefoldError(error).message;
        return;
      }
    }
    this.#state ??= fold.empty();
    this.#count(fold.fold(this.#state, this.#event));
  }

  #foldCorrected(batch: EntityEventBatch, index: number): void {
    const { fold, derive, storedColumnCount } = this.#settings;
    this.#corrected ??= new CorrectedEntity(fold, (outcome) => this.#count(outcome));
    this.#corrected.add(correctableEvent(batch, index, storedColumnCount, derive));
  }

  #count(outcome: FoldOutcome): void {
    if (outcome.kind === "folded") this.#eventsFolded++;
    else if (outcome.kind === "poison") {
      this.#eventsPoisoned++;
      this.#firstPoison ??= outcome.message;
    }
  }

  #answer(): void {
    const { fold, labels, columns, onRead } = this.#settings;
    const label = this.#cursor++;
    const isOfEntity = labels.entity[label] === this.#entity;
    const state = isOfEntity ? (this.#corrected?.state() ?? this.#state) : null;
    if (isOfEntity && this.#lastPlace === labels.limit[label]) this.#coincidentLabels++;
    const asOf = labels.asOf[label]!;
    fold.read(state, asOf as Micros, this.#read);
    const fallback = labels.fallback?.[label] ?? 0;
    if (fallback !== 0) fallBack(this.#settings.features!, fallbackOfCode(fallback), this.#read);
    const row = labels.row[label]!;
    for (const column of columns) column.set(row, this.#read);
    const { windowStarts } = this.#read;
    for (const { column, feature } of this.#windowed) {
      if (!startsExactly(feature, windowStarts[column.slot]!, asOf)) column.markLaterWindow(row);
    }
    onRead?.(label, state, this.#read);
  }
}
