/**
 * Bytes of a connection that were received and not understood yet. Kept in a buffer of their own: what a
 * socket hands out is a slice of far more, and a slow sender's would be thousands of slices.
 *
 * What is kept beyond a few is taken from the account of all connections' bytes.
 */
import type { BytesUnderWay } from "../request-body.ts";

/** What each connection may keep without asking. */
const FREE_BYTES = 16 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

export class UnreadBytes {
  readonly #account: BytesUnderWay;
  #buffer = EMPTY;
  #length = 0;
  #heldBytes = 0;
  #isTooMuch = false;

  constructor(account: BytesUnderWay) {
    this.#account = account;
  }

  /** Whether the account had no room for what is kept. */
  get isTooMuch(): boolean {
    return this.#isTooMuch;
  }

  get length(): number {
    return this.#length;
  }

  /** All that is unread and then the chunk, kept here too unless it is the chunk alone. */
  with(chunk: Buffer): Buffer {
    if (this.#length === 0) return chunk;
    this.#append(chunk);
    return this.all();
  }

  all(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** From now on what follows `start` in `bytes`, which came from here, is unread. */
  keepFrom(bytes: Buffer, start: number): void {
    if (start === 0 && bytes.length === this.#length && bytes.buffer === this.#buffer.buffer) return;
    this.drop();
    if (start < bytes.length) this.#append(bytes.subarray(start));
  }

  /** The buffer is never written over: whoever was given its bytes keeps them. */
  drop(): void {
    this.#buffer = EMPTY;
    this.#length = 0;
    this.#account.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
    this.#isTooMuch = false;
  }

  #append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
      this.#hold();
    }
    chunk.copy(this.#buffer, this.#length);
    this.#length = length;
  }

  #hold(): void {
    const { length } = this.#buffer;
    if (length <= FREE_BYTES) return;
    if (this.#account.take(length - this.#heldBytes)) this.#heldBytes = length;
    else this.#isTooMuch = true;
  }
}
