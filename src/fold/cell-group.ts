/**
 * The cells of a bucket or of the lifetime group, handed out to accumulators.
 */
import type { Accumulator } from "./accumulator.ts";
import type { CheckedFeature } from "./view-check.ts";

export interface PlannedAccumulator {
  readonly accumulator: Accumulator;
  readonly cell: number;
  readonly objectCell: number;
  /** Those that read it. */
  readonly features: Set<CheckedFeature>;
}

/** Hands out cells; equal accumulators over one channel share them. */
export class CellGroup {
  readonly accumulators: PlannedAccumulator[] = [];
  readonly #byKey: Map<string, PlannedAccumulator> = new Map();
  readonly #headerCells: number;
  numberCells: number = 0;
  objectCells: number = 0;

  constructor(headerCells: number) {
    this.#headerCells = headerCells;
  }

  reserve(
    key: string,
    feature: CheckedFeature,
    size: { readonly numbers: number; readonly objects: number },
    make: (cell: number, objectCell: number) => Accumulator,
  ): PlannedAccumulator {
    let planned = this.#byKey.get(key);
    if (planned === undefined) {
      const cell = this.#headerCells + this.numberCells;
      const objectCell = this.objectCells;
      this.numberCells += size.numbers;
      this.objectCells += size.objects;
      planned = { accumulator: make(cell, objectCell), cell, objectCell, features: new Set() };
      this.#byKey.set(key, planned);
      this.accumulators.push(planned);
    }
    planned.features.add(feature);
    return planned;
  }
}
