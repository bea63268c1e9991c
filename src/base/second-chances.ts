/**
 * The order in which a cache lets its entries go: the oldest first, but one that was asked for since it was last looked at is
 * given a second chance. To ask a map for its oldest entry would be to look through the holes of all that went before.
 */
export interface Chanced {
  /** Since it was last looked at by whoever makes room. */
  isAskedFor: boolean;
  /** Not, where it was let go of otherwise: it stands in the queue until it is met. */
  isKept: boolean;
}

/** So many that were asked for are passed over at a time at most: it is done within a request. */
const PASSED_OVER_MAX = 1000;
const LENGTH_MIN = 1000;

export class SecondChances<T extends Chanced> {
  #order: (T | null)[] = [];
  #oldest = 0;

  /** The newest. */
  add(entry: T): void {
    this.#order.push(entry);
  }

  clear(): void {
    this.#order = [];
    this.#oldest = 0;
  }

  /** Gives `letGo` one after the other for as long as there `isTooMuch`. `size`: how many are kept. */
  makeRoom(size: number, isTooMuch: () => boolean, letGo: (entry: T) => void): void {
    let passedOver = 0;
    while (this.#oldest < this.#order.length) {
      const entry = this.#order[this.#oldest]!;
      if (entry.isKept && !isTooMuch()) break;
      this.#order[this.#oldest++] = null;
      if (!entry.isKept) continue;
      if (entry.isAskedFor && passedOver++ < PASSED_OVER_MAX) {
        entry.isAskedFor = false;
        this.#order.push(entry);
      } else letGo(entry);
    }
    const left = this.#order.length - this.#oldest;
    if (left > LENGTH_MIN && left > 2 * size) {
      this.#order = this.#order.slice(this.#oldest).filter((entry) => entry!.isKept);
      this.#oldest = 0;
    } else if (this.#oldest > LENGTH_MIN && this.#oldest > left) {
      this.#order = this.#order.slice(this.#oldest);
      this.#oldest = 0;
    }
  }
}
