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
  /** The entity's live state, and the epoch it belongs to. */
  state(key: EntityKey): ViewState | null;
  epoch(): number;
}

export class FeatureRows {
  readonly #options: FeatureRowsOptions;
  readonly #codec: RowCodec;
  readonly #buffer: ReturnType<typeof createReadBuffer>;
  /** Entities changed in the open minute, and those of closed minutes whose rows are not read yet. */
  #open = new Set<EntityKey>();
  #openMinute = Number.NEGATIVE_INFINITY;
  /** The latter by their minute; no entity is in two of them. Closing a minute moves no entity, however many there are. */
  readonly #due = new Map<number, Set<EntityKey>>();
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
    for (const [due, keys] of this.#due) {
      if (!keys.has(key)) continue;
      this.#capture(key, due, keys);
      return;
    }
  }

  /** The minute that entities are noted for. */
  get openMinute(): number {
    return this.#openMinute;
  }

  /** To be called once the event is folded; need not be for an entity for which it was since the minute was opened. */
  folded(key: EntityKey): void {
    if (this.#open.has(key)) return;
    this.#open.add(key);
    this.#notes.note(key, this.#openMinute);
  }

  /** No event will become known before `time` any more. */
  closeBefore(time: number): void {
    const minute = minuteOf(time);
    if (minute > this.#openMinute) this.#openNext(minute);
  }

  hasMinuteBefore(time: number): boolean {
    return this.#openMinute < minuteOf(time) && (this.#open.size > 0 || this.#found.size > 0);
  }

  /** Reads up to `rowsMax` rows of closed minutes. */
  captureDue(rowsMax: number): void {
    let left = rowsMax;
    for (const [minute, keys] of this.#due) {
      for (const key of keys) {
        if (left-- <= 0) return;
        this.#capture(key, minute, keys);
      }
    }
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

  #openNext(minute: number): void {
    if (this.#open.size > 0) {
      this.#due.set(this.#openMinute, this.#open);
      this.#dueCount += this.#open.size;
      this.#open = new Set();
    }
    this.#openMinute = minute;
    for (const [key, noted] of this.#found) {
      if (noted < minute) this.#addDue(key, noted);
      else this.#open.add(key);
    }
    this.#found = new Map();
  }

  #addDue(key: EntityKey, minute: number): void {
    const keys = this.#due.get(minute);
    if (keys === undefined) this.#due.set(minute, new Set([key]));
    else keys.add(key);
    this.#dueCount++;
  }

  #capture(key: EntityKey, minute: number, due: Set<EntityKey>): void {
    due.delete(key);
    if (due.size === 0) this.#due.delete(minute);
    this.#dueCount--;
    this.#notes.read(key, minute);
    const state = this.#options.state(key);
    if (state === null) return;
    this.#options.fold.read(state, (minute + MICROS_PER_MINUTE - 1) as Micros, this.#buffer);
    this.#codec.encode([key, minute, this.#options.epoch(), ...this.#buffer.values], this.#rows);
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
