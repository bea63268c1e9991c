/**
 * The tails of one source's views that have the same key: takes each event once, and decides when states are written
 * whole instead.
 *
 *     event ─▶ tail of its entity ─▶ flush ─┬─ short: the tail is written, the states are not
 *                                           └─ long: every view's state is written whole, then the tail is cut
 *
 * What holds at every commit, for each view V of the group and each entity: every event of the entity from V's `from`
 * to below V's position is in V's state as it was written whole, or in the tail, or left V's state as it was. Why:
 *
 * - Until it is cut a tail only grows, and each event is put into it in the commit that moves a position past it, or
 *   before, unless it is written whole in that commit.
 * - It is cut of what was in it when the states began to be written whole, and only once all of them are: what a flush
 *   cuts is missing from the store no earlier than in the flush after it. A tail that was cut to nothing stays in the
 *   store as it was: what is in it the states hold, and folding skips that.
 * - A view that has tails in the store and is not run here, as it is being built again, needs what
 *   others would cut. While there is one the group is inert: it takes no events, and states are written whole.
 * - A view that comes to the group has states that hold all events below its `from`.
 * - A tail may hold events that were taken back since. A state that had one is written whole in the commit that moves its
 *   view's position past the retraction, with the retraction's offset: nothing before that is folded into it again.
 */
import { createHash } from "node:crypto";
import type { CommitPart, LocalOnlineStore, MetaWrite, StateSpace, StateWrite } from "../online-store/online-store.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { ownKey } from "../schema/entity-key.ts";
import { FORMAT_VERSION, TAIL_HEAD_BYTES, type TailReader, type TailWriter } from "./event-tail.ts";
import type { LogEvent } from "./event.ts";
import { TailMemory, type TailPlaceInMemory } from "./tail-memory.ts";

/** What a group asks of the views in it. */
export interface TailMember {
  readonly name: string;
  /** Key of the entity that an event is of, null where it has none. */
  keyOf(event: LogEvent): EntityKey | null;
  /** Encoded size of an entity's state when it was last read or written, 0 where it is not in memory or is new. */
  storedBytes(key: EntityKey): number;
  /** The next commit of the view writes the state whole. */
  writeWhole(key: EntityKey): void;
}

export interface TailLimits {
  /** States are written whole once their tail has so many events. */
  readonly eventsMax: number;
  /** ... or is more than this share of what writing them takes. */
  readonly shareMax: number;
}

/**
 * An entity that is not in memory is read by folding its tail into the states of its views, which should cost less than
 * decoding them; a tail is written anew with each event, which should cost less than writing them.
 */
export const TAIL_LIMITS: TailLimits = { eventsMax: 16, shareMax: 0.25 };
const ENTRY_BYTES = 300;
const ROOM_BYTES = 128;

interface Tail {
  readonly key: EntityKey;
  place: TailPlaceInMemory;
  /** Bytes that are of use. */
  length: number;
  events: number;
  lastOffset: number;
  /** Has events that the store does not have. */
  dirty: boolean;
  /** Length and events when the states began to be written whole; 0 where they are not. */
  cutLength: number;
  cutEvents: number;
  /** Of all the group's states of the entity, as it was when the tail began. */
  wholeBytes: number;
}

export interface TailGroupOptions {
  readonly space: StateSpace;
  readonly store: LocalOnlineStore;
  readonly reader: TailReader;
  readonly writer: TailWriter;
  readonly limits: TailLimits;
  /** Of tails kept in memory. */
  readonly bytesMax: () => number;
}

/** Of one part of what is to be written: some tenths of a millisecond. */
const TAILS_AT_A_TIME = 256;

/** Names the tails of views of one source and key; also the meta that says that there are such. */
export function tailSpace(source: string, entity: string, key: readonly string[]): StateSpace {
  const name = createHash("sha256")
    .update(JSON.stringify([entity, key]))
    .digest("hex")
    .slice(0, 16);
  return `${tailSpacesOf(source)}${name}`;
}

/** What the names of all tails of a source begin with. */
export function tailSpacesOf(source: string): string {
  return `tails/${source}/`;
}

