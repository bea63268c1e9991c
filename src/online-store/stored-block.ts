/**
 * States of one commit, with their versions, one behind another in large blocks that are used again: to the garbage
 * collector, and to the store, which asks for the address of each buffer, they are a few.
 */
import type { StoredState } from "./online-store.ts";
import { VERSION_BYTES, writeStored } from "./stored-state.ts";

const BLOCK_BYTES = 256 * 1024;
/** Blocks that wait for the next commit. */
const SPARES_MAX = 8;

export class StoredBlocks {
  readonly #spares: Buffer[] = [];
  #blocks: Buffer[] = [];
  #block: Buffer = Buffer.alloc(0);
  #used = 0;

  /** A copy, good until `reuse`. */
  add(state: StoredState): Buffer {
    const length = VERSION_BYTES + state.bytes.length;
    const stored = length > BLOCK_BYTES ? Buffer.allocUnsafeSlow(length) : this.#room(length);
    writeStored(state, stored);
    return stored;
  }

  /** All that was added is part of a commit that begins now. */
  take(): readonly Buffer[] {
    const taken = this.#blocks;
    this.#blocks = [];
    this.#block = Buffer.alloc(0);
    this.#used = 0;
    return taken;
  }

  /** To be called once the commit is done; not where it failed, for then the store may still read them. */
  reuse(taken: readonly Buffer[]): void {
    for (const block of taken) if (this.#spares.length < SPARES_MAX) this.#spares.push(block);
  }

  #room(bytes: number): Buffer {
    if (this.#used + bytes > this.#block.length) {
      this.#block = this.#spares.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#blocks.push(this.#block);
      this.#used = 0;
    }
    return this.#block.subarray(this.#used, (this.#used += bytes));
  }
}
