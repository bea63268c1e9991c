/**
 * From accumulated cells to a feature's value.
 */
import type { Value, ValueType } from "../schema/value.ts";
import { type Cells, FAILED } from "./accumulator.ts";
import { sumOf } from "./count-and-sum.ts";
import type { Box, CustomStates } from "./custom-states.ts";
import { conformingValue } from "./custom-value.ts";
import { varianceOf } from "./moments.ts";
import { valueOf } from "./placed-values.ts";

/** The value, null where there is none, or `FAILED`. Never throws. */
export type FeatureReader = (cells: Cells, asOf: number) => Value | typeof FAILED;

/** How a feature is read, and how far its value may be off; null where it is always exact. */
export interface PlannedReader {
  readonly read: FeatureReader;
  /** Relative error as the aggregation states it, 0 when exact. */
  readonly error: ((cells: Cells) => number) | null;
}

export function readCount(countCell: number): FeatureReader {
  return ({ numbers }) => numbers[countCell]!;
}

/** An int64 sum outside the safe range fails, as its digits are lost. */
export function readSum(countCell: number, sumCell: number, type: ValueType, allowNonFinite: boolean): FeatureReader {
  if (type.name === "int64") {
    return ({ numbers }) => {
      if (numbers[countCell] === 0) return null;
      const sum = sumOf(numbers, sumCell);
      return Number.isSafeInteger(sum) ? sum + 0 : FAILED;
    };
  }
  return ({ numbers }) => (numbers[countCell] === 0 ? null : served(sumOf(numbers, sumCell), allowNonFinite));
}

export function readMean(countCell: number, sumCell: number, allowNonFinite: boolean): FeatureReader {
  return ({ numbers }) => {
    const count = numbers[countCell]!;
    return count === 0 ? null : served(sumOf(numbers, sumCell) / count, allowNonFinite);
  };
}

export function readExtreme(countCell: number, cell: number, allowNonFinite: boolean): FeatureReader {
  return ({ numbers }) => (numbers[countCell] === 0 ? null : served(numbers[cell]!, allowNonFinite));
}

export function readVariance(cell: number, allowNonFinite: boolean): FeatureReader {
  return ({ numbers }) => {
    const variance = varianceOf(numbers, cell);
    return variance === null ? null : served(variance, allowNonFinite);
  };
}

export function readStddev(cell: number, allowNonFinite: boolean): FeatureReader {
  return ({ numbers }) => {
    const variance = varianceOf(numbers, cell);
    return variance === null ? null : served(Math.sqrt(variance), allowNonFinite);
  };
}

/** First or last value: its time cell is not finite where there is none. */
export function readNumberAt(timeCell: number, type: ValueType, allowNonFinite: boolean): FeatureReader {
  if (type.name === "bool") {
    return ({ numbers }) => (Number.isFinite(numbers[timeCell]!) ? numbers[timeCell + 1] === 1 : null);
  }
  return ({ numbers }) => (Number.isFinite(numbers[timeCell]!) ? served(numbers[timeCell + 1]!, allowNonFinite) : null);
}

export function readObjectAt(objectCell: number): FeatureReader {
  return ({ objects }) => valueOf(objects[objectCell]) as Value;
}

/** A custom state kept as text: a lifetime's. */
export function readCustomText(states: CustomStates, objectCell: number, allowNonFinite: boolean): FeatureReader {
  return ({ objects }, asOf) => {
    const text = objects[objectCell] as string | null;
    return readCustom(states, () => JSON.parse(text ?? states.emptyText), asOf, allowNonFinite);
  };
}

/** A custom state as a read has merged it: a window's. */
export function readCustomBox(states: CustomStates, objectCell: number, allowNonFinite: boolean): FeatureReader {
  return ({ objects }, asOf) => {
    const box = objects[objectCell] as Box | null | typeof FAILED;
    if (box === FAILED) return FAILED;
    return readCustom(states, () => (box === null ? JSON.parse(states.emptyText) : box.state), asOf, allowNonFinite);
  };
}

function readCustom(
  states: CustomStates,
  stateOf: () => unknown,
  asOf: number,
  allowNonFinite: boolean,
): Value | typeof FAILED {
  try {
    const value = conformingValue(states.definition.read(stateOf(), asOf), states.definition.output, allowNonFinite);
    return value === undefined ? FAILED : value;
  } catch {
    return FAILED;
  }
}

/** -0 as 0; what is not finite only where the source lets such values in. */
function served(value: number, allowNonFinite: boolean): number | typeof FAILED {
  return Number.isFinite(value) || allowNonFinite ? value + 0 : FAILED;
}
