/**
 * Memory for states of entities that were read or changed lately, shared out to the views in equal parts: what one
 * view does not need is not another's, so that no view's reads depend on how busy the others are.
 */
import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";

/** Of what the heap may grow to, for states that lie on it: more than half is left to everything else. */
const HEAP_SHARE = 0.4;
/** Of the memory that there is, for states beside the heap: the system keeps files in the rest, the store's among them. */
const SYSTEM_SHARE = 0.25;

export class StateMemory {
  /** Beside the heap. */
  readonly bytesMax: number;
  readonly heapBytesMax: number;
  #viewCount = 1;

  /** So many bytes, on the heap or beside it. */
  constructor(bytesMax?: number) {
    this.heapBytesMax = bytesMax ?? getHeapStatistics().heap_size_limit * HEAP_SHARE;
    this.bytesMax = bytesMax ?? Math.max(this.heapBytesMax, systemBytes() * SYSTEM_SHARE);
  }

  /** Of the views that are run, whether they are read or not. */
  set viewCount(count: number) {
    this.#viewCount = Math.max(1, count);
  }

  get bytesPerView(): number {
    return this.bytesMax / this.#viewCount;
  }

  get heapBytesPerView(): number {
    return this.heapBytesMax / this.#viewCount;
  }
}

/** What the machine has, or less where the process may have no more. */
function systemBytes(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 ? Math.min(totalmem(), allowed) : totalmem();
}

/** Of answers that are kept, off the heap: as much again as an eighth of it. */
export function keptVectorsBytesDefault(): number {
  return Math.floor(getHeapStatistics().heap_size_limit / 8);
}
