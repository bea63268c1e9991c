/**
 * One bulk string that arrives in several chunks: gathered in a buffer that grows with what arrives, never
 * with what was announced, so that a length alone takes no memory.
 */
const FIRST_BYTES = 1024;

export class PartialBulk {
  /** Bytes of the string and of the line end behind it. */
  readonly #wantedBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  #filledBytes = 0;
  #isKept = true;

  constructor(lengthBytes: number) {
    this.#wantedBytes = lengthBytes + 2;
  }

  get isComplete(): boolean {
    return this.#filledBytes === this.#wantedBytes;
  }

  /** Memory it holds. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** Takes what belongs to it from a chunk, from an offset on; returns how many bytes that was. */
  take(chunk: Buffer, from: number): number {
    const bytes = Math.min(chunk.length - from, this.#wantedBytes - this.#filledBytes);
    if (this.#isKept) {
      this.#makeRoom(this.#filledBytes + bytes);
      chunk.copy(this.#buffer, this.#filledBytes, from, from + bytes);
    }
    this.#filledBytes += bytes;
    return bytes;
  }

  /** From now on its bytes are only counted. */
  discard(): void {
    this.#isKept = false;
    this.#buffer = Buffer.alloc(0);
  }

  /** The byte string with its line end, once it is complete; empty where it was discarded. */
  text(): string {
    return this.#buffer.toString("latin1", 0, this.#isKept ? this.#wantedBytes : 0);
  }

  #makeRoom(neededBytes: number): void {
    if (neededBytes <= this.#buffer.length) return;
    const capacity = Math.min(this.#wantedBytes, Math.max(neededBytes, this.#buffer.length * 2, FIRST_BYTES));
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.#buffer.copy(grown, 0, 0, this.#filledBytes);
    this.#buffer = grown;
  }
}
