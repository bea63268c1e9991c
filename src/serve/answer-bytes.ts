/**
 * The text of a long answer, put together as its bytes in UTF-8: parts that were kept are copied as they are, and never
 * become strings, which would be made, joined and turned into bytes again.
 */

const FIRST_BYTES = 64 * 1024;
/** Texts up to this length are quicker written here than by a call into the runtime. */
const SHORT_LENGTH = 64;

export class AnswerBytes {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
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

  #room(bytes: number): Buffer {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return this.#buffer;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(grown, 0, 0, this.#length);
    return (this.#buffer = grown);
  }
}
