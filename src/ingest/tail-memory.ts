/**
 * Memory for tails: places in large blocks, each of one of a few sizes, so that a hundred thousand tails are a few buffers
 * to the garbage collector, and one that grows or goes leaves its place to the next.
 */
import { offHeapBytes } from "../base/off-heap.ts";

const BLOCK_BYTES = 1024 * 1024;
const PLACE_BYTES_MIN = 128;

/** Bytes `[at, at + room)` of a block. */
export interface TailPlaceInMemory {
  readonly block: Buffer;
  readonly at: number;
  readonly room: number;
}

export class TailMemory {
  /** By the power of two that their room is. */
  readonly #free: TailPlaceInMemory[][] = [];
  #block: Buffer = Buffer.alloc(0);
  #used = 0;

  /** A place for at least so many bytes. What is in it is of no meaning. */
  take(bytes: number): TailPlaceInMemory {
    const power = powerFor(bytes);
    const left = this.#free[power]?.pop();
    if (left !== undefined) return left;
    const room = 2 ** power;
    // As large as a block or larger: a block of its own.
    if (room >= BLOCK_BYTES) return { block: offHeapBytes(room), at: 0, room };
    if (this.#used + room > this.#block.length) {
      this.#leaveRest();
      this.#block = offHeapBytes(BLOCK_BYTES);
      this.#used = 0;
    }
    const place = { block: this.#block, at: this.#used, room };
    this.#used += room;
    return place;
  }

  /** For the next one that needs such; nobody may use it any more. */
  leave(place: TailPlaceInMemory): void {
    if (place.room >= BLOCK_BYTES) return;
    (this.#free[powerFor(place.room)] ??= []).push(place);
  }

  /** What is left of a block that has no room for the next place is room for smaller ones. */
  #leaveRest(): void {
    const block = this.#block;
    for (let at = this.#used; at < block.length;) {
      let room = BLOCK_BYTES / 2;
      while (room > block.length - at) room /= 2;
      if (room < PLACE_BYTES_MIN) return;
      this.leave({ block, at, room });
      at += room;
    }
  }
}

function powerFor(bytes: number): number {
  return Math.max(Math.log2(PLACE_BYTES_MIN), Math.ceil(Math.log2(bytes)));
}
