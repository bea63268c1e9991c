/**
 * Memory for states of one view that can lie in cells, outside the heap, where the garbage collector does not look: a
 * state as objects costs it more than all that is in it, and a million of them hold everything up for seconds. States
 * are read and folded into where they lie (`PlacedFold`).
 *
 *     chunk:  head, state | head, state | (one that has grown out of its room) | ...   filled from the left
 *
 * Chunks are filled one after another. Once there may be no more of them the oldest is filled anew: what was used since
 * it was put there stays, as long as that is no more than half of the chunk, and the rest is let go. A state that the
 * store does not have as it is, since it was changed in a later round than those that are stored, stays in any case. Such
 * that there is no place for, and those larger than a chunk, are guests: they have chunks of their own, beyond what there
 * may be, until the store has them.
 */
import type { PlacedFold, ViewState } from "../fold/view-fold.ts";
import { ChunkPool } from "./chunk-pool.ts";
import { NO_SLOT } from "./entity-slots.ts";
import {
  CHANGED_IN,
  Chunk,
  cellOf,
  chunkOf,
  copyHead,
  COUNTED_TIME,
  FLAGS,
  HEAD_CELLS,
  NOT_THERE,
  placeOf,
  SIZE,
  SLOT,
  STORED_BYTES,
  USED,
  writeNewHead,
} from "./placed-chunk.ts";

/** Of chunks that are filled anew for a state: where most of what there is has to stay, looking at all takes long. */
const CHUNKS_TRIED_MAX = 2;
/** The same of ones that have states for less than half of them, before there is one more. */
const CHUNKS_REUSED_TRIES = 4;

export interface PlacedMemoryOptions<S extends ViewState> {
  readonly placed: PlacedFold<S>;
  readonly countMax: number;
  /** Asked each time, as it may change. */
  readonly bytesMax: () => number;
  /** Told of each state that is let go to make room. */
  letGo(slot: number): void;
}

export class PlacedMemory<S extends ViewState> {
  readonly #options: PlacedMemoryOptions<S>;
  readonly #pool: ChunkPool<S>;
  /** Those of the pool, by number: an event need not ask it for them. */
  readonly #chunks: readonly (Chunk | null)[];
  /** By slot: chunk and first cell. */
  #places = new Int32Array(1024).fill(NOT_THERE);
  /** Those that are not of guests, as numbers of chunks. */
  readonly #main: number[] = [];
  #filling = -1;
  /** In `#main`, the one that is to be filled anew next. */
  #oldest = 0;
  /** In `#main`, the one that was looked at last for room that is nobody's. */
  #hand = 0;
  /** How many chunks there might be when one was last filled anew. */
  #fullAt = 0;
  /** Since `relax` was last called: there was no room in chunks that were filled anew. */
  #isCrowded = false;
  #mainCount = 0;
  /** Cells of states in the chunks of `#main`. */
  #mainLive = 0;
  #guestCount = 0;
  readonly #mover: S;
  /** What was changed in this round of changes or before is in the store. */
  storedRound = 0;
  /** Of the state that was found or put last. */
  #cells: Float64Array = new Float64Array(0);
  #at = 0;

  constructor(options: PlacedMemoryOptions<S>) {
    this.#options = options;
    this.#pool = new ChunkPool(options);
    this.#chunks = this.#pool.all;
    this.#mover = options.placed.cursor();
  }

  get count(): number {
    return this.#mainCount + this.#guestCount;
  }