export function isTailSpace(space: StateSpace): boolean {
  return space.startsWith("tails/");
}

export class TailGroup {
  readonly space: StateSpace;
  readonly #options: TailGroupOptions;
  readonly #members: TailMember[] = [];
  /** By when they were last used: those of `#old` move to `#young`, or go when `#young` takes their place. */
  #young = new Map<EntityKey, Tail>();
  #old = new Map<EntityKey, Tail>();
  #youngBytes = 0;
  readonly #memory = new TailMemory();
  /** What the commit under way writes. */
  #writing: Buffer = Buffer.alloc(0);
  #dirty: Tail[] = [];
  #cutting: Tail[] = [];
  /** Of the events that were taken last: their keys, and whether each is in its tail from now on. */
  #keys: (EntityKey | null)[] = [];
  #isTaken: boolean[] = [];
  #metasStored = false;
  /** Takes no events: the states of its views are to be written whole. */
  isInert = false;

  constructor(options: TailGroupOptions) {
    this.#options = options;
    this.space = options.space;
  }

  get members(): readonly TailMember[] {
    return this.#members;
  }

  join(member: TailMember): void {
    this.#members.push(member);
  }

  leave(member: TailMember): void {
    const at = this.#members.indexOf(member);
    if (at >= 0) this.#members.splice(at, 1);
  }

  /**
   * Takes `events[from..to)`, before the views fold them. Where an event comes again, for views that are behind others,
   * a tail may have been cut of it: it is not taken, so that those views write their states whole.
   */
  take(events: readonly LogEvent[], from: number, to: number): void {
    this.#keys.length = 0;
    this.#isTaken.length = 0;
    const member = this.#members[0];
    if (member === undefined) return;
    for (let i = from; i < to; i++) {
      const event = events[i]!;
      const key = member.keyOf(event);
      this.#keys.push(key);
      this.#isTaken.push(key !== null && !this.isInert && this.#append(key, event));
    }
  }

  /** Whether the n-th event that was to be taken last was. */
  isTaken(n: number): boolean {
    return this.#isTaken[n] ?? false;
  }

  /** Key of the n-th event that was to be taken last. */
  takenKey(n: number): EntityKey | null {
    return this.#keys[n] ?? null;
  }

