/**
 * What a measure comes to. Of exact profiles the value is the measure; of sketches the exact one lies between `low` and
 * `high`, up to rounding.
 */
export interface Measured {
  readonly value: number;
  /** Null where nothing bounds it. */
  readonly low: number | null;
  readonly high: number | null;
}

export function exactly(value: number): Measured {
  return { value, low: value, high: value };
}
