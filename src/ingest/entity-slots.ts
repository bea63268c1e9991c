/**
 * A number for each entity that somebody keeps a state of, so that the many views of an entity look it up once: what
 * each of them knows of it lies in arrays by that number.
 *
 * A number is the entity's as long as anyone holds it, and then another's.
 */
import { type EntityKey, ownKey } from "../schema/entity-key.ts";

export const NO_SLOT = -1;

/** Of slots that are left in one turn. */
const LEFT_AT_ONCE = 2000;

export class EntitySlots {
  readonly #slots = new Map<EntityKey, number>();
  readonly #keys: EntityKey[] = [];
  readonly #holders: number[] = [];
  readonly #free: number[] = [];
  /** What was looked for last: the views of an entity ask one after another. */
  #lastKey: EntityKey = "";
  #lastSlot: number = NO_SLOT;

  /** `NO_SLOT` where nobody holds one. */
  find(key: EntityKey): number {
    if (key === this.#lastKey) return this.#lastSlot;
    this.#lastKey = key;
    return (this.#lastSlot = this.#slots.get(key) ?? NO_SLOT);
  }

  /** The entity's slot, held once more; to be left again. */
  hold(key: EntityKey): number {
    let slot = this.find(key);
    if (slot === NO_SLOT) {
      const own = ownKey(key);
      slot = this.#free.pop() ?? this.#keys.length;
      this.#slots.set(own, slot);
      this.#keys[slot] = own;
      this.#holders[slot] = 0;
      this.#lastKey = own;
      this.#lastSlot = slot;
    }
    this.#holders[slot]!++;
    return slot;
  }

  leave(slot: number): void {
    if (--this.#holders[slot]! > 0) return;
    this.#slots.delete(this.#keys[slot]!);
    this.#keys[slot] = "";
    this.#free.push(slot);
    if (slot === this.#lastSlot) this.#lastSlot = NO_SLOT;
  }

  /** Those at once and in turns to come, and only then looked for: a million of them would hold up whoever asks meanwhile. */
  leaveAll(slots: Iterable<number>): void {
    const rest = slots[Symbol.iterator]();
    for (let left = 0; left < LEFT_AT_ONCE; left++) {
      const next = rest.next();
      if (next.done === true) return;
      this.leave(next.value);
    }
    setImmediate(() => this.leaveAll({ [Symbol.iterator]: () => rest }));
  }

  /** Of a slot that is held. */
  keyOf(slot: number): EntityKey {
    return this.#keys[slot]!;
  }

  /** Entities that have a slot. */
  get count(): number {
    return this.#slots.size;
  }
}
