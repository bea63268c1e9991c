/**
 * The bucket list: one entity's events in the order of (effective time, offset), from which every windowed
 * feature of its view is read.
 *
 *     | merged bucket | merged bucket | ... | raw | raw | raw | raw |      time ->
 *       older, one group of cells each          newest, one raw record each
 *
 * A fresh event is a raw record. Compaction, which runs when the list has grown to `compactAt`, keeps the
 * newest `exactEvents` records raw, turns older ones into buckets, merges neighbouring buckets that lie in
 * one cell of the hop ladder, and drops what no window can reach any more. It looks at the list alone, never
 * at a clock or a read, so the same events give the same list at any batch size.
 *
 * Invariants: a bucket's last time is at most the next one's first; where buckets exist there are at least
 * `exactEvents` raw records; no window's bucket spans more than that window's hop.
 */
import type { Cells } from "./accumulator.ts";
import type { BucketLayout } from "./bucket-layout.ts";
import { mergeNeighbours } from "./bucket-merge.ts";
import { firstLater } from "./time-search.ts";

/** What a list that lies in somebody's cells says of itself there. */
export const PLACED_LIST_CELLS = 10;

/** The list grows by this many entries between compactions. */
export const COMPACTION_STEP = 64;

const NO_NUMBERS: Float64Array = new Float64Array(0);

/** Where a window begins in the list. */
export interface WindowCut {
  /** First bucket (counted from `bucketStart`) and first raw record (from `rawStart`) inside the window. */
  bucket: number;
  raw: number;
  /** The true left edge, exclusive. */
  windowStart: number;
}

export class BucketList {
  /** Merged buckets, oldest first, from bucket `bucketStart`. */
  buckets: Cells = { numbers: NO_NUMBERS, objects: [] };
  bucketStart: number = 0;
  bucketCount: number = 0;
  /** Where in the array there is room for buckets: the first place, and the one behind the last. */
  #bucketRoom = 0;
  #bucketRoomEnd = 0;
  /** Raw records, oldest first, from record `rawStart`. */
  raw: Cells = { numbers: NO_NUMBERS, objects: [] };
  rawStart: number = 0;
  rawCount: number = 0;
  /** The same for raw records. */
  #rawRoom = 0;
  #rawRoomEnd = 0;
  /** Length at which the next compaction runs. */
  compactAt: number = COMPACTION_STEP;
  /**
   * Newest event time at the last compaction since which no bucket was put between others; -Infinity where that
   * is not known. Only spares looking again: whether it is known changes no result.
   */
  #settledAt: number = Number.NEGATIVE_INFINITY;

