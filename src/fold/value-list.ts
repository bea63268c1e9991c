/**
 * The first or the last k values by (effective time, offset), oldest first.
 *
 * The state is `[times, values]`. No offset is kept: values are added in offset order, so at equal times the
 * one added later is the later one. Merging is associative to the bit.
 */
import type { Value } from "../schema/value.ts";
import type { Summary } from "./summary.ts";

export type ListState = [times: number[], values: Value[]];

export function firstValues(k: number): Summary<ListState> {
  return listOf((state) => {
    if (state[0].length > k) {
      state[0].length = k;
      state[1].length = k;
    }
  });
}

export function lastValues(k: number): Summary<ListState> {
  return listOf((state) => {
    const excess = state[0].length - k;
    if (excess > 0) {
      state[0].splice(0, excess);
      state[1].splice(0, excess);
    }
  });
}

function listOf(cut: (state: ListState) => void): Summary<ListState> {
  return {
    empty: () => [[], []],
    add: (state, value, timeMicros) => {
      const [times, values] = state;
      let at = times.length;
      while (at > 0 && times[at - 1]! > timeMicros) at--;
      times.splice(at, 0, timeMicros);
      values.splice(at, 0, value);
      cut(state);
      return state;
    },
    merge: (older, younger) => {
      for (let i = 0; i < younger[0].length; i++) {
        older[0].push(younger[0][i]!);
        older[1].push(younger[1][i]!);
      }
      cut(older);
      return older;
    },
  };
}

/** A list of its own, null of no values; -0 as 0. */
export function listValue(state: ListState | null): Value {
  if (state === null || state[1].length === 0) return null;
  return state[1].map((value) => (typeof value === "number" ? value + 0 : value));
}
