/**
 * The cells of a bucket or of the lifetime group, handed out to accumulators.
 */
import type { Accumulator } from "./accumulator.ts";
import type { Session } from "./hop-ladder.ts";
import type { CheckedFeature } from "./view-check.ts";

export interface PlannedAccumulator {
  readonly accumulator: Accumulator;
  readonly cell: number;
  readonly objectCell: number;
  /** The longest time window that reads it; 0 for none. */
  longestTimeMicros: number;
  /** The last-n windows that read it. */
  readonly lastLengths: Set<number>;
  /** The session windows that read it, by `sessionKey`. */
  readonly sessions: Set<string>;
}

/** Equal for equal session windows. */
export function sessionKey({ gapMicros, maxMicros }: Session): string {
  return `${gapMicros}/${maxMicros}`;
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
      const readBy = { longestTimeMicros: 0, lastLengths: new Set<number>(), sessions: new Set<string>() };
      planned = { accumulator: make(cell, objectCell), cell, objectCell, ...readBy };
      this.#byKey.set(key, planned);
      this.accumulators.push(planned);
    }
    const { over } = feature;
    if (over?.kind === "time") planned.longestTimeMicros = Math.max(planned.longestTimeMicros, over.micros);
    if (over?.kind === "last") planned.lastLengths.add(over.events);
    if (over?.kind === "session") planned.sessions.add(sessionKey(over));
    return planned;
  }
}
