/**
 * Answers, put together as their bytes in UTF-8: parts that were kept are copied as they are, and never become strings,
 * which would be made, joined and turned into bytes again.
 *
 * Their memory is used again once it was sent: a new block for each answer would bring the garbage collector's next round
 * about, which looks at everything on the heap. A block is one writer's at a time, so no answer holds another one's bytes.
 */
import { SpareBlocks } from "./spare-blocks.ts";

/** Bytes in memory that whoever sends them may give back, at most once, when they are sent and nobody reads them any more. */
export interface LentBytes {
  readonly bytes: Buffer;
  giveBack(): void;
}

/** Takes bytes to send them. */
export interface ByteSink {
  /** Sends `bytes[0, length)` behind all before them. False where they are still read once this returns. */
  send(bytes: Buffer, length: number): boolean;
}

/** Texts and bytes up to this length are quicker written here than by a call into the runtime. */
const SHORT_LENGTH = 64;
const ZERO = 0x30;
const NOTHING = Buffer.alloc(0);

/** For long answers, few at a time. */
const longBlocks = new SpareBlocks({ firstBytes: 64 * 1024, sparesMax: 4, spareBytesMax: 4 * 1024 * 1024 });
/** For what connections send: as many as wait at a time until their answers are sent. */
export const connectionBlocks: SpareBlocks = new SpareBlocks({
  firstBytes: 16 * 1024,
  sparesMax: 16,
  spareBytesMax: 1024 * 1024,
});

export class AnswerBytes {
  readonly #spares: SpareBlocks;
  /** None while nothing is written: who has nothing to say holds no memory. */
  #block: Buffer | null = null;
  #length = 0;

  constructor(spares: SpareBlocks = longBlocks) {
    this.#spares = spares;
  }

  /** Bytes written and not sent or lent yet. */
  get length(): number {
    return this.#length;
  }

  /** A text in UTF-8. */
  text(text: string): void {
    // A character takes three bytes at most; of two halves of one, two each.
    const block = this.room(3 * text.length);
    const from = this.#length;
    if (text.length <= SHORT_LENGTH) {
      let i = 0;
      for (; i < text.length; i++) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) break;
        block[from + i] = code;
      }
      if (i === text.length) {
        this.#length += i;
        return;
      }
    }
    this.#length += block.write(text, from, "utf8");
  }

  /** A byte string: its characters are the bytes. */
  latin1(bytes: string): void {
    const { length } = bytes;
    const block = this.room(length);
    const from = this.#length;
    if (length <= SHORT_LENGTH) for (let i = 0; i < length; i++) block[from + i] = bytes.charCodeAt(i);
    else block.write(bytes, from, "latin1");
    this.#length += length;
  }

  /** Bytes of a buffer as they are. */
  bytes(from: Buffer, start: number, end: number): void {
    const block = this.room(end - start);
    const to = this.#length;
    if (end - start > SHORT_LENGTH) from.copy(block, to, start, end);
    else for (let i = start; i < end; i++) block[to + i - start] = from[i]!;
    this.#length += end - start;
  }

  /** All of these bytes: the quickest for what is the same each time. */
  all(bytes: Uint8Array): void {
    this.room(bytes.length).set(bytes, this.#length);
    this.#length += bytes.length;
  }

  byte(byte: number): void {
    this.room(1)[this.#length++] = byte;
  }

  /** A whole number that is not negative, with zeros before it up to `digits`. */
  wholeNumber(value: number, digits: number = digitsOf(value)): void {
    writeDigits(this.room(digits), this.#length, value, digits);
    this.#length += digits;
  }

  /** Puts bytes before what was written since the length was `at`. */
  insert(at: number, bytes: Uint8Array): void {
    const block = this.room(bytes.length);
    block.copyWithin(at + bytes.length, at, this.#length);
    block.set(bytes, at);
    this.#length += bytes.length;
  }

  /** Lets go of what was written since the length was `at`. */
  cut(at: number): void {
    this.#length = at;
  }

  /** A block with room for so many bytes more from `length` on; `wrote` says how many were written there. */
  room(bytes: number): Buffer {
    const block = (this.#block ??= this.#spares.take());
    const needed = this.#length + bytes;
    if (needed <= block.length) return block;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * block.length));
    block.copy(grown, 0, 0, this.#length);
    this.#spares.giveBack(block);
    return (this.#block = grown);
  }

  wrote(bytes: number): void {
    this.#length += bytes;
  }

  /** In which all that was written stands, from 0 on: good until more is written, sent or lent. */
  get block(): Buffer {
    return this.#block ?? NOTHING;
  }

  /** All that was written, likewise. */
  whole(): Buffer {
    return this.block.subarray(0, this.#length);
  }

  /** All that was written, for whoever sends it: nothing of it is left here. */
  lend(): LentBytes {
    const bytes = this.whole();
    const block = this.#block;
    this.#block = null;
    this.#length = 0;
    return {
      bytes,
      giveBack: () => {
        if (block !== null) this.#spares.giveBack(block);
      },
    };
  }

  /** Sends all that was written, in one go: nothing of it is left here. */
  sendTo(sink: ByteSink): void {
    const block = this.#block;
    if (block === null) return;
    const length = this.#length;
    this.#block = null;
    this.#length = 0;
    // Else what the kernel did not take is still to be sent from there.
    if (length === 0 || sink.send(block, length)) this.#spares.giveBack(block);
  }
}

/** The text that was written, for whoever needs one. */
export function writtenText(write: (out: AnswerBytes) => void): string {
  const out = new AnswerBytes();
  write(out);
  const { bytes, giveBack } = out.lend();
  const text = bytes.toString();
  giveBack();
  return text;
}

/** Of a whole number that is not negative. */
export function digitsOf(value: number): number {
  let digits = 1;
  for (let above = 10; value >= above; above *= 10) digits++;
  return digits;
}

/** Writes the last digits of a whole number, so many of them. */
export function writeDigits(block: Uint8Array, at: number, value: number, digits: number): void {
  let left = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const rest = Math.floor(left / 10);
    block[i] = ZERO + (left - 10 * rest);
    left = rest;
  }
}
