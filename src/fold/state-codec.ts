/**
 * States as bytes. The same state gives the same bytes; a decoded state continues exactly as the one that
 * was encoded.
 *
 *     byte 0      version of this format
 *     bytes 1-4   hash of the view's state layout, little-endian
 *     bytes 5-7   zero
 *     then        float64 cells, little-endian: 7 of the head (last offset, last known time, last event
 *                 time, event count, compactAt, buckets, raw records), lifetime, buckets, raw records
 *     then        object cells of lifetime, buckets and raw records, each a tag and its content
 *
 * Every NaN is written with one bit pattern.
 */
import { OnefoldError } from "../base/errors.ts";
import type { BucketLayout } from "./bucket-layout.ts";
import { FoldState, type LifetimeLayout } from "./fold-state.ts";
import { ObjectReader, ObjectWriter } from "./object-codec.ts";
import { valueOf } from "./placed-values.ts";

export const STATE_CODEC_VERSION = 1;

const HEAD_BYTES = 8;
const HEAD_CELLS = 7;
const CELLS_AT: number = HEAD_BYTES + HEAD_CELLS * 8;
/** Events that a decoded state has room for before it must grow. */
const ROOM_RECORDS = 4;
/** So many are copied one by one: to have an array's bytes copied takes objects for both sides. */
const SMALL_CELLS = 8;
/** Of the state that is being decoded, with the first cells behind it. */
const HEAD = new Float64Array(HEAD_CELLS + SMALL_CELLS);
const HEAD_BYTES_COPY = new Uint8Array(HEAD.buffer);
/** Of all states that have none: never written to. */
const NO_CELLS: Float64Array = new Float64Array(0);
const NO_OBJECTS: DecodedObjects = { lifetime: [], buckets: [], raw: [] };
const IS_LITTLE_ENDIAN = new Uint8Array(new Float64Array([2]).buffer)[7] === 0x40;

export interface StateLayout {
  readonly lifetime: LifetimeLayout;
  readonly list: BucketLayout;
  /** 32-bit hash of everything that gives a state's cells their meaning. */
  readonly hash: number;
  /** For messages: `name@version`. */
  readonly viewName: string;
}

export function encodeState(state: FoldState, layout: StateLayout): Uint8Array {
  const { objectStride, rawObjectStride } = layout.list;
  const objects = encodeObjects(state, layout, objectStride, rawObjectStride);
  const length = CELLS_AT + cellCount(state, layout) * 8 + (objects === null ? 0 : objects.length);
  return encodeInto(new Uint8Array(length), state, layout, objects);
}

/** Of lifetime, buckets and raw records. */
function cellCount({ list }: FoldState, { lifetime, list: { stride, rawStride } }: StateLayout): number {
  return lifetime.stride + list.bucketCount * stride + list.rawCount * rawStride;
}

/** Into bytes of that very length, whose first are zero. */
function encodeInto(bytes: Uint8Array, state: FoldState, layout: StateLayout, objects: Uint8Array | null): Uint8Array {
  const { list } = state;
  const { stride, rawStride } = layout.list;
  const lifetimeCells = layout.lifetime.stride;
  const bucketCells = list.bucketCount * stride;
  const rawCells = list.rawCount * rawStride;
  const numberCells = HEAD_CELLS + cellCount(state, layout);
  bytes[0] = STATE_CODEC_VERSION;
  bytes[1] = layout.hash & 0xff;
  bytes[2] = (layout.hash >>> 8) & 0xff;
  bytes[3] = (layout.hash >>> 16) & 0xff;
  bytes[4] = layout.hash >>> 24;
  const cells = new Float64Array(bytes.buffer, HEAD_BYTES, numberCells);
  cells[0] = state.lastOffset;
  cells[1] = state.lastKnownTime;
  cells[2] = state.lastEventTime;
  cells[3] = state.eventCount;
  cells[4] = list.compactAt;
  cells[5] = list.bucketCount;
  cells[6] = list.rawCount;
  let at = HEAD_CELLS;
  for (let i = 0; i < lifetimeCells; i++) cells[at + i] = state.lifetime.numbers[i]!;
  at += lifetimeCells;
  if (bucketCells > 0) {
    const from = list.bucketStart * stride;
    cells.set(list.buckets.numbers.subarray(from, from + bucketCells), at);
  }
  at += bucketCells;
  if (rawCells > 0) {
    const from = list.rawStart * rawStride;
    cells.set(list.raw.numbers.subarray(from, from + rawCells), at);
  }
  writeEveryNaNAlike(cells, bytes);
  if (objects !== null) bytes.set(objects, HEAD_BYTES + numberCells * 8);
  return bytes;
}

