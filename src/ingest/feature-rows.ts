/**
 * Feature rows of one view: an entity's features as they stood at the end of each known-time minute in
 * which it changed.
 *
 *     event folded ─▶ entity noted for its minute ─▶ minute closed ─▶ row read at the minute's end ─▶ outbox
 *
 * A closed minute's rows need not be read at once: an entity's state is what it was at the minute's end
 * until its next event, so a row is read in the background or, at the latest, just before that event is
 * folded. Notes and outbox go into the same commit as states and positions. So after a crash each note is
 * there for exactly the events that are folded, and each row is either still noted or in the outbox.
 */
import { MICROS_PER_MINUTE, type Micros } from "../base/micros.ts";
import { createReadBuffer, type ViewFold, type ViewState } from "../fold/view-fold.ts";
import type { FeatureRow } from "../offline-store/feature-rows.ts";
import type { MetaWrite, LocalOnlineStore } from "../online-store/online-store.ts";
import { ByteReader, ByteWriter } from "../schema/byte-buffer.ts";
import { decodeEntityKey, type EntityKey } from "../schema/entity-key.ts";
import { createRowCodec, type RowCodec } from "../schema/row-codec.ts";
import type { Value, ValueType } from "../schema/value.ts";
import type { EntitySlots } from "./entity-slots.ts";
import { MinuteNotes } from "./minute-notes.ts";

/** Rows of the outbox that are handed over at a time: a part of a millisecond's work. */
const ROWS_AT_A_TIME = 128;

export function minuteOf(knownTime: number): Micros {
  return (Math.floor(knownTime / MICROS_PER_MINUTE) * MICROS_PER_MINUTE) as Micros;
}

export interface FeatureRowsOptions {
  readonly store: LocalOnlineStore;
  /** `view@version`. */
  readonly view: string;
  readonly fold: ViewFold;
  /** First sequence number not yet given out. */
  readonly nextSequence: number;
  /** Shared with other views of the same entities: the row of one that is noted is read by its slot, which it holds. */
  readonly slots: EntitySlots;
  /** The entity's live state, and the epoch it belongs to. */
  state(key: EntityKey): ViewState | null;
  epoch(): number;
}

export class FeatureRows {
  readonly #options: FeatureRowsOptions;
  readonly #codec: RowCodec;
  readonly #buffer: ReturnType<typeof createReadBuffer>;
  readonly #slots: EntitySlots;
  /** By slot of the entity: the minute that it is noted for, open or closed; -Infinity where its row is read, or it has none. */
  #minutes: Float64Array = new Float64Array(0);
  /** Slots of the entities changed in the open minute. */
  #open: number[] = [];
  #openMinute = Number.NEGATIVE_INFINITY;
  /** Of closed minutes; those whose rows are read by now are among them. */
  readonly #due: { readonly minute: number; readonly slots: readonly number[]; next: number }[] = [];
  #dueCount = 0;
  /** Notes found in the store: of the open minute or closed ones, which the next minute told will decide. */
  #found: ReadonlyMap<EntityKey, number>;
  readonly #notes: MinuteNotes;
  readonly #rows = new ByteWriter();
  #nextSequence: number;

  constructor(options: FeatureRowsOptions) {
    this.#options = options;
    this.#codec = rowCodec(options.fold);
    this.#buffer = createReadBuffer(options.fold.features.length);
    this.#nextSequence = options.nextSequence;
    this.#slots = options.slots;
    this.#notes = new MinuteNotes(options.store, options.view);
    this.#found = this.#notes.found;
  }

  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Rows of closed minutes not read yet. */
  get dueCount(): number {
    return this.#dueCount;
  }

  /** Whether rows of closed minutes are not read yet, or read and not written. */
  get hasRowsToWrite(): boolean {
    return this.#dueCount > 0 || this.#rows.length > 0;
  }

  get hasWrites(): boolean {
    return this.#notes.hasWrites || this.#rows.length > 0 || this.#dueCount > 0;
  }