  /** Of all chunks, whatever is in them. */
  get bytes(): number {
    let cells = 0;
    for (const chunk of this.#chunks) cells += chunk?.cells.length ?? 0;
    return 8 * cells;
  }

  /** Whether what is put takes the place of others, or of ones that were let go together for it and more. */
  get isFull(): boolean {
    return this.#fullAt >= this.#pool.countMax;
  }

  /** Whether there is a state of the entity; what is said below of "the state" is from now on said of it. */
  find(slot: number): boolean {
    if (slot < 0 || slot >= this.#places.length) return false;
    const place = this.#places[slot]!;
    if (place === NOT_THERE) return false;
    this.#cells = this.#chunks[chunkOf(place)]!.cells;
    this.#at = cellOf(place);
    return true;
  }

  /** The state, used; good as `PlacedFold.open` says, and until anything is put. */
  open(cursor: S): S {
    this.#cells[this.#at + FLAGS] = this.flags | USED;
    return this.#options.placed.open(this.#cells, this.#at + HEAD_CELLS, cursor);
  }

  /** As `PlacedFold.settle`. */
  settle(cursor: S): boolean {
    return this.#options.placed.settle(cursor, this.#cells, this.#at + HEAD_CELLS);
  }

  get flags(): number {
    return this.#cells[this.#at + FLAGS]! | 0;
  }

  set flags(flags: number) {
    this.#cells[this.#at + FLAGS] = flags;
  }

  /** Number of the round in which the state was changed last; 0 where it never was. */
  get changedIn(): number {
    return this.#cells[this.#at + CHANGED_IN]!;
  }

  set changedIn(round: number) {
    this.#cells[this.#at + CHANGED_IN] = round;
  }

  /** Encoded size of the state when it was last read or written; 0 where it never was. */
  get storedBytes(): number {
    return this.#cells[this.#at + STORED_BYTES]!;
  }

  set storedBytes(bytes: number) {
    this.#cells[this.#at + STORED_BYTES] = bytes;
  }

  /** Of its last event, as the totals count it. */
  get countedTime(): number {
    return this.#cells[this.#at + COUNTED_TIME]!;
  }

  set countedTime(time: number) {
    this.#cells[this.#at + COUNTED_TIME] = time;
  }

  /** Whether a state that is there is a guest. */
  isGuest(slot: number): boolean {
    return this.#chunks[chunkOf(this.#places[slot]!)]!.isOfGuests;
  }

  /**
   * Puts a state in place of the one that was there, whose head it takes over. False where there is no room for it:
   * then nothing is changed. As a guest there always is, and nothing is let go for it. One that is there must be one
   * that stays.
   */
  put(slot: number, state: S, isGuest: boolean): boolean {
    const size = HEAD_CELLS + this.#options.placed.cellsWithRoom(state);
    const number = isGuest ? this.#pool.forGuest(size, state) : this.#chunkFor(size, state);
    if (number === NOT_THERE) return false;
    const { cells, end } = this.#chunks[number]!;
    const former = this.find(slot) ? this.#places[slot]! : NOT_THERE;
    if (former === NOT_THERE) writeNewHead(cells, end);
    else copyHead(this.#cells, this.#at, cells, end);
    this.#add(number, slot, size);
    this.#options.placed.put(state, cells, end + HEAD_CELLS, size - HEAD_CELLS);
    // Not before: what was put may lie there.
    if (former !== NOT_THERE) this.#leave(former);
    this.find(slot);
    return true;
  }

  /** To be called once states that had to stay need not any more. */
  relax(): void {
    this.#isCrowded = false;
  }

  remove(slot: number): void {
    const place = this.#places[slot]!;
    this.#places[slot] = NOT_THERE;
    this.#leave(place);
  }

  /** Slots of all guests. */
  guestSlots(): number[] {
    const slots: number[] = [];
    if (this.#guestCount === 0) return slots;
    for (const chunk of this.#chunks) if (chunk?.isOfGuests === true) chunk.addSlotsTo(slots);
    return slots;
  }

  /** Slots of all states that are there, found as they are asked for: nothing may be put or removed meanwhile. */
  *slots(): IterableIterator<number> {
    const places = this.#places;
    for (let slot = 0; slot < places.length; slot++) if (places[slot] !== NOT_THERE) yield slot;
  }

  /** A place whose state is nobody's, or elsewhere by now. */
  #leave(place: number): void {
    const number = chunkOf(place);
    const chunk = this.#chunks[number]!;
    const at = cellOf(place);
    chunk.cells[at + SLOT] = NO_SLOT;
    chunk.live -= chunk.cells[at + SIZE]!;
    chunk.count--;
    if (!chunk.isOfGuests) {
      this.#mainCount--;
      this.#mainLive -= chunk.cells[at + SIZE]!;
      return;
    }
    this.#guestCount--;
    if (chunk.count === 0) this.#pool.emptied(number);
  }

  #add(number: number, slot: number, size: number): void {
    const chunk = this.#chunks[number]!;
    if (slot >= this.#places.length) this.#makeRoomForSlot(slot);
    this.#places[slot] = placeOf(number, chunk.end);
    chunk.cells[chunk.end + SIZE] = size;
    chunk.cells[chunk.end + SLOT] = slot;
    chunk.end += size;
    chunk.live += size;
    chunk.count++;
    if (chunk.isOfGuests) this.#guestCount++;
    else {
      this.#mainCount++;
      this.#mainLive += size;
    }
  }

  #makeRoomForSlot(slot: number): void {
    const grown = new Int32Array(2 * slot).fill(NOT_THERE);
    grown.set(this.#places);
    this.#places = grown;
  }

  #chunkFor(size: number, state: S): number {
    const pool = this.#pool;
    if (!pool.mayHold(size)) return NOT_THERE;
    const max = pool.countMax;
    const { countMax } = this.#options;
    while (this.#main.length > max) this.#turnIntoGuests(this.#main.pop()!);
    if (this.#filling !== -1 && this.#mainCount < countMax && pool.hasRoom(this.#chunks[this.#filling]!, size)) {
      return this.#filling;
    }
    const reused = this.#mainCount < countMax ? this.#chunkToReuse(size, state) : NOT_THERE;
    if (reused !== NOT_THERE) return (this.#filling = reused);
    if (this.#main.length === 0 || (this.#main.length < max && this.#mainCount < countMax)) {
      this.#filling = pool.make(pool.takeCells(state), false);
      this.#main.push(this.#filling);
      return this.#filling;
    }
    this.#fullAt = max;
    if (this.#isCrowded) return NOT_THERE;
    // One that others have left may have had nothing to let go, and one whose states all stay has no room.
    for (let tries = 0; tries < CHUNKS_TRIED_MAX; tries++) {
      this.#oldest = (this.#oldest + 1) % this.#main.length;
      const number = this.#main[this.#oldest]!;
      const oldest = this.#chunks[number]!;
      this.#fillAnew(number, 0.5, state);
      if (!pool.hasRoom(oldest, size) || this.#mainCount >= countMax) this.#fillAnew(number, 0, state);
      if (pool.hasRoom(oldest, size) && this.#mainCount < countMax) {
        this.#filling = number;
        return number;
      }
      // What is left in it has to stay.
      if (oldest.count > 0) this.#isCrowded = true;
    }
    return NOT_THERE;
  }

  /** Where states that moved have left most of what there is, that is used again before there is more. Nothing is let go. */
  #chunkToReuse(size: number, state: S): number {
    const half = this.#pool.chunkCells / 2;
    if (this.#mainLive >= this.#main.length * half) return NOT_THERE;
    for (let tries = Math.min(CHUNKS_REUSED_TRIES, this.#main.length); tries > 0; tries--) {
      this.#hand = (this.#hand + 1) % this.#main.length;
      const number = this.#main[this.#hand]!;
      const chunk = this.#chunks[number]!;
      if (chunk.live >= half || chunk.count >= this.#pool.chunkEntries / 2) continue;
      this.#fillAnew(number, 0.5, state);
      if (this.#pool.hasRoom(chunk, size)) return number;
    }
    return NOT_THERE;
  }

  /** Where there is less memory than there was: what stays is there until the store has it. */
  #turnIntoGuests(number: number): void {
    const { cells, end } = this.#chunks[number]!;
    if (number === this.#filling) this.#filling = -1;
    let staying = 0;
    const guests = new Chunk(cells, true);
    guests.end = end;
    for (let at = 0; at < end; at += cells[at + SIZE]!) {
      const slot = cells[at + SLOT]!;
      if (slot === NO_SLOT) continue;
      this.#mainCount--;
      this.#mainLive -= cells[at + SIZE]!;
      if (cells[at + CHANGED_IN]! <= this.storedRound) {
        cells[at + SLOT] = NO_SLOT;
        this.#places[slot] = NOT_THERE;
        this.#options.letGo(slot);
        continue;
      }
      staying++;
      guests.live += cells[at + SIZE]!;
    }
    guests.count = staying;
    this.#guestCount += staying;
    if (staying === 0) this.#pool.remove(number);
    else this.#pool.all[number] = guests;
  }

  /**
   * Moves together what stays, and what was used, where that is no more than such a share of the chunk. Where no more
   * than half of it is anyone's, nobody is let go as long as there is any share.
   */
  #fillAnew(number: number, keptShare: number, state: S): void {
    const chunk = this.#chunks[number]!;
    const { cells, end } = chunk;
    const into = this.#pool.takeCells(state);
    const cellsMax = this.#pool.chunkCells * keptShare;
    const countMax = this.#pool.chunkEntries * keptShare;
    const keepsAll = chunk.live <= cellsMax && chunk.count <= countMax;
    chunk.cells = into;
    chunk.end = 0;
    this.#mainLive -= chunk.live;
    chunk.live = 0;
    this.#mainCount -= chunk.count;
    chunk.count = 0;
    for (let at = 0; at < end; at += cells[at + SIZE]!) {
      const slot = cells[at + SLOT]!;
      if (slot === NO_SLOT) continue;
      const flags = cells[at + FLAGS]!;
      const size = cells[at + SIZE]!;
      const isKept = keepsAll || ((flags & USED) !== 0 && chunk.end + size <= cellsMax && chunk.count < countMax);
      if (isKept || cells[at + CHANGED_IN]! > this.storedRound) this.#move(number, cells, at);
      else {
        this.#places[slot] = NOT_THERE;
        this.#options.letGo(slot);
      }
    }
    this.#pool.leaveCells(cells);
  }

  /** To the end of a chunk, into no more room than the state had. */
  #move(number: number, cells: Float64Array, at: number): void {
    const { placed } = this.#options;
    const chunk = this.#chunks[number]!;
    const to = chunk.end;
    const state = placed.open(cells, at + HEAD_CELLS, this.#mover);
    const size = Math.min(cells[at + SIZE]!, HEAD_CELLS + placed.cellsWithRoom(state));
    this.#add(number, cells[at + SLOT]!, size);
    copyHead(cells, at, chunk.cells, to);
    chunk.cells[to + FLAGS] = cells[at + FLAGS]! & ~USED;
    placed.put(state, chunk.cells, to + HEAD_CELLS, size - HEAD_CELLS);
  }
}