  #append(key: EntityKey, event: LogEvent): boolean {
    const tail = this.#tailOf(key);
    if (event.offset <= tail.lastOffset) return false;
    const bytes = this.#options.writer.encode(event);
    const length = tail.length + bytes.length;
    if (length > tail.place.room) this.#grow(tail, length);
    const { block, at } = tail.place;
    block.set(bytes, at + tail.length);
    tail.length = length;
    tail.events++;
    tail.lastOffset = event.offset;
    if (!tail.dirty) this.#dirty.push(tail);
    tail.dirty = true;
    return true;
  }

  #grow(tail: Tail, bytes: number): void {
    const former = tail.place;
    tail.place = this.#memory.take(bytes);
    tail.place.block.set(former.block.subarray(former.at, former.at + tail.length), tail.place.at);
    this.#youngBytes += tail.place.room - former.room;
    this.#memory.leave(former);
  }

  /**
   * To be called when a flush begins, in the turn of its first commit: from now on the commits of the views write whole
   * what has a long tail.
   */
  beginFlush(): void {
    if (this.isInert) return;
    for (const tail of this.#dirty) {
      if (!this.#isLong(tail)) continue;
      for (const member of this.#members) member.writeWhole(tail.key);
      tail.dirty = false;
      tail.cutLength = tail.length;
      tail.cutEvents = tail.events;
      tail.wholeBytes = 0;
      this.#cutting.push(tail);
    }
    this.#dirty = this.#dirty.filter(({ dirty }) => dirty);
  }

  /**
   * What must be written before what the views write, or with it, some at a time in this order. No event may be taken from
   * the first to the last, nor between these and the views' states. Good until it is taken again.
   */
  *takeWrites(): IterableIterator<CommitPart> {
    const { writer } = this.#options;
    const dirty = this.#dirty;
    this.#dirty = [];
    if (dirty.length === 0) return;
    let end = 0;
    for (const { length } of dirty) end += length;
    if (end > this.#writing.length) this.#writing = Buffer.allocUnsafeSlow(2 * end);
    const writing = this.#writing;
    let from = 0;
    let metas = this.#takeMetas();
    let states: StateWrite[] = [];
    for (const tail of dirty) {
      tail.dirty = false;
      const { block, at } = tail.place;
      writer.writeHead(block, at, tail.events, tail.lastOffset);
      block.copy(writing, from, at, at + tail.length);
      const bytes = writing.subarray(from, (from += tail.length));
      states.push({ space: this.space, key: tail.key, epoch: 0, offset: tail.lastOffset, bytes });
      if (states.length < TAILS_AT_A_TIME) continue;
      yield { states, metas };
      [states, metas] = [[], []];
    }
    if (states.length > 0) yield { states, metas };
  }

  #takeMetas(): readonly MetaWrite[] {
    if (this.#metasStored) return [];
    this.#metasStored = true;
    return [this.#options.writer.columnsMeta(), { name: this.space, bytes: new Uint8Array([FORMAT_VERSION]) }];
  }

  /** To be called once all commits of a flush are done. */
  endFlush(): void {
    for (const tail of this.#cutting) {
      const { block, at } = tail.place;
      block.copyWithin(at + TAIL_HEAD_BYTES, at + tail.cutLength, at + tail.length);
      tail.length -= tail.cutLength - TAIL_HEAD_BYTES;
      tail.events -= tail.cutEvents;
      tail.cutLength = 0;
      tail.cutEvents = 0;
    }
    this.#cutting = [];
    if (this.#youngBytes > this.#options.bytesMax() / 2) this.#forgetOld();
  }

  /** Entities that have a tail in the store. */
  *storedKeys(): IterableIterator<EntityKey> {
    for (const { key } of this.#options.store.scan(this.space)) yield key;
  }

  #isLong(tail: Tail): boolean {
    const { eventsMax, shareMax } = this.#options.limits;
    if (tail.events > eventsMax) return true;
    if (tail.wholeBytes === 0) {
      for (const member of this.#members) tail.wholeBytes += member.storedBytes(tail.key);
    }
    // Of a new entity there is nothing that a tail could stand behind.
    return tail.wholeBytes === 0 || tail.length > tail.wholeBytes * shareMax;
  }

  #tailOf(key: EntityKey): Tail {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      return this.#keep(old);
    }
    return this.#keep(this.#load(ownKey(key)));
  }

  #load(key: EntityKey): Tail {
    const { reader, writer } = this.#options;
    const stored = reader.read(this.space, key);
    if (stored === null) return this.#tailIn(key, this.#memory.take(TAIL_HEAD_BYTES + ROOM_BYTES));
    const { columnsHash, events, lastOffset } = stored;
    // Once the source has gained columns its rows are written as they are now.
    const rows = (): Uint8Array[] => reader.eventsOf(stored).map((event) => new Uint8Array(writer.encode(event)));
    const bytes =
      columnsHash === writer.columnsHash ? stored.bytes : Buffer.concat([new Uint8Array(TAIL_HEAD_BYTES), ...rows()]);
    const place = this.#memory.take(bytes.length + ROOM_BYTES);
    place.block.set(bytes, place.at);
    return { ...this.#tailIn(key, place), length: bytes.length, events, lastOffset };
  }

  #tailIn(key: EntityKey, place: TailPlaceInMemory): Tail {
    return {
      key,
      place,
      length: TAIL_HEAD_BYTES,
      events: 0,
      lastOffset: Number.NEGATIVE_INFINITY,
      dirty: false,
      cutLength: 0,
      cutEvents: 0,
      wholeBytes: 0,
    };
  }

  #keep(tail: Tail): Tail {
    this.#young.set(tail.key, tail);
    this.#youngBytes += tail.place.room + ENTRY_BYTES;
    return tail;
  }

  /** Those that the store does not have as they are stay. None is being cut at the end of a flush. */
  #forgetOld(): void {
    const former = this.#old;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
    for (const tail of former.values()) {
      if (tail.dirty) this.#keep(tail);
      else this.#memory.leave(tail.place);
    }
  }
}
