/** How many states are kept in memory where nobody says, and which of those that are asked for are. */

export const HOT_COUNT_MAX = 1_000_000;
export const HOT_BYTES_MAX: number = 128 * 1024 * 1024;
/** Of states that are asked for and not in memory, while that is full, so many-th takes a place in it. */
const ADMITTED_ONE_IN = 8;

export class Admission {
  #missed = 0;

  /** Whether a state that is not in memory is to be from now on. */
  takesPlace(isFull: boolean): boolean {
    if (!isFull) return true;
    this.#missed = (this.#missed + 1) % ADMITTED_ONE_IN;
    return this.#missed === 0;
  }
}
