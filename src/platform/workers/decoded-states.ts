/**
 * Decoded states that were read lately, each beside the bytes it was decoded from. The bytes are read from the
 * store every time, and only where they are the same is the state taken from here: decoding is what costs, and
 * what is kept can never be stale.
 */
import type { ViewFold, ViewState } from "../../fold/view-fold.ts";

interface DecodedState {
  readonly fold: ViewFold;
  readonly bytes: Uint8Array;
  readonly state: ViewState;
}

/** What a decoded state takes, by its encoded size, and what an entry takes beyond that. */
const DECODED_FACTOR = 3;
const ENTRY_BYTES = 300;

export class DecodedStates {
  readonly #bytesMax: number;
  readonly #entries = new Map<string, DecodedState>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** About what is kept takes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `bytes` are kept; `name` says what the state is of. Throws `STATE_CODEC`. */
  decode(name: string, fold: ViewFold, bytes: Uint8Array): ViewState {
    const known = this.#entries.get(name);
    if (known !== undefined) {
      if (known.fold === fold && Buffer.compare(known.bytes, bytes) === 0) return known.state;
      this.#drop(name, known);
    }
    const entry: DecodedState = { fold, bytes, state: fold.decode(bytes) };
    this.#entries.set(name, entry);
    this.#bytes += sizeOf(entry);
    for (const [oldest, dropped] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest, dropped);
    }
    return entry.state;
  }

  #drop(name: string, entry: DecodedState): void {
    this.#entries.delete(name);
    this.#bytes -= sizeOf(entry);
  }
}

function sizeOf({ bytes }: DecodedState): number {
  return bytes.length * DECODED_FACTOR + ENTRY_BYTES;
}
