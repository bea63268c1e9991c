/**
 * Hot states that can lie in cells, those of numbers and of the first and last values of all time: each lies in its view's
 * own memory beside the heap (`placed-memory.ts`), is read and folded into there, and is encoded only when it is written whole. So an event that is in its tail costs a state
 * little more than its own cells.
 *
 * There is one state object for all that are in memory, and one for those that are not: what is asked for is good until
 * the next is.
 */
import type { PlacedFold, ViewFold, ViewState } from "../fold/view-fold.ts";
import type { LocalOnlineStore, StateSpace, StateWrite } from "../online-store/online-store.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { EntitySlots, NO_SLOT } from "./entity-slots.ts";
import type { HotState, HotStates, HotStatesOptions } from "./hot-states.ts";
import { Admission, HOT_BYTES_MAX, HOT_COUNT_MAX } from "./hot-limits.ts";
import { FLUSHING, WHOLE } from "./placed-chunk.ts";
import { PlacedMemory } from "./placed-memory.ts";
import type { SpaceTotals } from "./space-totals.ts";

/** What was asked for to be folded into. */
interface Entry<S extends ViewState> extends HotState<S> {
  state: S;
  key: EntityKey;
  /** `NO_SLOT` where the state is not in memory, which it is to be once it is marked dirty. */
  slot: number;
  /** The state is another than the one that is in memory. */
  isApart: boolean;
  /** Of a state that is not in memory: as of the memory's. */
  storedBytes: number;
  countedTime: number;
}

export class PlacedHotStates<S extends ViewState> implements HotStates<S> {
  readonly space: StateSpace;
  readonly #fold: ViewFold<S>;
  readonly #store: LocalOnlineStore;
  readonly #epoch: number;
  totals: SpaceTotals | null = null;
  catchUp: ((key: EntityKey, state: S) => void) | null = null;
  readonly #slots: EntitySlots;
  readonly #newMemory: () => PlacedMemory<S>;
  #memory: PlacedMemory<S>;
  readonly #admission = new Admission();
  /** Stands for states in memory, one after another. */
  readonly #cursor: S;
  /** The one that was read last and is not in memory. */
  #read: S | null = null;
  readonly #entry: Entry<S>;
  /** Changes since the last flush began are of this round. */
  #round = 1;
  #dirtyCount = 0;
  /** Slots of states that are to be written whole. */
  #whole: number[] = [];
  #leavings = 0;

  constructor(options: HotStatesOptions<S>, placed: PlacedFold<S>) {
    const { fold, store, space, epoch, countMax = HOT_COUNT_MAX, bytesMax = () => HOT_BYTES_MAX } = options;
    this.space = space;
    this.#fold = fold;
    this.#store = store;
    this.#epoch = epoch;
    this.#slots = options.slots ?? new EntitySlots();
    const letGo = (slot: number): void => this.#slots.leave(slot);
    this.#newMemory = () => new PlacedMemory({ placed, countMax, bytesMax, letGo });
    this.#memory = this.#newMemory();
    this.#cursor = placed.cursor();
    const nothing = { key: "", slot: NO_SLOT, isApart: false, storedBytes: 0, countedTime: 0 };
    this.#entry = { state: this.#cursor, ...nothing };
  }

  get count(): number {
    return this.#memory.count;
  }

  get dirtyCount(): number {
    return this.#dirtyCount;
  }

  get wholeCount(): number {
    return this.#whole.length;
  }

