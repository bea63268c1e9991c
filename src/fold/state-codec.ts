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
import type { BucketLayout } from "./bucket-list.ts";
import { FoldState, type LifetimeLayout } from "./fold-state.ts";
import { ObjectReader, ObjectWriter } from "./object-codec.ts";

export const STATE_CODEC_VERSION = 1;

const HEAD_BYTES = 8;
const HEAD_CELLS = 7;
/** Events that a decoded state has room for before it must grow. */
const ROOM_RECORDS = 4;
/** Of the state that is being decoded. */
const HEAD = new Float64Array(HEAD_CELLS);
const HEAD_BYTES_COPY = new Uint8Array(HEAD.buffer);
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
  const { list } = state;
  const { stride, rawStride, objectStride, rawObjectStride } = layout.list;
  const lifetimeCells = layout.lifetime.stride;
  const bucketCells = list.bucketCount * stride;
  const rawCells = list.rawCount * rawStride;
  const numberCells = HEAD_CELLS + lifetimeCells + bucketCells + rawCells;
  const objects = encodeObjects(state, layout, objectStride, rawObjectStride);

  const bytes = new Uint8Array(HEAD_BYTES + numberCells * 8 + (objects === null ? 0 : objects.length));
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
  cells.set(state.lifetime.numbers, at);
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

/** Throws `STATE_CODEC`. Keeps nothing of `bytes`. */
export function decodeState(bytes: Uint8Array, layout: StateLayout): FoldState {
  if (!IS_LITTLE_ENDIAN) throw damaged(layout, "this machine is not little-endian");
  if (bytes.length < HEAD_BYTES + HEAD_CELLS * 8) throw damaged(layout, `only ${bytes.length} bytes`);
  if (bytes[0] !== STATE_CODEC_VERSION) throw damaged(layout, `format version ${bytes[0]}, not ${STATE_CODEC_VERSION}`);
  const hash = (bytes[1]! | (bytes[2]! << 8) | (bytes[3]! << 16) | (bytes[4]! << 24)) >>> 0;
  if (hash !== layout.hash) throw damaged(layout, "they were written by another definition");
  if (bytes[5] !== 0 || bytes[6] !== 0 || bytes[7] !== 0) throw damaged(layout, "the head is damaged");

  HEAD_BYTES_COPY.set(bytes.subarray(HEAD_BYTES, HEAD_BYTES + HEAD_CELLS * 8));
  const [lastOffset, lastKnownTime, lastEventTime, eventCount, compactAt, bucketCount, rawCount] = HEAD;
  const { stride, rawStride, objectStride, rawObjectStride } = layout.list;
  const lifetimeCells = layout.lifetime.stride;
  const isCount = (count: number): boolean => Number.isSafeInteger(count) && count >= 0;
  const numberCells = HEAD_CELLS + lifetimeCells + bucketCount! * stride + rawCount! * rawStride;
  const at = HEAD_BYTES + numberCells * 8;
  if (!isCount(bucketCount!) || !isCount(rawCount!) || at > bytes.length) {
    throw damaged(layout, "their counts do not fit their length");
  }
  // One block for all cells: making one for each costs more than what is in them. Copying also brings
  // them to an aligned address.
  const cells = new Float64Array(numberCells - HEAD_CELLS + ROOM_RECORDS * rawStride);
  new Uint8Array(cells.buffer).set(bytes.subarray(HEAD_BYTES + HEAD_CELLS * 8, at));
  const bucketsAt = lifetimeCells;
  const rawAt = bucketsAt + bucketCount! * stride;
  const state = new FoldState({ numbers: cells.subarray(0, bucketsAt), objects: [] });
  state.lastOffset = lastOffset!;
  state.lastKnownTime = lastKnownTime!;
  state.lastEventTime = lastEventTime!;
  state.eventCount = eventCount!;
  const { list } = state;
  list.compactAt = compactAt!;
  list.bucketCount = bucketCount!;
  list.rawCount = rawCount!;
  if (bucketCount! > 0) list.buckets.numbers = cells.subarray(bucketsAt, rawAt);
  list.raw.numbers = cells.subarray(rawAt);

  const reader = new ObjectReader(bytes.subarray(at));
  try {
    state.lifetime.objects = reader.take(layout.lifetime.objectStride);
    list.buckets.objects = reader.take(bucketCount! * objectStride);
    list.raw.objects = reader.take(rawCount! * rawObjectStride);
    reader.expectEnd();
  } catch (cause) {
    throw damaged(layout, (cause as Error).message);
  }
  return state;
}

function encodeObjects(
  state: FoldState,
  layout: StateLayout,
  objectStride: number,
  rawObjectStride: number,
): Uint8Array | null {
  if (layout.lifetime.objectStride === 0 && objectStride === 0 && rawObjectStride === 0) return null;
  const { list } = state;
  const writer = new ObjectWriter();
  writer.putAll(state.lifetime.objects, 0, layout.lifetime.objectStride);
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
