/**
 * What a command asks for, worked out before its states are fetched: each vector or the error in its place, so that
 * the states of all are one round trip.
 */
import type { VectorAsk } from "../feature-reader.ts";

/** `make` of each index, done now; what it gave or threw is given or thrown at each asking. */
export function settledEach<T>(count: number, make: (i: number) => T): (i: number) => T {
  const settled = Array.from({ length: count }, (_, i): (() => T) => {
    try {
      const made = make(i);
      return () => made;
    } catch (error) {
      return () => {
        throw error;
      };
    }
  });
  return (i) => settled[i]!();
}

/** Those that can be asked for. */
export function askedOnes<T extends VectorAsk>(count: number, asked: (i: number) => T): T[] {
  const ones: T[] = [];
  for (let i = 0; i < count; i++) {
    try {
      ones.push(asked(i));
    } catch {
      // Its error is answered in its place.
    }
  }
  return ones;
}