/** `lastEventTime` of an encoded state, which is not decoded for it. */
export function lastEventTimeIn(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(HEAD_BYTES + 2 * 8, true);
}

/**
 * Throws `STATE_CODEC`. Keeps nothing of `bytes`. `over` is a state of the view that nobody needs any more: it becomes
 * the decoded one, and where it has room nothing is allocated.
 */
export function decodeState(bytes: Uint8Array, layout: StateLayout, over: FoldState | null = null): FoldState {
  if (!IS_LITTLE_ENDIAN) throw damaged(layout, "this machine is not little-endian");
  if (bytes.length < HEAD_BYTES + HEAD_CELLS * 8) throw damaged(layout, `only ${bytes.length} bytes`);
  if (bytes[0] !== STATE_CODEC_VERSION) throw damaged(layout, `format version ${bytes[0]}, not ${STATE_CODEC_VERSION}`);
  const hash = (bytes[1]! | (bytes[2]! << 8) | (bytes[3]! << 16) | (bytes[4]! << 24)) >>> 0;
  if (hash !== layout.hash) throw damaged(layout, "they were written by another definition");
  if (bytes[5] !== 0 || bytes[6] !== 0 || bytes[7] !== 0) throw damaged(layout, "the head is damaged");

  HEAD_BYTES_COPY.set(bytes.subarray(HEAD_BYTES, CELLS_AT + SMALL_CELLS * 8));
  const bucketCount = HEAD[5]!;
  const rawCount = HEAD[6]!;
  const { stride, rawStride } = layout.list;
  const lifetimeCells = layout.lifetime.stride;
  const bucketCells = bucketCount * stride;
  const rawCells = rawCount * rawStride;
  const isCount = (count: number): boolean => Number.isSafeInteger(count) && count >= 0;
  const objectsAt = CELLS_AT + (lifetimeCells + bucketCells + rawCells) * 8;
  if (!isCount(bucketCount) || !isCount(rawCount) || objectsAt > bytes.length) {
    throw damaged(layout, "their counts do not fit their length");
  }
  const objects = decodeObjects(bytes, objectsAt, layout, bucketCount, rawCount);
  const size = { lifetimeCells, bucketCells, rawCells, roomCells: ROOM_RECORDS * rawStride };
  const isApart = layout.list.objectStride + layout.list.rawObjectStride > 0;
  const state = isApart
    ? copyApart(bytes, size, over ?? newState(lifetimeCells))
    : copyTogether(bytes, size, layout.list, over);
  state.lastOffset = HEAD[0]!;
  state.lastKnownTime = HEAD[1]!;
  state.lastEventTime = HEAD[2]!;
  state.eventCount = HEAD[3]!;
  state.list.restart(layout.list, HEAD[4]!, bucketCount, rawCount, isApart ? null : lifetimeCells);
  state.lifetime.objects = objects.lifetime;
  state.list.buckets.objects = objects.buckets;
  state.list.raw.objects = objects.raw;
  return state;
}

interface StateSize {
  readonly lifetimeCells: number;
  readonly bucketCells: number;
  readonly rawCells: number;
  /** For events to come. */
  readonly roomCells: number;
}

/** One whose arrays are still to be filled. */
function newState(lifetimeCells: number): FoldState {
  return new FoldState({ numbers: new Float64Array(lifetimeCells), objects: NO_OBJECTS.lifetime });
}

/**
 * All cells in one array: in memory each takes as much as a few events do. Buckets and raw records begin there at the first
 * multiple of their cells, as `BucketList.restart` has it.
 */
function copyTogether(
  bytes: Uint8Array,
  { lifetimeCells, bucketCells, rawCells, roomCells }: StateSize,
  { stride, rawStride }: BucketLayout,
  over: FoldState | null,
): FoldState {
  const bucketsFrom = Math.ceil(lifetimeCells / stride) * stride;
  const rawFrom = Math.ceil((bucketsFrom + bucketCells) / rawStride) * rawStride;
  const state = over ?? new FoldState({ numbers: NO_CELLS, objects: NO_OBJECTS.lifetime });
  const { buckets, raw } = state.list;
  const length = rawFrom + rawCells + roomCells;
  // Where buckets or raw records have grown out of it, lifetime has not.
  const cells = state.lifetime.numbers.length >= length ? state.lifetime.numbers : new Float64Array(length);
  state.lifetime.numbers = cells;
  buckets.numbers = cells;
  raw.numbers = cells;
  const bucketsAt = CELLS_AT + lifetimeCells * 8;
  copyLifetime(bytes, lifetimeCells, cells);
  copyCells(bytes, bucketsAt, bucketCells, cells, bucketsFrom);
  copyCells(bytes, bucketsAt + bucketCells * 8, rawCells, cells, rawFrom);
  return state;
}

