/**
 * The text of a long answer, put together as its bytes in UTF-8: parts that were kept are copied as they are, and never
 * become strings, which would be made, joined and turned into bytes again.
 *
 * Their memory is used again once it was sent: a new block for each answer would bring the garbage collector's next round
 * about, which looks at everything on the heap.
 */
import type { LentBytes } from "./route.ts";

const FIRST_BYTES = 64 * 1024;
/** Texts up to this length are quicker written here than by a call into the runtime. */
const SHORT_LENGTH = 64;
/** Blocks that wait for the next answers, and how large one of them may be. */
const SPARES_MAX = 4;
const SPARE_BYTES_MAX = 4 * 1024 * 1024;

const spares: Buffer[] = [];
let short: Buffer | null = null;

/** A text's bytes in UTF-8, for whoever copies them: good until the next are asked for. */
export function lentBytes(text: string): Buffer {
  if (3 * text.length > FIRST_BYTES) return Buffer.from(text);
  short ??= Buffer.allocUnsafeSlow(FIRST_BYTES);
  return short.subarray(0, short.write(text, "utf8"));
}

export class AnswerBytes {
  #buffer: Buffer = spares.pop() ?? Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;

  text(text: string): void {
    // A character takes three bytes at most; of two halves of one, two each.
    const buffer = this.#room(3 * text.length);
    const from = this.#length;
    if (text.length <= SHORT_LENGTH) {
      let i = 0;
      for (; i < text.length; i++) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) break;
        buffer[from + i] = code;
      }
      if (i === text.length) {
        this.#length += i;
        return;
      }
    }
    this.#length += buffer.write(text, from, "utf8");
  }

  /** Bytes of a buffer as they are. */
  bytes(from: Buffer, start: number, end: number): void {
    const buffer = this.#room(end - start);
    this.#length += from.copy(buffer, this.#length, start, end);
  }

  /** All that was written; more must not be. */
  whole(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** The same for whoever sends it. */
  lend(): LentBytes {
    const buffer = this.#buffer;
    return {
      bytes: this.whole(),
      giveBack: () => {
        if (spares.length < SPARES_MAX && buffer.length <= SPARE_BYTES_MAX) spares.push(buffer);
      },
    };
  }

  #room(bytes: number): Buffer {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return this.#buffer;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(grown, 0, 0, this.#length);
    return (this.#buffer = grown);
  }
}
