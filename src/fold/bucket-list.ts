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
import type { Accumulator, Cells } from "./accumulator.ts";

/** How a view's list is laid out; the same for all its entities. */
export interface BucketLayout {
  /** Accumulators of a bucket; the cells of each are its own. */
  readonly accumulators: readonly Accumulator[];
  /** Number cells of a bucket: first time, last time, number of events, then the accumulators' cells. */
  readonly stride: number;
  readonly objectStride: number;
  /** Number cells of a raw record. */
  readonly rawStride: number;
  readonly rawObjectStride: number;
  /** How far back time windows and sessions reach in microseconds, ascending. */
  readonly windows: readonly number[];
  /** The hop of each of them, at most that of the next. */
  readonly hops: readonly number[];
  /** So many newest events stay raw. At least `lastEvents`. */
  readonly exactEvents: number;
  /** So many newest events are kept however old they are: the largest last-n window. */
  readonly lastEvents: number;
}

/** Cells in front of a bucket's accumulators: first time, last time, number of events. */
export const BUCKET_HEADER_CELLS = 3;

/** The list grows by this many entries between compactions. */
export const COMPACTION_STEP = 64;

const NO_NUMBERS: Float64Array = new Float64Array(0);

/** Where a window begins in the list. */
export interface WindowCut {
  /** First bucket and first raw record (counted from `rawStart`) inside the window. */
  bucket: number;
  raw: number;
  /** The true left edge, exclusive. */
  windowStart: number;
}

export class BucketList {
  /** Merged buckets, oldest first, from cell 0. */
  buckets: Cells = { numbers: NO_NUMBERS, objects: [] };
  bucketCount: number = 0;
  /** Raw records, oldest first, from record `rawStart`. */
  raw: Cells = { numbers: NO_NUMBERS, objects: [] };
  rawStart: number = 0;
  rawCount: number = 0;
  /** Length at which the next compaction runs. */
  compactAt: number = COMPACTION_STEP;

  clear(): void {
    this.buckets = { numbers: NO_NUMBERS, objects: [] };
    this.bucketCount = 0;
    this.raw = { numbers: NO_NUMBERS, objects: [] };
    this.rawStart = 0;
    this.rawCount = 0;
    this.compactAt = COMPACTION_STEP;
  }

  /** The bucket a late event at `time` falls strictly inside of, or -1 where it gets a place of its own. */
  bucketAround(layout: BucketLayout, time: number): number {
    const before = this.#lastBucketFrom(layout, time);
    return before >= 0 && time < this.buckets.numbers[before * layout.stride + 1]! ? before : -1;
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
    // the first bucket that ends behind the edge
    let bucket = this.bucketCount;
    if (bucket > 0 && numbers[(bucket - 1) * stride + 1]! > edge) {
      let low = 0;
      bucket--;
      while (low < bucket) {
        const middle = (low + bucket) >>> 1;
        if (numbers[middle * stride + 1]! > edge) bucket = middle;
        else low = middle + 1;
      }
    }
    let windowStart = edge;
    // a bucket that begins at or before the edge is left out, and with it all that ties with its end
    while (bucket < this.bucketCount && numbers[bucket * stride]! <= windowStart) {
      windowStart = numbers[bucket * stride + 1]!;
      bucket++;
    }
    into.bucket = bucket;
    into.raw = bucket < this.bucketCount ? 0 : this.#firstRawAfter(layout, windowStart);
    into.windowStart = windowStart;
  }