  clear(): void {
    this.buckets = { numbers: NO_NUMBERS, objects: [] };
    this.bucketStart = 0;
    this.bucketCount = 0;
    this.#bucketRoom = 0;
    this.#bucketRoomEnd = 0;
    this.raw = { numbers: NO_NUMBERS, objects: [] };
    this.rawStart = 0;
    this.rawCount = 0;
    this.#rawRoom = 0;
    this.#rawRoomEnd = 0;
    this.compactAt = COMPACTION_STEP;
    this.#settledAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * Goes on from a list that was stored, whose cells stand at the beginning of arrays of its own; or, given `from`, in one
   * array for both: buckets from the first multiple of a bucket's cells on that is no less, raw records behind them.
   */
  restart(
    { stride, rawStride }: BucketLayout,
    compactAt: number,
    bucketCount: number,
    rawCount: number,
    from: number | null,
  ): void {
    const bucketRoom = Math.ceil((from ?? 0) / stride);
    const bucketRoomEnd = from === null ? this.buckets.numbers.length / stride : bucketRoom + bucketCount;
    // As in `open`: and what the compiler does not know for whole numbers takes memory of its own, each.
    const wholeCompactAt = compactAt | 0;
    this.compactAt = Object.is(wholeCompactAt, compactAt) ? wholeCompactAt : compactAt;
    this.bucketStart = bucketRoom | 0;
    this.bucketCount = bucketCount | 0;
    this.#bucketRoom = this.bucketStart;
    this.#bucketRoomEnd = bucketRoomEnd | 0;
    this.rawStart = from === null ? 0 : Math.ceil((this.#bucketRoomEnd * stride) / rawStride) | 0;
    this.rawCount = rawCount | 0;
    this.#rawRoom = this.rawStart;
    this.#rawRoomEnd = (this.raw.numbers.length / rawStride) | 0;
    this.#settledAt = Number.NEGATIVE_INFINITY;
  }

  /** Copies the list into the cells from `from` to `end`, and to `at` what `open` needs. None of it may be objects. */
  copyTo({ stride, rawStride }: BucketLayout, cells: Float64Array, at: number, from: number, end: number): void {
    const bucketRoom = Math.ceil(from / stride);
    const bucketRoomEnd = bucketRoom + this.bucketCount;
    const rawRoom = Math.ceil((bucketRoomEnd * stride) / rawStride);
    copyCells(this.buckets.numbers, this.bucketStart * stride, this.bucketCount * stride, cells, bucketRoom * stride);
    copyCells(this.raw.numbers, this.rawStart * rawStride, this.rawCount * rawStride, cells, rawRoom * rawStride);
    cells[at] = this.compactAt;
    cells[at + 1] = bucketRoom;
    cells[at + 2] = this.bucketCount;
    cells[at + 3] = bucketRoom;
    cells[at + 4] = bucketRoomEnd;
    cells[at + 5] = rawRoom;
    cells[at + 6] = this.rawCount;
    cells[at + 7] = rawRoom;
    // Not what fits in here, as that may be more than where it is moved to.
    cells[at + 8] = rawRoom + Math.floor((end - from - (this.bucketCount + 1) * stride - rawStride + 2) / rawStride);
    cells[at + 9] = this.#settledAt;
  }

  /** Stands from now on for a list that lies in somebody's cells. */
  open(cells: Float64Array, at: number): void {
    // Whole numbers that the compiler knows for such: places are reckoned with all the time.
    this.compactAt = cells[at]! | 0;
    this.bucketStart = cells[at + 1]! | 0;
    this.bucketCount = cells[at + 2]! | 0;
    this.#bucketRoom = cells[at + 3]! | 0;
    this.#bucketRoomEnd = cells[at + 4]! | 0;
    this.rawStart = cells[at + 5]! | 0;
    this.rawCount = cells[at + 6]! | 0;
    this.#rawRoom = cells[at + 7]! | 0;
    this.#rawRoomEnd = cells[at + 8]! | 0;
    this.#settledAt = cells[at + 9]!;
    this.buckets.numbers = cells;
    this.raw.numbers = cells;
  }

  /** Says in the cells where it was opened what it is now; false where it has grown out of them. */
  settle(cells: Float64Array, at: number): boolean {
    if (this.buckets.numbers !== cells || this.raw.numbers !== cells) return false;
    cells[at] = this.compactAt;
    cells[at + 1] = this.bucketStart;
    cells[at + 2] = this.bucketCount;
    cells[at + 5] = this.rawStart;
    cells[at + 6] = this.rawCount;
    cells[at + 9] = this.#settledAt;
    return true;
  }

  /**
   * The bucket a late event at `time` falls strictly inside of, by its place in the array, or -1 where the event
   * gets a place of its own.
   */
  bucketAround(layout: BucketLayout, time: number): number {
    const before = this.#lastBucketFrom(layout, time);
    const isInside = before >= this.bucketStart && time < this.buckets.numbers[before * layout.stride + 1]!;
    return isInside ? before : -1;
  }

  /** Takes up the raw record at cell 0 of `record`, whose offset is behind all others. */
  insert(layout: BucketLayout, record: Cells, newestTime: number): void {
    const time = record.numbers[0]!;
    const { rawStride } = layout;
    if (this.rawCount > 0 && time >= this.raw.numbers[(this.rawStart + this.rawCount - 1) * rawStride]!) {
      this.#insertRaw(layout, this.rawCount, record);
    } else if (this.#belongsToBuckets(layout, time)) {
      this.#insertIntoBuckets(layout, record, time);
    } else {
      this.#insertRaw(layout, this.#firstRawAfter(layout, time), record);
    }
    if (this.bucketCount + this.rawCount >= this.compactAt) {
      this.#compact(layout, newestTime);
      this.compactAt = this.bucketCount + this.rawCount + COMPACTION_STEP;
    }
  }

  /** Finds where the window that begins behind `edge` starts: at `edge`, or behind the bucket astride it. */
  cut(layout: BucketLayout, edge: number, into: WindowCut): void {
    const { stride } = layout;
    const { numbers } = this.buckets;
    const end = this.bucketStart + this.bucketCount;
    let bucket = this.firstBucketAfter(layout, edge);
    let windowStart = edge;
    // a bucket that begins at or before the edge is left out, and with it all that ties with its end
    while (bucket < end && numbers[bucket * stride]! <= windowStart) {
      windowStart = numbers[bucket * stride + 1]!;
      bucket++;
    }
    into.bucket = bucket - this.bucketStart;
    into.raw = bucket < end ? 0 : this.#firstRawAfter(layout, windowStart);
    into.windowStart = windowStart;
  }

  /** Time of the oldest event in a window, by where the window was cut; Infinity where it has none. */
  oldestIn(layout: BucketLayout, { bucket, raw }: WindowCut): number {
    if (bucket < this.bucketCount) return this.buckets.numbers[(this.bucketStart + bucket) * layout.stride]!;
    if (raw < this.rawCount) return this.raw.numbers[(this.rawStart + raw) * layout.rawStride]!;
    return Number.POSITIVE_INFINITY;
  }

  /** Place in the array of the first bucket that ends behind `time`. */
  firstBucketAfter(layout: BucketLayout, time: number): number {
    const { stride } = layout;
    const { numbers } = this.buckets;
    const low = this.bucketStart;
    const high = low + this.bucketCount;
    if (high === low || numbers[(high - 1) * stride + 1]! <= time) return high;
    return firstLater(numbers, stride, 1, low, high - 1, time);
  }

  #belongsToBuckets(layout: BucketLayout, time: number): boolean {
    if (this.bucketCount === 0) return false;
    if (this.rawCount > 0) return time < this.raw.numbers[this.rawStart * layout.rawStride]!;
    return time < this.buckets.numbers[(this.bucketStart + this.bucketCount - 1) * layout.stride + 1]!;
  }

  /** Index of the first raw record later than `time`, counted from `rawStart`. */
  #firstRawAfter({ rawStride }: BucketLayout, time: number): number {
    const low = this.rawStart;
    return firstLater(this.raw.numbers, rawStride, 0, low, low + this.rawCount, time) - low;
  }

  /** Place in the array of the last bucket that begins at or before `time`; less than `bucketStart` where none does. */
  #lastBucketFrom(layout: BucketLayout, time: number): number {
    if (!this.#belongsToBuckets(layout, time)) return -1;
    const low = this.bucketStart;
    return firstLater(this.buckets.numbers, layout.stride, 0, low, low + this.bucketCount, time) - 1;
  }

  #insertRaw(layout: BucketLayout, index: number, record: Cells): void {
    const { rawStride, rawObjectStride } = layout;
    if (this.rawStart + this.rawCount >= this.#rawRoomEnd) this.#makeRoomForRaw(layout);
    const { numbers, objects } = this.raw;
    const at = (this.rawStart + index) * rawStride;
    const end = (this.rawStart + this.rawCount) * rawStride;
    if (at !== end) numbers.copyWithin(at + rawStride, at, end);
    for (let i = 0; i < rawStride; i++) numbers[at + i] = record.numbers[i]!;
    if (rawObjectStride > 0) {
      const objectAt = (this.rawStart + index) * rawObjectStride;
      if (index < this.rawCount) objects.splice(objectAt, 0, ...record.objects.slice(0, rawObjectStride));
      else for (let i = 0; i < rawObjectStride; i++) objects[objectAt + i] = record.objects[i];
    }
    this.rawCount++;
  }

  /** Moves the records to the front where half the room is free, else makes it larger by a quarter. */
  #makeRoomForRaw(layout: BucketLayout): void {
    const { rawStride, rawObjectStride } = layout;
    const from = this.rawStart * rawStride;
    const to = from + this.rawCount * rawStride;
    const free = this.rawStart - this.#rawRoom;
    if (free > 0 && free >= this.rawCount) {
      this.raw.numbers.copyWithin(this.#rawRoom * rawStride, from, to);
    } else {
      const room = this.rawCount + 4 + (this.rawCount >> 2);
      const grown = new Float64Array(room * rawStride);
      grown.set(this.raw.numbers.subarray(from, to));
      this.raw.numbers = grown;
      this.#rawRoom = 0;
      this.#rawRoomEnd = room;
    }
    // Lists with objects lie in arrays of their own, whose room begins at 0.
    if (rawObjectStride > 0 && this.rawStart > 0) this.raw.objects.splice(0, this.rawStart * rawObjectStride);
    this.rawStart = this.#rawRoom;
  }

  #insertIntoBuckets(layout: BucketLayout, record: Cells, time: number): void {
    const { accumulators, stride, objectStride } = layout;
    const around = this.bucketAround(layout, time);
    if (around >= 0) {
      this.buckets.numbers[around * stride + 2]! += 1;
      for (let i = 0; i < accumulators.length; i++) {
        accumulators[i]!.add(this.buckets, around * stride, around * objectStride, record, 0, 0);
      }
      return;
    }
    this.#makeRoomForBuckets(layout, 1);
    const index = Math.max(this.#lastBucketFrom(layout, time) + 1, this.bucketStart);
    const { numbers, objects } = this.buckets;
    numbers.copyWithin((index + 1) * stride, index * stride, (this.bucketStart + this.bucketCount) * stride);
    if (objectStride > 0) {
      objects.splice(index * objectStride, 0, ...Array.from<unknown>({ length: objectStride }).fill(null));
    }
    this.bucketCount++;
    this.#settledAt = Number.NEGATIVE_INFINITY;
    this.#startBuckets(layout, index, record, 0, 1);
  }

  /** Makes the buckets from `index` on hold one event each, those of the raw records [begin, end). */
  #startBuckets(layout: BucketLayout, index: number, raw: Cells, begin: number, end: number): void {
    const { accumulators, stride, rawStride } = layout;
    const { numbers } = this.buckets;
    for (let i = begin, at = index * stride; i < end; i++, at += stride) {
      const time = raw.numbers[i * rawStride]!;
      numbers[at] = time;
      numbers[at + 1] = time;
      numbers[at + 2] = 1;
    }
    for (let i = 0; i < accumulators.length; i++) {
      accumulators[i]!.startEach(this.buckets, index, raw, begin, end, layout);
    }
  }

