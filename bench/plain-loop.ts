/**
 * The reference of `fold.ts`: the sums of n columns over three windows in a loop written by hand over plain
 * arrays, one list a column and entity. Exact as the fold is (what is in the window is added up, nothing is
 * subtracted), but without nulls, late events, compensated rounding, merged buckets or a state to store.
 *
 * Is it fair? It does what a good engineer writes who wants these sums and no more. It lets go of events that
 * have left the longest window, in large steps, so that its memory is bounded by what is in the window, though
 * not, as the fold's is, whatever the rate of events: `fold.ts` reports both. All it pays for an event is a push
 * a column; what a read costs grows with the events in the window. Making it keep less would make it slower.
 */

/** One entity's events, oldest first. */
export class PlainLists {
  readonly times: number[] = [];
  readonly columns: number[][];
  /** The first event that the longest window may still reach. */
  #begin: number = 0;
  readonly #windows: readonly number[];

  constructor(columns: number, windows: readonly number[]) {
    this.columns = Array.from({ length: columns }, () => []);
    this.#windows = windows;
  }

  add(time: number, row: readonly unknown[], firstColumn: number): void {
    this.times.push(time);
    for (let i = 0; i < this.columns.length; i++) this.columns[i]!.push(row[firstColumn + i] as number);
    const expired = time - this.#windows[this.#windows.length - 1]!;
    while (this.times[this.#begin]! <= expired) this.#begin++;
    if (this.#begin < 1024 || this.#begin * 2 < this.times.length) return;
    this.times.splice(0, this.#begin);
    for (const column of this.columns) column.splice(0, this.#begin);
    this.#begin = 0;
  }

  /** The sum of each column over each window, ascending, column by column. */
  read(asOf: number, into: number[]): void {
    const { times, columns } = this;
    const windows = this.#windows;
    for (let i = 0; i < columns.length; i++) {
      const values = columns[i]!;
      let sum = 0;
      let at = times.length - 1;
      for (let w = 0; w < windows.length; w++) {
        const edge = asOf - windows[w]!;
        for (; at >= this.#begin && times[at]! > edge; at--) sum += values[at]!;
        into[i * windows.length + w] = sum;
      }
    }
  }
}