  /** To be called before an event of `key` known at `knownTime` is folded. */
  beforeFold(key: EntityKey, knownTime: number): void {
    const minute = minuteOf(knownTime);
    if (minute > this.#openMinute) this.#openNext(minute);
    if (this.#dueCount === 0) return;
    const slot = this.#slots.find(key);
    const noted = this.#minuteAt(slot);
    if (noted !== Number.NEGATIVE_INFINITY && noted < this.#openMinute) this.#capture(slot, noted);
  }

  /** To be called once the event is folded. */
  folded(key: EntityKey): void {
    if (this.#minuteAt(this.#slots.find(key)) === this.#openMinute) return;
    const slot = this.#hold(key, this.#openMinute);
    this.#open.push(slot);
    this.#notes.note(this.#slots.keyOf(slot), this.#openMinute);
  }

  /** No event will become known before `time` any more. */
  closeBefore(time: number): void {
    const minute = minuteOf(time);
    if (minute > this.#openMinute) this.#openNext(minute);
  }

  hasMinuteBefore(time: number): boolean {
    return this.#openMinute < minuteOf(time) && (this.#open.length > 0 || this.#found.size > 0);
  }

  /** Reads up to `rowsMax` rows of closed minutes. */
  captureDue(rowsMax: number): void {
    let left = rowsMax;
    while (left > 0 && this.#dueCount > 0) {
      const oldest = this.#due[0]!;
      const { minute, slots } = oldest;
      for (; left > 0 && oldest.next < slots.length; oldest.next++) {
        const slot = slots[oldest.next]!;
        // One whose row is read was left, and its slot may be another's by now, who is noted for the open minute.
        if (this.#minutes[slot] !== minute) continue;
        this.#capture(slot, minute);
        left--;
      }
      if (oldest.next === slots.length) this.#due.shift();
    }
    if (this.#dueCount === 0) this.#due.length = 0;
  }

  /** What the flush that begins now must write: notes, and the rows read since the last one. */
  takeWrites(): MetaWrite[] {
    const metas = this.#notes.takeWrites();
    if (this.#rows.length > 0) {
      metas.push({ name: outboxName(this.#options.view, this.#nextSequence++), bytes: this.#rows.copy() });
      this.#rows.clear();
    }
    return metas;
  }

  /** To be called where the view is run no more. */
  leave(): void {
    const noted = [...this.#due, { minute: this.#openMinute, slots: this.#open }];
    this.#slots.leaveAll(noted.flatMap(({ minute, slots }) => slots.filter((slot) => this.#minutes[slot] === minute)));
    this.#minutes = new Float64Array(0);
    this.#open = [];
    this.#due.length = 0;
    this.#dueCount = 0;
  }

  #openNext(minute: number): void {
    this.#close(this.#openMinute, this.#open);
    this.#open = [];
    this.#openMinute = minute;
    const closed = new Map<number, number[]>();
    for (const [key, noted] of this.#found) {
      const slot = this.#hold(key, Math.min(noted, minute));
      if (noted >= minute) this.#open.push(slot);
      else if (closed.get(noted)?.push(slot) === undefined) closed.set(noted, [slot]);
    }
    this.#found = new Map();
    for (const [noted, slots] of closed) this.#close(noted, slots);
  }

  #close(minute: number, slots: readonly number[]): void {
    if (slots.length === 0) return;
    this.#due.push({ minute, slots, next: 0 });
    this.#dueCount += slots.length;
  }

  #minuteAt(slot: number): number {
    return slot >= 0 && slot < this.#minutes.length ? this.#minutes[slot]! : Number.NEGATIVE_INFINITY;
  }

  #hold(key: EntityKey, minute: number): number {
    const slot = this.#slots.hold(key);
    if (slot >= this.#minutes.length) {
      const grown = new Float64Array(Math.max(1024, 2 * slot)).fill(Number.NEGATIVE_INFINITY);
      grown.set(this.#minutes);
      this.#minutes = grown;
    }
    this.#minutes[slot] = minute;
    return slot;
  }

  #capture(slot: number, minute: number): void {
    const key = this.#slots.keyOf(slot);
    this.#minutes[slot] = Number.NEGATIVE_INFINITY;
    this.#dueCount--;
    this.#notes.read(key, minute);
    const state = this.#options.state(key);
    if (state !== null) {
      this.#options.fold.read(state, (minute + MICROS_PER_MINUTE - 1) as Micros, this.#buffer);
      this.#codec.encode([key, minute, this.#options.epoch(), ...this.#buffer.values], this.#rows);
    }
    this.#slots.leave(slot);
  }
}

/** One batch of rows waiting to be written offline, as bytes: a busy minute has a row for each entity of each view. */
export interface OutboxBatch {
  readonly sequence: number;
  readonly metaName: string;
  readonly bytes: Uint8Array;
}

/** The first batch of a view that stands in the store's outbox behind the one whose meta is `after`; null for none. */
export function nextOutboxBatch(store: LocalOnlineStore, view: string, after?: string): OutboxBatch | null {
  const [first] = store.scanMeta(outboxPrefix(view), after);
  if (first === undefined) return null;
  const { name, bytes } = first;
  return { sequence: Number(name.slice(outboxPrefix(view).length)), metaName: name, bytes };
}

/** The rows of a batch, some at a time. */
export function* outboxRows(
  { bytes }: OutboxBatch,
  fold: ViewFold,
  keyTypes: readonly ValueType[],
): IterableIterator<readonly FeatureRow[]> {
  const codec = rowCodec(fold);
  let rows: FeatureRow[] = [];
  for (const reader = new ByteReader(bytes); !reader.atEnd;) {
    const [key, minute, epoch, ...values] = codec.decode(reader);
    rows.push({
      key: decodeEntityKey(key as string, keyTypes),
      minute: minute as Micros,
      epoch: epoch as number,
      values: values as Value[],
    });
    if (rows.length < ROWS_AT_A_TIME) continue;
    yield rows;
    rows = [];
  }
  if (rows.length > 0) yield rows;
}

function rowCodec(fold: ViewFold): RowCodec {
  return createRowCodec([
    { name: "key", type: { name: "string" } },
    { name: "minute", type: { name: "timestamp" } },
    { name: "epoch", type: { name: "int64" } },
    ...fold.features.map(({ name, type }) => ({ name: `feature ${name}`, type })),
  ]);
}

export function outboxPrefix(view: string): string {
  return `outbox/${view}/`;
}

function outboxName(view: string, sequence: number): string {
  return `${outboxPrefix(view)}${String(sequence).padStart(16, "0")}`;
}
