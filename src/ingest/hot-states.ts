/**
 * The decoded states of one view that are in use: read from the store when asked for, written back by the
 * flush unless what changed them is in a tail (`tail-group.ts`), let go when there are too many.
 *
 * A state that the store does not yet hold as it is (changed, or in a commit under way) is never let go.
 * Letting go takes second chances: a hand goes round the entries, takes what was used since its last visit for
 * unused from now on, and lets go what was not. The hand stays where it stopped: a Map that is walked from its
 * beginning each time steps over every entry that was deleted there, thousands for each one let go.
 */
import { type EntityKey, ownKey } from "../schema/entity-key.ts";
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import type { LocalOnlineStore, StateSpace, StateWrite } from "../online-store/online-store.ts";
import type { SpaceTotals } from "./space-totals.ts";

/** Bytes an entry takes beyond its encoded state. */
const ENTRY_BYTES = 200;
const COUNT_MAX = 1_000_000;
const BYTES_MAX = 128 * 1024 * 1024;
/** So many changed states are a reason to flush, however many are kept. */
const DIRTY_MAX = 100_000;
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
  /** Of encoded states; in memory they take some two times as much. Asked each time, as it may change. */
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
  /** Brings a state that was just read to the present where the store has more of it than was written whole. */
  catchUp: ((key: EntityKey, state: S) => void) | null = null;
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
  }

  get count(): number {
    return this.#entries.size;
  }

  get dirtyCount(): number {
    return this.#dirty.length;
  }

  /** Whether so much is dirty that a flush should not wait. */
  get crowded(): boolean {
    return this.#dirty.length > Math.min(this.#countMax / 2, DIRTY_MAX);
  }

  /** The entity's state, or null where nothing was folded for it. */
  get(key: EntityKey): S | null {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.used = true;
      return entry.state.lastOffset === Number.NEGATIVE_INFINITY ? null : entry.state;
    }
    return this.#load(key)?.state ?? null;
  }

  /** The entity's state to fold into: an empty one where there is none. */
  entry(key: EntityKey): HotState<S> {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.used = true;
      return entry;
    }
    return this.#load(key) ?? this.#keep(key, this.#fold.empty(), 0);
  }

  /** Another state in place of the entity's. */
  replace(key: EntityKey, state: S): HotState<S> {
    const entry = this.entry(key);
    (entry as { state: S }).state = state;
    return entry;
  }

  /** Encoded size when last read or written; 0 where it is not in memory or was never written. */
  bytesOf(key: EntityKey): number {
    return this.#entries.get(key)?.bytes ?? 0;
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
      this.#bytes += bytes.length - entry.bytes;
      entry.bytes = bytes.length;
      entry.whole = false;
      states.push({ space: this.space, key: entry.key, epoch: this.#epoch, offset: entry.state.lastOffset, bytes });
    }
    return {
      states,
      committed: () => {
        for (const entry of taken) entry.flushing = false;
        this.#letGo();
      },
    };
  }

  #load(key: EntityKey): HotState<S> | null {
    const bytes = this.#store.lend(this.space, key);
    if (bytes === null) return null;
    const { length } = bytes;
    const state = this.#fold.decode(bytes);
    this.catchUp?.(key, state);
    return this.#keep(key, state, length);
  }

  #keep(given: EntityKey, state: S, bytes: number): HotState<S> {
    const key = ownKey(given);
    const { lastEventTime: countedTime } = state;
    const flags = { dirty: false, whole: false, flushing: false, used: false };
    const entry: HotState<S> = { key, state, ...flags, bytes, countedTime };
    this.#entries.set(key, entry);
    this.#bytes += bytes;
    this.#letGo(entry);
    return entry;
  }

  #isFull(): boolean {
    return this.#entries.size > this.#countMax || this.#bytes + this.#entries.size * ENTRY_BYTES > this.#bytesMax();
  }

  /** All but `kept`, which is about to be used. */
  #letGo(kept?: HotState<S>): void {
    for (let steps = Math.min(this.#entries.size, STEPS_MAX); steps > 0 && this.#isFull(); steps--) {
      const [key, entry] = this.#nextOfRound();
      if (entry.dirty || entry.flushing || entry.used || entry === kept) entry.used = false;
      else {
        this.#entries.delete(key);
        this.#bytes -= entry.bytes;
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
