/**
 * Records of the log erased: each segment that holds some is written anew with nothing in their places, beside the old
 * one, synced, and renamed over it. Offsets, known times and all other records stay as they are, to the byte of their rows.
 *
 * An erased record is one without an id and without an event time: no event and no retraction. Whoever reads the log
 * passes over it. Nobody may have the log open meanwhile; a crash leaves a segment as it was or erased.
 */
import { open, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Micros } from "../base/micros.ts";
import { syncPath } from "../base/sync-path.ts";
import { ByteWriter } from "../schema/byte-buffer.ts";
import { createRowCodec, type RowCodec } from "../schema/row-codec.ts";
import { retractionOf } from "./event.ts";
import {
  corrupt,
  decodeFrame,
  decodeSegmentHeader,
  type Frame,
  FRAME_HEADER_BYTES,
  frameAt,
  sealFrame,
  segmentOffset,
  writeEvent,
} from "./log-segment.ts";

/** Returns how many records were erased that were not before. Throws `LOG_CORRUPT`. */
export async function eraseFromLog(folder: string, offsets: ReadonlySet<number>): Promise<number> {
  if (offsets.size === 0) return 0;
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const offset of offsets) {
    first = Math.min(first, offset);
    last = Math.max(last, offset);
  }
  const names = (await readdir(folder).catch(() => [])).filter((name) => segmentOffset(name) !== null).sort();
  let erased = 0;
  for (const [i, name] of names.entries()) {
    const next = names[i + 1];
    if (segmentOffset(name)! > last || (next !== undefined && segmentOffset(next)! <= first)) continue;
    erased += await eraseFromSegment(folder, name, offsets);
  }
  return erased;
}

async function eraseFromSegment(folder: string, name: string, offsets: ReadonlySet<number>): Promise<number> {
  const path = join(folder, name);
  const bytes = await readFile(path);
  const begin = decodeSegmentHeader(bytes);
  if (begin === null) throw corrupt(path, 0, "a segment's header");
  const codec = createRowCodec(begin.header.columns);
  const parts: Uint8Array[] = [bytes.subarray(0, begin.end)];
  let erased = 0;
  let position = begin.end;
  for (let frame = nextFrame(bytes, position); frame !== null; frame = nextFrame(bytes, position)) {
    position = frame.end;
    const anew = eraseFromFrame(frame, codec, begin.header.columns.length, offsets);
    parts.push(anew === null ? bytes.subarray(frame.start, frame.end) : anew.bytes);
    erased += anew?.erased ?? 0;
  }
  if (erased === 0) return 0;
  // What a crash tore at the end is for the log's own opening to judge.
  parts.push(bytes.subarray(position));
  await replaceDurably(folder, name, Buffer.concat(parts));
  return erased;
}

function nextFrame(bytes: Buffer, position: number): Frame | null {
  return position < bytes.length ? frameAt(bytes, position) : null;
}

/** Null where the frame has none of them. */
function eraseFromFrame(
  frame: Frame,
  codec: RowCodec,
  columnCount: number,
  offsets: ReadonlySet<number>,
): { readonly bytes: Uint8Array; readonly erased: number } | null {
  let isHit = false;
  for (let i = 0; i < frame.eventCount && !isHit; i++) isHit = offsets.has(frame.firstOffset + i);
  if (!isHit) return null;
  const writer = new ByteWriter(frame.end - frame.start);
  writer.skip(FRAME_HEADER_BYTES);
  let erased = 0;
  for (const event of decodeFrame(frame, frame.firstOffset, codec, () => null)) {
    const isGone = offsets.has(event.offset);
    if (isGone && !(event.id === null && Number.isNaN(event.eventTime))) erased++;
    const nothing = { ...retractionOf("", columnCount), id: null };
    writeEvent(isGone ? nothing : event, event.knownTime as Micros, codec, writer);
  }
  sealFrame(writer, frame.firstOffset, frame.eventCount);
  return { bytes: writer.copy(), erased };
}

/** A file in place of another, once it is on disk. */
export async function replaceDurably(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  const pending = join(folder, `.${name}.pending`);
  const file = await open(pending, "w");
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(pending, join(folder, name));
  await syncPath(folder);
}
