/**
 * Blocks of memory that wait for whoever has something to write next. Those given back last are taken first: they are
 * still in the processor's cache.
 */
export interface SpareBlockLimits {
  /** Of a new block. */
  readonly firstBytes: number;
  /** So many wait at most. */
  readonly sparesMax: number;
  /** One that has grown larger is let go. */
  readonly spareBytesMax: number;
}

export class SpareBlocks {
  readonly #limits: SpareBlockLimits;
  readonly #spares: Buffer[] = [];

  constructor(limits: SpareBlockLimits) {
    this.#limits = limits;
  }

  take(): Buffer {
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(this.#limits.firstBytes);
  }

  /** Nobody may read or write it any more. */
  giveBack(block: Buffer): void {
    const { sparesMax, spareBytesMax } = this.#limits;
    if (block.length <= spareBytesMax && this.#spares.length < sparesMax) this.#spares.push(block);
  }
}
