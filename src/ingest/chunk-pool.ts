/**
 * The chunks of one view's memory by their numbers: how large they are, which of them has room, and whose cells are used
 * again. And those of guests, which are filled one after another, as many as there are guests for.
 */
import { OnefoldError } from "../base/errors.ts";
import { offHeapCells } from "../base/off-heap.ts";
import type { PlacedFold, ViewState } from "../fold/view-fold.ts";
import { Chunk, CHUNK_CELLS_MAX, CHUNKS_MAX } from "./placed-chunk.ts";

const GUEST_CHUNK_CELLS_MIN = 8192;
/** A chunk is no more than this part of all, so that what is let go at once is little. */
const CHUNKS_MIN = 16;
const CHUNK_ENTRIES_MAX = 8192;
/** What an entry takes beside its cells, in the tables of entities. */
const ENTRY_CELLS = 12;

export interface ChunkPoolOptions<S extends ViewState> {
  readonly placed: Pick<PlacedFold<S>, "liesIn">;
  readonly countMax: number;
  /** Asked each time, as it may change. */
  readonly bytesMax: () => number;
}

export class ChunkPool<S extends ViewState> {
  readonly #options: ChunkPoolOptions<S>;
  /** By number; null where there is none of it. */
  readonly all: (Chunk | null)[] = [];
  /** Cells and entries of a chunk, but for those of guests. */
  readonly chunkCells: number;
  readonly chunkEntries: number;
  readonly #free: number[] = [];
  #fillingGuests = -1;
  /** Cells of a chunk that was filled anew, for the next. */
  #spare: Float64Array | null = null;

  constructor(options: ChunkPoolOptions<S>) {
    const { countMax, bytesMax } = options;
    this.#options = options;
    this.chunkCells = Math.max(ENTRY_CELLS, Math.min(CHUNK_CELLS_MAX, Math.floor(bytesMax() / 8 / CHUNKS_MIN)));
    this.chunkEntries = Math.max(1, Math.min(CHUNK_ENTRIES_MAX, Math.floor(countMax / CHUNKS_MIN)));
  }

  /** How many there may be that are not of guests. */
  get countMax(): number {
    const most = Math.floor(this.#options.bytesMax() / 8 / this.chunkCells);
    // There are as many numbers again for guests.
    return Math.max(1, Math.min(CHUNKS_MAX >> 1, most));
  }

  /** Whether a state of so many cells, with its head, is not too large for any. */
  mayHold(size: number): boolean {
    return size + ENTRY_CELLS <= this.chunkCells;
  }

  hasRoom({ count, end }: Chunk, size: number): boolean {
    return count < this.chunkEntries && end + size + (count + 1) * ENTRY_CELLS <= this.chunkCells;
  }

  /** Cells for a chunk. `state` is yet to be copied, and may lie in a chunk that was filled anew for it. */
  takeCells(state: S): Float64Array {
    return this.#takeSpare(state) ?? offHeapCells(this.chunkCells);
  }

  #takeSpare(state: S): Float64Array | null {
    const spare = this.#spare;
    if (spare === null || this.#options.placed.liesIn(state, spare)) return null;
    this.#spare = null;
    return spare;
  }

  /** They are those of no chunk any more. */
  leaveCells(cells: Float64Array): void {
    this.#spare = cells;
  }

  /** Returns its number. */
  make(cells: Float64Array, isOfGuests: boolean): number {
    const number = this.#free.pop() ?? this.all.length;
    // A place has no bits for more; another's state would be found there.
    if (number >= CHUNKS_MAX)
      throw new OnefoldError("INTERNAL", `states in memory take more than ${CHUNKS_MAX} chunks`);
    this.all[number] = new Chunk(cells, isOfGuests);
    return number;
  }

  remove(number: number): void {
    const { cells } = this.all[number]!;
    if (this.#spare === null && cells.length === this.chunkCells) this.#spare = cells;
    this.all[number] = null;
    this.#free.push(number);
  }

  /** One that has room for a guest. */
  forGuest(size: number, state: S): number {
    const present = this.#fillingGuests === -1 ? null : this.all[this.#fillingGuests]!;
    if (present !== null && present.hasRoomForGuest(size)) return this.#fillingGuests;
    const last = this.#fillingGuests;
    // As large as that however small the memory is: there are no numbers for a chunk for each of very many guests.
    const wanted = Math.max(size, GUEST_CHUNK_CELLS_MIN);
    // Guests come and go: what they leave is garbage that V8 is to count.
    const cells =
      wanted > this.chunkCells
        ? new Float64Array(wanted)
        : (this.#takeSpare(state) ?? new Float64Array(this.chunkCells));
    this.#fillingGuests = this.make(cells, true);
    if (present !== null && present.count === 0) this.remove(last);
    return this.#fillingGuests;
  }

  /** The last guest that was in it has left. */
  emptied(number: number): void {
    if (number === this.#fillingGuests) this.all[number]!.end = 0;
    else this.remove(number);
  }
}
