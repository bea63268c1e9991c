/**
 * Decoded states that were read lately, or again and again, each beside the bytes it was decoded from, those of its tail
 * too. The bytes are read from the store every time, and only where they are the same is the state taken from here, or
 * folded on where only its tail has grown: decoding is what costs, and what is kept can never be stale.
 */
import { type Chanced, SecondChances } from "../../base/second-chances.ts";
import { TAIL_HEAD_BYTES } from "../../ingest/event-tail.ts";
import type { ViewFold, ViewState } from "../../fold/view-fold.ts";

interface DecodedState extends Chanced {
  readonly name: string;
  fold: ViewFold;
  bytes: Uint8Array;
  state: ViewState;
  /** Of the state and its bytes, without its tail. */
  size: number;
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

/** What a decoded state takes, by its encoded size and that of its tail, and what an entry takes beyond that. */
const DECODED_FACTOR = 2;
const ENTRY_BYTES = 900;
const NO_BYTES = new Uint8Array();

export class DecodedStates {
  readonly #bytesMax: number;
  readonly #stateIn: ((bytes: Uint8Array) => Uint8Array) | null;
  readonly #entries = new Map<string, DecodedState>();
  readonly #order = new SecondChances<DecodedState>();
  #bytes = 0;
  readonly #isTooMuch = (): boolean => this.#bytes > this.#bytesMax;
  readonly #letGo = (entry: DecodedState): void => {
    this.#entries.delete(entry.name);
    this.#bytes -= sizeOf(entry);
  };

  /** Of stores whose bytes are not the state itself, and are lent, `stateIn` gives it. */
  constructor(bytesMax: number, stateIn: ((bytes: Uint8Array) => Uint8Array) | null = null) {
    this.#bytesMax = bytesMax;
    this.#stateIn = stateIn;
  }

  /** About what is kept takes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `bytes` are kept, or a copy of those that are lent; `name` says what the state is of. Throws `STATE_CODEC`. */
  decode(name: string, fold: ViewFold, bytes: Uint8Array, tail: StateTail | null = null): ViewState {
    const known = this.#entries.get(name);
    const sizeBefore = known === undefined ? 0 : sizeOf(known);
    if (known === undefined || known.fold !== fold || !isSame(known.bytes, bytes) || !foldOn(known, tail)) {
      return this.#decodeAnew(known, name, fold, bytes, tail);
    }
    known.isAskedFor = true;
    this.#grow(sizeOf(known) - sizeBefore);
    return known.state;
  }

  /** In the place of what is known under the name. */
  #decodeAnew(
    known: DecodedState | undefined,
    name: string,
    fold: ViewFold,
    given: Uint8Array,
    tail: StateTail | null,
  ): ViewState {
    const encoded = this.#stateIn === null ? given : this.#stateIn(given);
    const size = given.length + encoded.length * DECODED_FACTOR + ENTRY_BYTES;
    const state = fold.decode(encoded);
    // Not by `Buffer`, which would hold a whole block of many buffers for each that is kept.
    const bytes = this.#stateIn === null ? given : new Uint8Array(given);
    const entry: DecodedState = {
      name,
      fold,
      bytes,
      state,
      size,
      tail: null,
      before: 0,
      isAskedFor: true,
      isKept: true,
    };
    foldOn(entry, tail);
    if (known === undefined) {
      this.#entries.set(name, entry);
      this.#order.add(entry);
      this.#grow(sizeOf(entry));
    } else {
      const sizeBefore = sizeOf(known);
      Object.assign(known, entry);
      this.#grow(sizeOf(entry) - sizeBefore);
    }
    return state;
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    this.#order.makeRoom(this.#entries.size, this.#isTooMuch, this.#letGo);
  }
}

/** False where the state holds another tail than what this one begins with. */
function foldOn(known: DecodedState, tail: StateTail | null): boolean {
  if (tail === null) return known.tail === null;
  const { tail: folded, before } = known;
  if (folded !== null && (tail.before < before || !beginsWith(tail.bytes, folded))) return false;
  if (tail.before > before || tail.bytes.length !== folded?.length) {
    const { bytes } = known;
    // Where it throws in the midst, the state is of no bytes.
    known.bytes = NO_BYTES;
    tail.foldInto(known.state);
    known.bytes = bytes;
  }
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

function sizeOf({ size, tail }: DecodedState): number {
  return size + (tail?.length ?? 0) * (1 + DECODED_FACTOR);
}
