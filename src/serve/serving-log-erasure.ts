/**
 * Lines of the serving log written over with blanks, in their place, while servers write on.
 *
 * A segment is only ever added to at its end, and no line of it moves: so whoever writes, reads on from a place or erases other
 * lines need not know of it, and nothing of theirs can be lost. Readers pass over a line with blanks at either end, which is one that was
 * written over, or is just being so, or was when the power went. It may be done again wherever it was cut short.
 *
 * The last line may not be whole because its writer is about to go on, or because it was cut short for good. It is given time.
 */
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { unlessAbsent } from "../base/unless-absent.ts";
import { isErasedLine, SERVING_LOG_SUFFIX } from "../schema/served-vector.ts";

/** What is not whole for so long is taken for what a crash has left. */
const TORN_AFTER_MS = 2000;
const LOOK_MS = 20;
const NEWLINE = 10;
const BLANK = " ";

/**
 * Writes over the lines for which `isGone` holds; it is also asked of what a crash has left of a line. Durable once it resolves,
 * with their number. Lines that come meanwhile may stay. Throws `STORAGE_FAILED`.
 */
export async function eraseServed(folder: string, isGone: (line: string) => boolean): Promise<number> {
  let erased = 0;
  for (const name of await servedSegments(folder)) {
    const path = join(folder, name);
    // The oldest may be removed at any time.
    erased += (await unlessAbsent(path, eraseFromSegment(path, isGone))) ?? 0;
  }
  return erased;
}

/** Names, the oldest first; none where there is no log. Throws `STORAGE_FAILED`. */
export async function servedSegments(folder: string): Promise<string[]> {
  const names = (await unlessAbsent(folder, readdir(folder))) ?? [];
  return names.filter((name) => name.endsWith(SERVING_LOG_SUFFIX)).sort();
}

async function eraseFromSegment(path: string, isGone: (line: string) => boolean): Promise<number> {
  const file = await open(path, "r+");
  try {
    const bytes = await readWholeLines(file);
    const gone: { readonly start: number; readonly end: number }[] = [];
    let isBlankSomewhere = false;
    for (let start = 0; start < bytes.length;) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline === -1 ? bytes.length : newline;
      const line = bytes.toString("utf8", start, end);
      const isBlank = line.trim() === "";
      isBlankSomewhere ||= isBlank;
      // One that was being written over when the power went is still to be.
      if (!isBlank && (isErasedLine(line) || isGone(line))) gone.push({ start, end });
      start = end + 1;
    }
    // Of a line that is longer than a page some may come to the disk before its ends do: readers know it by these.
    for (const { start } of gone) await writeBlanks(file, start, start + 1);
    if (gone.length > 0) await file.datasync();
    for (const { start, end } of gone) await writeBlanks(file, start, end);
    // Whoever wrote blanks before may have been cut short before they were durable.
    if (gone.length > 0 || isBlankSomewhere) await file.sync();
    return gone.length;
  } finally {
    await file.close();
  }
}

async function writeBlanks(file: FileHandle, start: number, end: number): Promise<void> {
  const blanks = Buffer.alloc(end - start, BLANK);
  for (let written = 0; written < blanks.length;) {
    const { bytesWritten } = await file.write(blanks, written, blanks.length - written, start + written);
    written += bytesWritten;
  }
}

/** All of it, once its last line is whole, or was not for so long that it will never be. */
async function readWholeLines(file: FileHandle): Promise<Buffer> {
  let bytes = await readAll(file);
  for (let waitedMs = 0; bytes.length > 0 && !isWhole(bytes) && waitedMs < TORN_AFTER_MS; waitedMs += LOOK_MS) {
    await sleep(LOOK_MS);
    const { size } = await file.stat();
    if (size === bytes.length) continue;
    bytes = await readAll(file);
    waitedMs = 0;
  }
  return bytes;
}

/** Ends with a line that is whole, or was torn and is erased. */
function isWhole(bytes: Buffer): boolean {
  return bytes.toString("utf8", bytes.lastIndexOf(NEWLINE) + 1).trim() === "";
}

async function readAll(file: FileHandle): Promise<Buffer> {
  const bytes = Buffer.alloc((await file.stat()).size);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}