/** Each in an array of its own: places of a list's objects are counted from the beginnings. */
function copyApart(
  bytes: Uint8Array,
  { lifetimeCells, bucketCells, rawCells, roomCells }: StateSize,
  state: FoldState,
): FoldState {
  const { buckets, raw } = state.list;
  if (buckets.numbers.length < bucketCells) buckets.numbers = new Float64Array(bucketCells);
  if (raw.numbers.length < rawCells + roomCells) raw.numbers = new Float64Array(rawCells + roomCells);
  const bucketsAt = CELLS_AT + lifetimeCells * 8;
  copyLifetime(bytes, lifetimeCells, state.lifetime.numbers);
  copyCells(bytes, bucketsAt, bucketCells, buckets.numbers, 0);
  copyCells(bytes, bucketsAt + bucketCells * 8, rawCells, raw.numbers, 0);
  return state;
}

function copyLifetime(bytes: Uint8Array, count: number, into: Float64Array): void {
  if (count > SMALL_CELLS) copyCells(bytes, CELLS_AT, count, into, 0);
  else for (let i = 0; i < count; i++) into[i] = HEAD[HEAD_CELLS + i]!;
}

/** What is encoded lies at any address, and cells at whole ones. */
function copyCells(bytes: Uint8Array, at: number, count: number, into: Float64Array, to: number): void {
  if (count === 0) return;
  new Uint8Array(into.buffer, into.byteOffset + to * 8, count * 8).set(bytes.subarray(at, at + count * 8));
}

interface DecodedObjects {
  readonly lifetime: unknown[];
  readonly buckets: unknown[];
  readonly raw: unknown[];
}

function decodeObjects(
  bytes: Uint8Array,
  at: number,
  layout: StateLayout,
  bucketCount: number,
  rawCount: number,
): DecodedObjects {
  if (!hasObjects(layout) && at === bytes.length) return NO_OBJECTS;
  const { objectStride, rawObjectStride } = layout.list;
  const lifetime = layout.lifetime.objectStride;
  const reader = new ObjectReader(bytes.subarray(at));
  try {
    const objects = {
      lifetime: lifetime === 0 ? NO_OBJECTS.lifetime : reader.take(lifetime),
      buckets: objectStride === 0 ? NO_OBJECTS.buckets : reader.take(bucketCount * objectStride),
      raw: rawObjectStride === 0 ? NO_OBJECTS.raw : reader.take(rawCount * rawObjectStride),
    };
    reader.expectEnd();
    return objects;
  } catch (cause) {
    throw damaged(layout, (cause as Error).message);
  }
}

/** Whether any cell of the view's states is an object. */
export function hasObjects({ lifetime, list }: StateLayout): boolean {
  return lifetime.objectStride + list.objectStride + list.rawObjectStride > 0;
}

function encodeObjects(
  state: FoldState,
  layout: StateLayout,
  objectStride: number,
  rawObjectStride: number,
): Uint8Array | null {
  if (!hasObjects(layout)) return null;
  const { list } = state;
  const writer = new ObjectWriter();
  for (let i = 0; i < layout.lifetime.objectStride; i++) writer.put(valueOf(state.lifetime.objects[i]));
  const bucketsFrom = list.bucketStart * objectStride;
  writer.putAll(list.buckets.objects, bucketsFrom, bucketsFrom + list.bucketCount * objectStride);
  const rawFrom = list.rawStart * rawObjectStride;
  writer.putAll(list.raw.objects, rawFrom, rawFrom + list.rawCount * rawObjectStride);
  return writer.bytes();
}

/** The language leaves a stored NaN's bits open; this closes them. */
function writeEveryNaNAlike(cells: Float64Array, bytes: Uint8Array): void {
  for (let i = 0; i < cells.length; i++) {
    const value = cells[i]!;
    if (value === value) continue;
    const at = HEAD_BYTES + i * 8;
    bytes.fill(0, at, at + 6);
    bytes[at + 6] = 0xf8;
    bytes[at + 7] = 0x7f;
  }
}

function damaged(layout: StateLayout, why: string): OnefoldError {
  return new OnefoldError("STATE_CODEC", `stored state of ${layout.viewName} cannot be decoded: ${why}`, {
    hint: "rebuild the view's states from the log",
  });
}