  /** Moves the buckets to the front where that frees a quarter of the room, else doubles it. */
  #makeRoomForBuckets(layout: BucketLayout, more: number): void {
    const { stride, objectStride } = layout;
    const { numbers, objects } = this.buckets;
    if (this.bucketStart + this.bucketCount + more <= this.#bucketRoomEnd) return;
    const from = this.bucketStart * stride;
    const to = from + this.bucketCount * stride;
    if ((this.bucketCount + more) * 4 <= (this.#bucketRoomEnd - this.#bucketRoom) * 3) {
      numbers.copyWithin(this.#bucketRoom * stride, from, to);
    } else {
      const room = Math.max(this.bucketCount + more, this.bucketCount * 2);
      const grown = new Float64Array(room * stride);
      grown.set(numbers.subarray(from, to));
      this.buckets.numbers = grown;
      this.#bucketRoom = 0;
      this.#bucketRoomEnd = room;
    }
    if (objectStride > 0 && this.bucketStart > 0) objects.splice(0, this.bucketStart * objectStride);
    this.bucketStart = this.#bucketRoom;
  }

  #compact(layout: BucketLayout, newestTime: number): void {
    const { windows, lastEvents } = layout;
    const longest = windows.length === 0 ? 0 : windows[windows.length - 1]!;
    // an event at or before this is outside every time window, now and for ever
    const expired = newestTime - longest;
    const retired = this.#retireRaw(layout, expired);
    this.#dropRaw(layout, this.#countExpiredRaw(layout, expired, this.rawCount - lastEvents));
    this.#dropBuckets(layout, this.firstBucketAfter(layout, expired) - this.bucketStart);
    if (this.bucketCount > 0) {
      this.bucketCount = mergeNeighbours(layout, this, { newestTime, settledAt: this.#settledAt, retired });
    }
    this.#settledAt = newestTime;
  }

  /** Turns all raw records but the newest `exactEvents` into buckets, the expired ones into nothing. Returns how many buckets. */
  #retireRaw(layout: BucketLayout, expired: number): number {
    const retiring = this.rawCount - layout.exactEvents;
    if (retiring <= 0) return 0;
    const dropped = this.#countExpiredRaw(layout, expired, retiring);
    const started = retiring - dropped;
    this.#makeRoomForBuckets(layout, started);
    const index = this.bucketStart + this.bucketCount;
    for (let i = started * layout.objectStride; i > 0; i--) this.buckets.objects.push(null);
    this.#startBuckets(layout, index, this.raw, this.rawStart + dropped, this.rawStart + retiring);
    this.bucketCount += started;
    this.#dropRaw(layout, retiring);
    return started;
  }

  #countExpiredRaw(layout: BucketLayout, expired: number, limit: number): number {
    let count = 0;
    while (count < limit && this.raw.numbers[(this.rawStart + count) * layout.rawStride]! <= expired) count++;
    return count;
  }

  #dropRaw(layout: BucketLayout, count: number): void {
    if (count <= 0) return;
    const { rawObjectStride } = layout;
    // dropped objects are let go at once; their places are freed when room is next made
    if (rawObjectStride > 0) {
      this.raw.objects.fill(null, this.rawStart * rawObjectStride, (this.rawStart + count) * rawObjectStride);
    }
    this.rawStart += count;
    this.rawCount -= count;
  }

  #dropBuckets(layout: BucketLayout, count: number): void {
    const { objectStride } = layout;
    // as with raw records
    if (objectStride > 0) {
      this.buckets.objects.fill(null, this.bucketStart * objectStride, (this.bucketStart + count) * objectStride);
    }
    this.bucketStart += count;
    this.bucketCount -= count;
  }
}

function copyCells(from: Float64Array, at: number, count: number, into: Float64Array, to: number): void {
  if (count > 0) into.set(from.subarray(at, at + count), to);
}
