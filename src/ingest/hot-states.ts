/**
 * The states of one view that are in use: read from the store when asked for, written back by the
 * flush unless what changed them is in a tail (`tail-group.ts`), let go when there are too many.
 *
 * A state that the store does not yet hold as it is (changed, or in a commit under way) is never let go.
 *
 * States that are numbers alone, as most are, stay in memory as bytes (`packed-states.ts`): decoding them over another
 * that is needed no more is as quick as finding them. Only those that events are folded into are objects, guests, from
 * their event until they are written. To keep each as objects has the garbage collector look at all of them again and
 * again.
 *
 * Others stay as they are decoded. Letting go takes second chances: a hand goes round the entries, takes what was used
 * since its last visit for unused from now on, and lets go what was not. The hand stays where it stopped: a Map that is
 * walked from its beginning each time steps over every entry that was deleted there, thousands for each one let go.
 *
 * While there is room all that is asked for stays. Once there is none, only each so many-th of what is not in memory
 * takes the place of something that is: what is asked for often is in before long, and what is asked for once is not
 * worth what letting go and keeping take. Else a state that is read is decoded over the one that was so read before.
 */
import { type EntityKey, ownKey } from "../schema/entity-key.ts";
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import type { LocalOnlineStore, StateSpace, StateWrite } from "../online-store/online-store.ts";
import { PackedStates } from "./packed-states.ts";
import type { SpaceTotals } from "./space-totals.ts";

/** What a decoded state takes, by its encoded size, and what an entry takes beyond that. */
const DECODED_FACTOR = 2;
const ENTRY_BYTES = 800;
const COUNT_MAX = 1_000_000;
const BYTES_MAX = 128 * 1024 * 1024;
/** So many changed states are a reason to flush, however many are kept. */
const DIRTY_MAX = 100_000;
/** Of states that are asked for and not in memory, while that is full, so many-th takes a place in it. */
const ADMITTED_ONE_IN = 8;
/** Of states that left, for those to come. */
const SPARE_BYTES_MAX = 4 * 1024 * 1024;
/** A state may take the memory of another that is in the same step of encoded sizes. */
const SPARE_STEP_BYTES = 256;
/** How far the hand goes at once, where next to nothing can be let go. */
const STEPS_MAX = 1000;

export interface HotState<S extends ViewState = ViewState> {
  readonly key: EntityKey;
  readonly state: S;
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

export interface HotStatesOptions<S extends ViewState> {
  readonly fold: ViewFold<S>;
  readonly store: LocalOnlineStore;
  readonly space: StateSpace;
  /** That the space is of. */
  readonly epoch: number;
  readonly countMax?: number;
  /** Asked each time, as it may change. */
  readonly bytesMax?: () => number;
}

export class HotStates<S extends ViewState = ViewState> {
  readonly space: StateSpace;
  readonly #fold: ViewFold<S>;
  readonly #store: LocalOnlineStore;
  readonly #epoch: number;
  readonly #countMax: number;
  readonly #bytesMax: () => number;
  /** Told of every change that is written, where there are any. */
  totals: SpaceTotals | null = null;
  readonly #entries = new Map<EntityKey, HotState<S>>();
  /** Null where states are kept in `#entries`. */
  readonly #packed: PackedStates | null;
  /** Brings a state that was just read to the present where the store has more of it than was written whole. */
  catchUp: ((key: EntityKey, state: S) => void) | null = null;
  readonly #guests = new Map<EntityKey, HotState<S>>();
  /** The one that was read last without taking a place. */
  #lent: S | null = null;
  /** States that nobody needs any more, by their size. */
  readonly #spares = new Map<number, S[]>();
  #spareBytes = 0;
  #missed = 0;
  /** Null until it is needed: an iterator keeps every table that the Map outgrows before its next step. */
  #hand: Iterator<readonly [EntityKey, HotState<S>]> | null = null;
  #dirty: HotState<S>[] = [];
  #bytes = 0;

  constructor({ fold, store, space, epoch, countMax = COUNT_MAX, bytesMax = () => BYTES_MAX }: HotStatesOptions<S>) {
    this.space = space;
    this.#epoch = epoch;
    this.#fold = fold;
    this.#store = store;
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
    this.#packed = fold.isPlain ? new PackedStates({ countMax, bytesMax }) : null;
  }

  get count(): number {
    return this.#entries.size + this.#guests.size + (this.#packed?.count ?? 0);
  }

  get dirtyCount(): number {
    return this.#dirty.length;
  }

  /** Whether so much is dirty that a flush should not wait. */
  get crowded(): boolean {
    return this.#dirty.length > Math.min(this.#countMax / 2, DIRTY_MAX);
  }

