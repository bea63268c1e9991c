/**
 * The clock of whoever tells something in the online store may be ahead of ours. What is told cannot have been told later than
 * it was heard: so a word that says it is of a time that has not come is taken to be of the moment it was heard in, and all its
 * times as so much earlier. Of a clock that is behind nothing can be known: a word may have been a while on its way.
 */

export class TellerClock {
  #at: number | undefined;
  /** What is to be added to times that are told, 0 or less. */
  shift = 0;

  /** A word that says it is of `at`; the same one may be heard again. Of one that does not say, times are taken as they are. */
  heard(at: number | undefined, now: number): void {
    if (at !== undefined && at === this.#at) return;
    this.#at = at;
    this.shift = at === undefined ? 0 : Math.min(0, now - at);
  }
}
