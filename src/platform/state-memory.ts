/**
 * Memory for states of entities that were read or changed lately, shared out to the views in equal parts: what one
 * view does not need is not another's, so that no view's reads depend on how busy the others are.
 */
import { getHeapStatistics } from "node:v8";

/** Most of it is beside the heap; where all of it is on it, more than half is left to everything else. */
const HEAP_SHARE = 0.4;

export class StateMemory {
  readonly bytesMax: number;
  #viewCount = 1;

  constructor(bytesMax: number = getHeapStatistics().heap_size_limit * HEAP_SHARE) {
    this.bytesMax = bytesMax;
  }

  /** Of the views that are run, whether they are read or not. */
  set viewCount(count: number) {
    this.#viewCount = Math.max(1, count);
  }

  get bytesPerView(): number {
    return this.bytesMax / this.#viewCount;
  }
}

/** Of answers that are kept, off the heap: as much again as an eighth of it. */
export function keptVectorsBytesDefault(): number {
  return Math.floor(getHeapStatistics().heap_size_limit / 8);
}
