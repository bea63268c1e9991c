/**
 * Hot states that cannot lie in cells (of sketches, lists, texts in a window): objects of the heap.
 *
 * Letting go takes second chances: a hand goes round the entries, takes what was used
 * since its last visit for unused from now on, and lets go what was not. The hand stays where it stopped: a Map that is
 * walked from its beginning each time steps over every entry that was deleted there, thousands for each one let go.
 *
 * What takes no place in memory is a guest: it stays until it is written, if it is changed, and else until another is
 * read, which is decoded over it.
 */
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import type { LocalOnlineStore, StateSpace, StateWrite } from "../online-store/online-store.ts";
import { type EntityKey, ownKey } from "../schema/entity-key.ts";
import { Admission, HOT_BYTES_MAX, HOT_COUNT_MAX } from "./hot-limits.ts";
import type { HotState, HotStates, HotStatesOptions } from "./hot-states.ts";
import type { SpaceTotals } from "./space-totals.ts";

/** What a decoded state takes, by its encoded size, and what an entry takes beyond that. */
const DECODED_FACTOR = 2;
const ENTRY_BYTES = 800;
/** Of states that left, for those to come. */
const SPARE_BYTES_MAX = 4 * 1024 * 1024;
/** A state may take the memory of another that is in the same step of encoded sizes. */
const SPARE_STEP_BYTES = 256;
/** How far the hand goes at once, where next to nothing can be let go. */
const STEPS_MAX = 1000;

interface Entry<S extends ViewState> extends HotState<S> {
  readonly key: EntityKey;
  state: S;
  /** Changed since the last flush began. */
  dirty: boolean;
  /** Changed in a way that the store will know only once the state is written whole: its tail does not say it. */
  whole: boolean;
  /** Part of a commit under way. */
  flushing: boolean;
  used: boolean;
  /** Stays until it is written, and no longer. */
  readonly isGuest: boolean;
  /** Encoded size when last read or written. */
  bytes: number;
  /** Of the state's last event, as the totals count it. */
  countedTime: number;
}

export class ObjectStates<S extends ViewState> implements HotStates<S> {
  readonly space: StateSpace;
  readonly #fold: ViewFold<S>;
  readonly #store: LocalOnlineStore;
  readonly #epoch: number;
  readonly #countMax: number;
  readonly #bytesMax: () => number;
  totals: SpaceTotals | null = null;
  readonly #entries = new Map<EntityKey, Entry<S>>();
  catchUp: ((key: EntityKey, state: S) => void) | null = null;
  readonly #guests = new Map<EntityKey, Entry<S>>();
  /** The one that was read last without taking a place. */
  #lent: S | null = null;
  /** States that nobody needs any more, by their size. */
  readonly #spares = new Map<number, S[]>();
  #spareBytes = 0;
  readonly #admission = new Admission();
  /** Null until it is needed: an iterator keeps every table that the Map outgrows before its next step. */
  #hand: Iterator<readonly [EntityKey, Entry<S>]> | null = null;
  #dirty: Entry<S>[] = [];
  #bytes = 0;

  constructor({
    fold,
    store,
    space,
    epoch,
    countMax = HOT_COUNT_MAX,
    bytesMax = () => HOT_BYTES_MAX,
    heapBytesMax = bytesMax,
  }: HotStatesOptions<S>) {
    this.space = space;
    this.#epoch = epoch;
    this.#fold = fold;
    this.#store = store;
    this.#countMax = countMax;
    this.#bytesMax = heapBytesMax;
  }

  get count(): number {
    return this.#entries.size + this.#guests.size;
  }

  get dirtyCount(): number {
    return this.#dirty.length;
  }