  #belongsToBuckets(layout: BucketLayout, time: number): boolean {
    if (this.bucketCount === 0) return false;
    if (this.rawCount > 0) return time < this.raw.numbers[this.rawStart * layout.rawStride]!;
    return time < this.buckets.numbers[(this.bucketCount - 1) * layout.stride + 1]!;
  }

  /** Index of the first raw record later than `time`, counted from `rawStart`. */
  #firstRawAfter(layout: BucketLayout, time: number): number {
    const { numbers } = this.raw;
    const { rawStride } = layout;
    let low = 0;
    let high = this.rawCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (numbers[(this.rawStart + middle) * rawStride]! > time) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Index of the last bucket that begins at or before `time`, or -1. */
  #lastBucketFrom(layout: BucketLayout, time: number): number {
    if (!this.#belongsToBuckets(layout, time)) return -1;
    const { numbers } = this.buckets;
    let low = 0;
    let high = this.bucketCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (numbers[middle * layout.stride]! > time) high = middle;
      else low = middle + 1;
    }
    return low - 1;
  }

  #insertRaw(layout: BucketLayout, index: number, record: Cells): void {
    const { rawStride, rawObjectStride } = layout;
    if ((this.rawStart + this.rawCount + 1) * rawStride > this.raw.numbers.length) this.#makeRoomForRaw(layout);
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

  /** Moves the records to the front where half the room is free, else doubles it. */
  #makeRoomForRaw(layout: BucketLayout): void {
    const { rawStride, rawObjectStride } = layout;
    const from = this.rawStart * rawStride;
    const to = from + this.rawCount * rawStride;
    if (this.rawStart > 0 && this.rawStart >= this.rawCount) {
      this.raw.numbers.copyWithin(0, from, to);
    } else {
      const grown = new Float64Array(Math.max(4, this.rawCount * 2) * rawStride);
      grown.set(this.raw.numbers.subarray(from, to));
      this.raw.numbers = grown;
    }
    if (rawObjectStride > 0 && this.rawStart > 0) this.raw.objects.splice(0, this.rawStart * rawObjectStride);
    this.rawStart = 0;
  }

  #insertIntoBuckets(layout: BucketLayout, record: Cells, time: number): void {
    const { stride, objectStride } = layout;
    const before = this.#lastBucketFrom(layout, time);
    if (before >= 0 && time < this.buckets.numbers[before * stride + 1]!) {
      this.buckets.numbers[before * stride + 2]! += 1;
      this.#addToBucket(layout, before, record, 0, 0);
      return;
    }
    const index = before + 1;
    this.#makeRoomForBuckets(layout, 1);
    const { numbers, objects } = this.buckets;
    numbers.copyWithin((index + 1) * stride, index * stride, this.bucketCount * stride);
    if (objectStride > 0) {
      objects.splice(index * objectStride, 0, ...Array.from<unknown>({ length: objectStride }).fill(null));
    }
    this.bucketCount++;
    this.#startBucket(layout, index, record, 0, 0);
  }

  /** Makes bucket `index` hold the one event of a raw record. */
  #startBucket(layout: BucketLayout, index: number, raw: Cells, rawAt: number, rawObjectAt: number): void {
    const at = index * layout.stride;
    const { numbers } = this.buckets;
    numbers[at] = raw.numbers[rawAt]!;
    numbers[at + 1] = raw.numbers[rawAt]!;
    numbers[at + 2] = 1;
    for (const accumulator of layout.accumulators) accumulator.clear(this.buckets, at, index * layout.objectStride);
    this.#addToBucket(layout, index, raw, rawAt, rawObjectAt);
  }

  #addToBucket(layout: BucketLayout, index: number, raw: Cells, rawAt: number, rawObjectAt: number): void {
    const { accumulators, stride, objectStride } = layout;
    for (let i = 0; i < accumulators.length; i++) {
      accumulators[i]!.add(this.buckets, index * stride, index * objectStride, raw, rawAt, rawObjectAt);
    }
  }

  #makeRoomForBuckets(layout: BucketLayout, more: number): void {
    const needed = (this.bucketCount + more) * layout.stride;
    if (needed <= this.buckets.numbers.length) return;
    const grown = new Float64Array(Math.max(needed, this.bucketCount * 2 * layout.stride));
    grown.set(this.buckets.numbers.subarray(0, this.bucketCount * layout.stride));
    this.buckets.numbers = grown;
  }

  #compact(layout: BucketLayout, newestTime: number): void {
    const { windows, lastEvents } = layout;
    const longest = windows.length === 0 ? 0 : windows[windows.length - 1]!;
    // an event at or before this is outside every time window, now and for ever
    const expired = newestTime - longest;
    this.#retireRaw(layout, expired);
    this.#dropRaw(layout, this.#countExpiredRaw(layout, expired, this.rawCount - lastEvents));
    if (this.bucketCount > 0) this.#mergeNeighbours(layout, newestTime, expired);
  }

  /** Turns all raw records but the newest `exactEvents` into buckets, the expired ones into nothing. */
  #retireRaw(layout: BucketLayout, expired: number): void {
    const retiring = this.rawCount - layout.exactEvents;
    if (retiring <= 0) return;
    const dropped = this.#countExpiredRaw(layout, expired, retiring);
    this.#makeRoomForBuckets(layout, retiring - dropped);
    for (let i = dropped; i < retiring; i++) {
      const record = this.rawStart + i;
      const index = this.bucketCount++;
      this.#startBucket(layout, index, this.raw, record * layout.rawStride, record * layout.rawObjectStride);
    }
    this.#dropRaw(layout, retiring);
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

  /** One pass from the oldest to the youngest bucket, in place. */
  #mergeNeighbours(layout: BucketLayout, newestTime: number, expired: number): void {
    const { stride, objectStride, windows, hops } = layout;
    const { numbers, objects } = this.buckets;
    let kept = -1;
    let band = windows.length - 1;
    for (let i = 0; i < this.bucketCount; i++) {
      const lastTime = numbers[i * stride + 1]!;
      if (lastTime <= expired) continue;
      // the smallest window that can still reach the younger of the two bounds how coarse they may become
      const age = newestTime - lastTime;
      while (band > 0 && windows[band - 1]! > age) band--;
      if (kept >= 0 && inOneCell(numbers[kept * stride]!, lastTime, hops[band]!)) {
        this.#mergeInto(layout, kept, i);
        continue;
      }
      kept++;
      if (kept === i) continue;
      numbers.copyWithin(kept * stride, i * stride, (i + 1) * stride);
      if (objectStride > 0) objects.copyWithin(kept * objectStride, i * objectStride, (i + 1) * objectStride);
    }
    this.bucketCount = kept + 1;
    if (objectStride > 0) objects.length = this.bucketCount * objectStride;
  }

  #mergeInto(layout: BucketLayout, older: number, younger: number): void {
    const { accumulators, stride, objectStride } = layout;
    const at = older * stride;
    const fromAt = younger * stride;
    const { numbers } = this.buckets;
    numbers[at + 1] = numbers[fromAt + 1]!;
    numbers[at + 2]! += numbers[fromAt + 2]!;
    for (let i = 0; i < accumulators.length; i++) {
      accumulators[i]!.mergeYounger(
        this.buckets,
        at,
        older * objectStride,
        this.buckets,
        fromAt,
        younger * objectStride,
      );
    }
  }
}

function inOneCell(first: number, last: number, hop: number): boolean {
  return last - first < hop && Math.floor(first / hop) === Math.floor(last / hop);
}
