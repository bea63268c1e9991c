/**
 * An entity's newest events as the online store keeps them beside states that do not hold them yet.
 *
 *     what a view's stored state is  =  the state as it was last written whole
 *                                       + the events of the tail behind it, folded again, up to the view's position
 *
 * An event changes the states of all views of its entity, each of which may be kilobytes; itself it is some fifty bytes.
 * So it is written once, for all views of a source that have the same key, and the states are written whole only once
 * their tail is long (`tail-group.ts`). Folding skips what a state holds already, so a tail may always hold more than
 * is needed; it must never hold less.
 *
 *     byte 0      version of this format
 *     bytes 1-4   CRC-32 of the columns that its rows are written with, little-endian; see `columnsMeta`
 *     bytes 5-6   number of events, little-endian
 *     bytes 7-14  offset of the last event, float64, little-endian
 *     then        events: offset, known time, event time, each a float64, and the row
 */
import { crc32 } from "node:zlib";
import { OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { compileDerived, type ViewDerivation } from "../fold/derive.ts";
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import type { LocalOnlineStore, MetaWrite, StateSpace } from "../online-store/online-store.ts";
import { ByteReader, ByteWriter } from "../schema/byte-buffer.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { type CodecColumn, createRowCodec, type RowCodec } from "../schema/row-codec.ts";
import type { LogEvent } from "./event.ts";

export const FORMAT_VERSION = 1;
export const TAIL_HEAD_BYTES = 15;
/** The number of a longer one is not told. */
const EVENTS_TOLD_MAX = 0xffff;

/** Where a view's tails are, as its place in the store says. */
export interface TailPlace {
  readonly space: StateSpace;
  /** Events below this offset are in the states that were written whole, or left them as they were. */
  readonly from: number;
}

/** Writes events and heads of tails of one source. */
export class TailWriter {
  readonly columnsHash: number;
  readonly #source: string;
  readonly #columns: readonly CodecColumn[];
  readonly #codec: RowCodec;
  readonly #event = new ByteWriter(256);

  constructor({ name, columns }: SourceDefinition) {
    this.#source = name;
    this.#columns = columns.map((column) => ({ name: column.name, type: column.type }));
    this.#codec = createRowCodec(this.#columns);
    this.columnsHash = crc32(JSON.stringify(this.#columns));
  }

  /** What `TailReader` must find in the store to read what is written here. */
  columnsMeta(): MetaWrite {
    const bytes = new Uint8Array(Buffer.from(JSON.stringify(this.#columns)));
    return { name: columnsMetaName(this.#source, this.columnsHash), bytes };
  }

  /** The event's bytes, valid until the next. */
  encode({ offset, knownTime, eventTime, row }: LogEvent): Uint8Array {
    const event = this.#event;
    event.clear();
    event.float64(offset);
    event.float64(knownTime);
    event.float64(eventTime);
    this.#codec.encode(row, event);
    return event.view();
  }

  writeHead(into: Buffer, at: number, events: number, lastOffset: number): void {
    into[at] = FORMAT_VERSION;
    into.writeUInt32LE(this.columnsHash, at + 1);
    into.writeUInt16LE(Math.min(events, EVENTS_TOLD_MAX), at + 5);
    into.writeDoubleLE(lastOffset, at + 7);
  }
}

/** A tail as it is stored. */
export interface StoredTail {
  readonly bytes: Uint8Array;
  readonly columnsHash: number;
  readonly events: number;
  readonly lastOffset: number;
}

/** What folding a tail's events again takes of a view. */
export interface TailedView {
  readonly fold: ViewFold;
  readonly derivation: ViewDerivation | null;
}

/** Reads the tails of one source. */
export class TailReader {
  readonly #store: Pick<LocalOnlineStore, "get" | "getMeta">;
  readonly #source: SourceDefinition;
  readonly #derive: ReturnType<typeof compileDerived>["deriveEach"];
  readonly #codecs = new Map<number, RowCodec>();
  /** To be changed whenever the store may hold something else than it did: what was read is read once in between. */
  moment: number = 0;
  /** The tail that was read last, and the one that was decoded: views of one entity are read one after another. */
  #last: {
    readonly moment: number;
    readonly space: StateSpace;
    readonly key: EntityKey;
    readonly tail: StoredTail | null;
  } | null = null;
  #decoded: { readonly bytes: Uint8Array; readonly events: readonly LogEvent[] } | null = null;

  constructor(store: Pick<LocalOnlineStore, "get" | "getMeta">, source: SourceDefinition) {
    this.#store = store;
    this.#source = source;
    this.#derive = compileDerived(source).deriveEach;
  }

  /** As it is stored at this moment. Throws `STATE_CODEC`. */
  read(space: StateSpace, key: EntityKey): StoredTail | null {
    const { moment } = this;
    const last = this.#last;
    if (last !== null && last.moment === moment && last.key === key && last.space === space) return last.tail;
    const tail = this.#readNow(space, key);
    this.#last = { moment, space, key, tail };
    return tail;
  }

  #readNow(space: StateSpace, key: EntityKey): StoredTail | null {
    const bytes = this.#store.get(space, key);
    if (bytes === null) return null;
    if (bytes.length < TAIL_HEAD_BYTES || bytes[0] !== FORMAT_VERSION) throw this.#damaged("the head is damaged");
    const head = new DataView(bytes.buffer, bytes.byteOffset, TAIL_HEAD_BYTES);
    return {
      bytes,
      columnsHash: head.getUint32(1, true),
      events: head.getUint16(5, true),
      lastOffset: head.getFloat64(7, true),
    };
  }

  /** Oldest first. Throws `STATE_CODEC`. */
  eventsOf(tail: StoredTail): readonly LogEvent[] {
    if (this.#decoded !== null && Buffer.compare(this.#decoded.bytes, tail.bytes) === 0) return this.#decoded.events;
    const codec = this.#codecOf(tail.columnsHash);
    const reader = new ByteReader(tail.bytes, TAIL_HEAD_BYTES);
    const events: LogEvent[] = [];
    try {
      while (!reader.atEnd) {
        const offset = reader.float64();
        const knownTime = reader.float64() as Micros;
        const eventTime = reader.float64() as Micros;
        const row = codec.decode(reader);
        const faults = this.#derive(row);
        const event = { offset, knownTime, eventTime, id: null, row };
        events.push(faults === null ? event : { ...event, faults });
      }
    } catch (cause) {
      throw this.#damaged((cause as Error).message);
    }
    this.#decoded = { bytes: tail.bytes, events };
    return events;
  }

  /** Folds into a state, as it was written whole, the events from offset `from` to below `before` that it lacks. */
  foldInto({ fold, derivation }: TailedView, state: ViewState, tail: StoredTail, from: number, before: number): void {
    if (tail.lastOffset <= state.lastOffset) return;
    for (const event of this.eventsOf(tail)) {
      if (event.offset < from || event.offset >= before) continue;
      // What a view refused when it came it refuses again, and its state stays as it is.
      if (event.faults !== undefined && (derivation?.faultIn(event.faults) ?? null) !== null) continue;
      fold.fold(state, event);
    }
  }

  #codecOf(hash: number): RowCodec {
    const known = this.#codecs.get(hash);
    if (known !== undefined) return known;
    const stored = this.#store.getMeta(columnsMetaName(this.#source.name, hash));
    if (stored === null) throw this.#damaged("the columns that they were written with are not known");
    const written = JSON.parse(Buffer.from(stored).toString("utf8")) as readonly CodecColumn[];
    const codec = createRowCodec(this.#source.columns, written);
    this.#codecs.set(hash, codec);
    return codec;
  }

  #damaged(why: string): OnefoldError {
    return new OnefoldError("STATE_CODEC", `newest events of ${this.#source.name} cannot be decoded: ${why}`, {
      hint: "rebuild the views' states from the log",
    });
  }
}

function columnsMetaName(source: string, hash: number): string {
  return `tail-columns/${source}/${hash.toString(16)}`;
}