  get(key: EntityKey): S | null {
    if (this.#memory.find(this.#slots.find(key))) return this.#memory.open(this.#cursor);
    const bytes = this.#store.lend(this.space, key);
    if (bytes === null) return null;
    const { length } = bytes;
    const state = this.#decode(key, bytes);
    if (this.#admission.takesPlace(this.#memory.isFull)) this.#keep(key, state, length);
    return state;
  }

  entry(key: EntityKey): HotState<S> {
    const entry = this.#entry;
    const slot = this.#slots.find(key);
    entry.key = key;
    entry.isApart = false;
    if (this.#memory.find(slot)) {
      entry.slot = slot;
      entry.state = this.#memory.open(this.#cursor);
      return entry;
    }
    const bytes = this.#store.lend(this.space, key);
    entry.slot = NO_SLOT;
    entry.storedBytes = bytes?.length ?? 0;
    entry.state = bytes === null ? this.#fold.empty() : this.#decode(key, bytes);
    entry.countedTime = entry.state.lastEventTime;
    return entry;
  }

  replace(key: EntityKey, state: S): HotState<S> {
    this.entry(key);
    this.#entry.state = state;
    this.#entry.isApart = true;
    return this.#entry;
  }

  markDirty(marked: HotState<S>, inTail: boolean = false): void {
    const entry = marked as Entry<S>;
    const memory = this.#memory;
    const isNew = entry.slot === NO_SLOT;
    if (isNew) this.#takeIn(entry);
    else memory.find(entry.slot);
    if (memory.changedIn !== this.#round) {
      memory.changedIn = this.#round;
      this.#dirtyCount++;
    }
    if ((!inTail || memory.storedBytes === 0) && (memory.flags & WHOLE) === 0) {
      memory.flags |= WHOLE;
      this.#whole.push(entry.slot);
    }
    const { lastEventTime } = entry.state;
    if (memory.countedTime !== lastEventTime) {
      this.totals?.moved(memory.countedTime, lastEventTime);
      memory.countedTime = lastEventTime;
    }
    if (isNew || (!entry.isApart && memory.settle(this.#cursor))) return;
    const isGuest = memory.isGuest(entry.slot);
    if (!memory.put(entry.slot, entry.state, isGuest)) memory.put(entry.slot, entry.state, true);
    entry.isApart = true;
  }

  bytesOf(key: EntityKey): number {
    return this.#memory.find(this.#slots.find(key)) ? this.#memory.storedBytes : 0;
  }

  takeWrites(): { readonly states: StateWrite[]; committed(): void } {
    const memory = this.#memory;
    const round = this.#round++;
    const whole = this.#whole;
    this.#whole = [];
    this.#dirtyCount = 0;
    for (const slot of memory.guestSlots()) {
      memory.find(slot);
      memory.flags |= FLUSHING;
    }
    const states = whole.map((slot): StateWrite => {
      memory.find(slot);
      memory.flags &= ~WHOLE;
      const { lastOffset } = memory.open(this.#cursor);
      const bytes = this.#fold.encode(this.#cursor);
      this.totals?.grew(bytes.length - memory.storedBytes);
      memory.storedBytes = bytes.length;
      return { space: this.space, key: this.#slots.keyOf(slot), epoch: this.#epoch, offset: lastOffset, bytes };
    });
    const leavings = this.#leavings;
    return { states, committed: () => (leavings === this.#leavings ? this.#committed(round) : undefined) };
  }

  leave(): void {
    // As it is, and nobody asks it any more: emptied in one turn, a million states hold everything up for a tenth of a second.
    this.#slots.leaveAll(this.#memory.slots());
    this.#memory = this.#newMemory();
    this.#whole = [];
    this.#dirtyCount = 0;
    this.#leavings++;
  }

  /** `bytes` are lent by the store: nothing may be asked of it before they are decoded. */
  #decode(key: EntityKey, bytes: Uint8Array): S {
    const state = this.#fold.decode(bytes, this.#read);
    this.#read = state;
    this.catchUp?.(key, state);
    return state;
  }

  /** A state as the store has it, if there is room for it. */
  #keep(key: EntityKey, state: S, storedBytes: number): void {
    const slot = this.#slots.hold(key);
    if (!this.#memory.put(slot, state, false)) {
      this.#slots.leave(slot);
      return;
    }
    this.#memory.storedBytes = storedBytes;
    this.#memory.countedTime = state.lastEventTime;
  }

  /** A state that has changed is in memory until the store has it, be it as a guest. */
  #takeIn(entry: Entry<S>): void {
    const slot = this.#slots.hold(entry.key);
    const isGuest = !this.#admission.takesPlace(this.#memory.isFull);
    if (!this.#memory.put(slot, entry.state, isGuest)) this.#memory.put(slot, entry.state, true);
    this.#memory.storedBytes = entry.storedBytes;
    this.#memory.countedTime = entry.countedTime;
    entry.slot = slot;
    entry.isApart = true;
  }

  /** What was changed in that round or before is in the store. Guests go; those that have changed again are to stay. */
  #committed(round: number): void {
    const memory = this.#memory;
    memory.relax();
    memory.storedRound = round;
    for (const slot of memory.guestSlots()) {
      memory.find(slot);
      const { flags, changedIn } = memory;
      memory.flags = flags & ~FLUSHING;
      if (changedIn <= round) {
        memory.remove(slot);
        this.#slots.leave(slot);
      } else if ((flags & FLUSHING) !== 0) memory.put(slot, memory.open(this.#cursor), false);
    }
  }
}