  get(key: EntityKey): S | null {
    const entry = this.#find(key);
    if (entry !== undefined) return entry.state.lastOffset === Number.NEGATIVE_INFINITY ? null : entry.state;
    const bytes = this.#store.lend(this.space, key);
    if (bytes === null) return null;
    const { length } = bytes;
    if (!this.#takesPlace(length)) return (this.#lent = this.#decode(key, bytes, this.#lent));
    return this.#keep(key, this.#decode(key, bytes, this.#takeSpare(length)), length).state;
  }

  entry(key: EntityKey): Entry<S> {
    const entry = this.#find(key);
    if (entry !== undefined) return entry;
    const bytes = this.#store.lend(this.space, key);
    const length = bytes?.length ?? 0;
    const state = bytes === null ? this.#fold.empty() : this.#decode(key, bytes, this.#takeSpare(length));
    return this.#takesPlace(length) ? this.#keep(key, state, length) : this.#invite(key, state, length);
  }

  replace(key: EntityKey, state: S): Entry<S> {
    const entry = this.entry(key);
    entry.state = state;
    return entry;
  }

  bytesOf(key: EntityKey): number {
    return (this.#entries.get(key) ?? this.#guests.get(key))?.bytes ?? 0;
  }

  markDirty(marked: HotState<S>, inTail: boolean = false): void {
    const entry = marked as Entry<S>;
    if (!inTail || entry.bytes === 0) entry.whole = true;
    if (entry.dirty) return;
    entry.dirty = true;
    this.#dirty.push(entry);
  }

  get wholeCount(): number {
    return this.#dirty.reduce((count, { whole }) => (whole ? count + 1 : count), 0);
  }

  takeWrites(): { readonly states: StateWrite[]; committed(): void } {
    const taken = this.#dirty;
    this.#dirty = [];
    const states: StateWrite[] = [];
    for (const entry of taken) {
      entry.dirty = false;
      entry.flushing = true;
      const { lastEventTime } = entry.state;
      this.totals?.moved(entry.countedTime, lastEventTime);
      entry.countedTime = lastEventTime;
      if (!entry.whole) continue;
      const bytes = this.#fold.encode(entry.state);
      this.totals?.grew(bytes.length - entry.bytes);
      if (!entry.isGuest) this.#bytes += bytes.length - entry.bytes;
      entry.bytes = bytes.length;
      entry.whole = false;
      states.push({ space: this.space, key: entry.key, epoch: this.#epoch, offset: entry.state.lastOffset, bytes });
    }
    return {
      states,
      committed: () => {
        for (const entry of taken) entry.flushing = false;
        this.#letGuestsGo();
        this.#letGo();
      },
    };
  }

  /** They are of the heap. */
  leave(): void {}

  #find(key: EntityKey): Entry<S> | undefined {
    const entry = this.#entries.get(key) ?? this.#guests.get(key);
    if (entry !== undefined) entry.used = true;
    return entry;
  }

  /** `bytes` are lent by the store: nothing may be asked of it before they are decoded. */
  #decode(key: EntityKey, bytes: Uint8Array, over: S | null): S {
    const state = this.#fold.decode(bytes, over);
    this.catchUp?.(key, state);
    return state;
  }

  #takesPlace(bytes: number): boolean {
    return this.#admission.takesPlace(this.#isFullWith(1, bytes));
  }

  #keep(key: EntityKey, state: S, bytes: number): Entry<S> {
    const entry = entryOf(key, state, bytes, false);
    this.#entries.set(entry.key, entry);
    this.#bytes += bytes;
    this.#letGo(entry);
    return entry;
  }

  #invite(key: EntityKey, state: S, bytes: number): Entry<S> {
    const entry = entryOf(key, state, bytes, true);
    this.#guests.set(entry.key, entry);
    return entry;
  }

  /** Those that are written; whoever came again since then stays once more. */
  #letGuestsGo(): void {
    for (const [key, guest] of this.#guests) {
      if (guest.dirty || guest.flushing) continue;
      if (guest.used) {
        guest.used = false;
        continue;
      }
      this.#guests.delete(key);
      this.#leaveSpare(guest);
    }
  }

  #takeSpare(bytes: number): S | null {
    const step = Math.floor(bytes / SPARE_STEP_BYTES);
    const spare = this.#spares.get(step)?.pop();
    if (spare === undefined) return null;
    this.#spareBytes -= step * SPARE_STEP_BYTES;
    return spare;
  }

  #leaveSpare({ state, bytes }: Entry<S>): void {
    if (this.#spareBytes > SPARE_BYTES_MAX) return;
    const step = Math.floor(bytes / SPARE_STEP_BYTES);
    const spares = this.#spares.get(step);
    if (spares === undefined) this.#spares.set(step, [state]);
    else spares.push(state);
    this.#spareBytes += step * SPARE_STEP_BYTES;
  }

  /** Whether there is more in memory than may be, with so many more entries of so many bytes. */
  #isFullWith(more: number, bytes: number): boolean {
    const count = this.#entries.size + more;
    const memory = (this.#bytes + bytes) * DECODED_FACTOR + count * ENTRY_BYTES;
    return count > this.#countMax || memory > this.#bytesMax();
  }

  /** All but `kept`, which is about to be used. */
  #letGo(kept?: Entry<S>): void {
    for (let steps = Math.min(this.#entries.size, STEPS_MAX); steps > 0 && this.#isFullWith(0, 0); steps--) {
      const [key, entry] = this.#nextOfRound();
      if (entry.dirty || entry.flushing || entry.used || entry === kept) entry.used = false;
      else {
        this.#entries.delete(key);
        this.#bytes -= entry.bytes;
        this.#leaveSpare(entry);
      }
    }
  }

  /** There is one. */
  #nextOfRound(): readonly [EntityKey, Entry<S>] {
    const next = this.#hand?.next();
    if (next !== undefined && next.done !== true) return next.value;
    this.#hand = this.#entries.entries();
    return (this.#hand.next() as IteratorYieldResult<readonly [EntityKey, Entry<S>]>).value;
  }
}

function entryOf<S extends ViewState>(key: EntityKey, state: S, bytes: number, isGuest: boolean): Entry<S> {
  const flags = { dirty: false, whole: false, flushing: false, used: false, isGuest };
  return { key: ownKey(key), state, ...flags, bytes, countedTime: state.lastEventTime };
}
