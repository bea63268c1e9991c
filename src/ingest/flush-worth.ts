/**
 * How much has changed since the last flush began, in flushes' worth: keeps each flush, and memory, small.
 */

/** A flush does not wait once so much has changed; folding waits for it once several times as much has. */
export const STATES_PER_FLUSH: number = 20_000;
const IDS_PER_FLUSH = 16_000;
const LETTERS_PER_FLUSH = 10_000;

interface Unflushed {
  readonly dirtyCount: number;
  readonly letterCount: number;
}

export function flushesWorth(runners: Iterable<Unflushed>, unwrittenIds: number): number {
  let states = 0;
  let letters = 0;
  for (const { dirtyCount, letterCount } of runners) {
    states += dirtyCount;
    letters += letterCount;
  }
  return Math.max(states / STATES_PER_FLUSH, letters / LETTERS_PER_FLUSH, unwrittenIds / IDS_PER_FLUSH);
}