  /** The entity's state, or null where nothing was folded for it. Good until another is asked for. */
  get(key: EntityKey): S | null {
    const entry = this.#find(key);
    if (entry !== undefined) return entry.state.lastOffset === Number.NEGATIVE_INFINITY ? null : entry.state;
    const packed = this.#packed?.get(key) ?? null;
    if (packed !== null) return (this.#lent = this.#fold.decode(packed, this.#lent));
    const bytes = this.#store.lend(this.space, key);
    if (bytes === null) return null;
    const { length } = bytes;
    const takesPlace = this.#takesPlace(length);
    if (takesPlace && this.#packed === null) {
      return this.#keep(key, this.#decode(key, bytes, this.#takeSpare(length)), length).state;
    }
    this.#lent = this.#decode(key, bytes, this.#lent);
    if (takesPlace) this.#packed?.put(ownKey(key), this.#fold.lend(this.#lent), length);
    return this.#lent;
  }

  /** The entity's state to fold into: an empty one where there is none. */
  entry(key: EntityKey): HotState<S> {
    const entry = this.#find(key);
    if (entry !== undefined) return entry;
    const packed = this.#packed?.get(key) ?? null;
    if (packed !== null) {
      return this.#invite(key, this.#fold.decode(packed, this.#takeSpare(packed.length)), this.#packed!.note);
    }
    const bytes = this.#store.lend(this.space, key);
    const length = bytes?.length ?? 0;
    const state = bytes === null ? this.#fold.empty() : this.#decode(key, bytes, this.#takeSpare(length));
    const stays = this.#packed === null && this.#takesPlace(length);
    return stays ? this.#keep(key, state, length) : this.#invite(key, state, length);
  }

  /** Another state in place of the entity's. */
  replace(key: EntityKey, state: S): HotState<S> {
    const entry = this.entry(key);
    (entry as { state: S }).state = state;
    return entry;
  }

  /** Encoded size when last read or written; 0 where it is kept as bytes alone, is not in memory or was never written. */
  bytesOf(key: EntityKey): number {
    return (this.#entries.get(key) ?? this.#guests.get(key))?.bytes ?? 0;
  }

  /** `inTail`: what changed it is in its tail, which is written by others. A state that is new is written all the same. */
  markDirty(entry: HotState<S>, inTail: boolean = false): void {
    if (!inTail || entry.bytes === 0) entry.whole = true;
    if (entry.dirty) return;
    entry.dirty = true;
    this.#dirty.push(entry);
  }

  /** Changed states that are to be written whole. */
  get wholeCount(): number {
    return this.#dirty.reduce((count, { whole }) => (whole ? count + 1 : count), 0);
  }

  /** What is to be written of the changed states as they are now; `committed` is to be called once they are in the store. */
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

  #find(key: EntityKey): HotState<S> | undefined {
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

  /** Whether a state that is not in memory is to be from now on. */
  #takesPlace(bytes: number): boolean {
    if (!(this.#packed?.isFull ?? this.#isFullWith(1, bytes))) return true;
    this.#missed = (this.#missed + 1) % ADMITTED_ONE_IN;
    return this.#missed === 0;
  }

  #keep(key: EntityKey, state: S, bytes: number): HotState<S> {
    const entry = entryOf(key, state, bytes, false);
    this.#entries.set(entry.key, entry);
    this.#bytes += bytes;
    this.#letGo(entry);
    return entry;
  }

  #invite(key: EntityKey, state: S, bytes: number): HotState<S> {
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
      this.#pack(guest);
      this.#leaveSpare(guest);
    }
  }

  #pack({ key, state, bytes }: HotState<S>): void {
    const packed = this.#packed;
    // Nothing was folded for it, as where its first event was poison.
    if (packed === null || state.lastOffset === Number.NEGATIVE_INFINITY) return;
    if (packed.has(key) || this.#takesPlace(bytes)) packed.put(key, this.#fold.lend(state), bytes);
  }

  #takeSpare(bytes: number): S | null {
    const step = Math.floor(bytes / SPARE_STEP_BYTES);
    const spare = this.#spares.get(step)?.pop();
    if (spare === undefined) return null;
    this.#spareBytes -= step * SPARE_STEP_BYTES;
    return spare;
  }

  #leaveSpare({ state, bytes }: HotState<S>): void {
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
  #letGo(kept?: HotState<S>): void {
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
  #nextOfRound(): readonly [EntityKey, HotState<S>] {
    const next = this.#hand?.next();
    if (next !== undefined && next.done !== true) return next.value;
    this.#hand = this.#entries.entries();
    return (this.#hand.next() as IteratorYieldResult<readonly [EntityKey, HotState<S>]>).value;
  }
}

function entryOf<S extends ViewState>(key: EntityKey, state: S, bytes: number, isGuest: boolean): HotState<S> {
  const flags = { dirty: false, whole: false, flushing: false, used: false, isGuest };
  return { key: ownKey(key), state, ...flags, bytes, countedTime: state.lastEventTime };
}
