/**
 * Decoded states that were read lately, each beside the bytes it was decoded from, those of its tail too. The bytes are
 * read from the store every time, and only where they are the same is the state taken from here, or folded on where only
 * its tail has grown: decoding is what costs, and what is kept can never be stale.
 */
import { TAIL_HEAD_BYTES } from "../../ingest/event-tail.ts";
import type { ViewFold, ViewState } from "../../fold/view-fold.ts";

interface DecodedState {
  readonly fold: ViewFold;
  readonly bytes: Uint8Array;
  readonly state: ViewState;
  /** The tail that is folded into the state, and up to which position. */
  tail: Uint8Array | null;
  before: number;
}

/** Newest events of a state's entity, as they are stored beside it. */
export interface StateTail {
  readonly bytes: Uint8Array;
  /** Position of the view: events from there on are not in it yet. */
  readonly before: number;
  foldInto(state: ViewState): void;
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
  decode(name: string, fold: ViewFold, bytes: Uint8Array, tail: StateTail | null = null): ViewState {
    const known = this.#entries.get(name);
    if (known !== undefined) {
      if (known.fold === fold && isSame(known.bytes, bytes) && foldOn(known, tail)) return known.state;
      this.#drop(name, known);
    }
    const entry: DecodedState = { fold, bytes, state: fold.decode(bytes), tail: null, before: 0 };
    foldOn(entry, tail);
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

/** False where the state holds another tail than what this one begins with. */
function foldOn(known: DecodedState, tail: StateTail | null): boolean {
  if (tail === null) return known.tail === null;
  const { tail: folded, before } = known;
  if (folded !== null && (tail.before < before || !beginsWith(tail.bytes, folded))) return false;
  if (tail.before > before || tail.bytes.length !== folded?.length) tail.foldInto(known.state);
  known.tail = tail.bytes;
  known.before = tail.before;
  return true;
}

/** Whether the events of one tail are the first of another. */
function beginsWith(tail: Uint8Array, beginning: Uint8Array): boolean {
  const events = tail.subarray(TAIL_HEAD_BYTES, beginning.length);
  return tail.length >= beginning.length && isSame(events, beginning.subarray(TAIL_HEAD_BYTES));
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function sizeOf({ bytes }: DecodedState): number {
  return bytes.length * DECODED_FACTOR + ENTRY_BYTES;
}
