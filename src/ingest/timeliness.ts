/**
 * Counts events that came late or out of order, for whoever watches the source; and for how long an id is a duplicate.
 */
import { MICROS_PER_DAY } from "../base/micros.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { lateAfterOf, latenessOf } from "../fold/lateness.ts";
import type { EventIdsOptions } from "./event-ids.ts";
import type { LogEvent } from "./event.ts";

const FOR_EVER_MICROS = 100 * 366 * MICROS_PER_DAY;

/**
 * How long an id is remembered at least. What a batch source is read from may hold the same rows for ever, so its ids are
 * never forgotten; the names that rows without an id are given for one run go with that run (`EventIds`).
 */
export function dedupeWithinOf(source: SourceDefinition): number {
  return source.kind === "stream" ? source.dedupeWithinMicros : FOR_EVER_MICROS;
}

/** How `EventIds` is to take the source's ids. */
export function idRulesOf(source: SourceDefinition): Pick<EventIdsOptions, "dedupeWithinMicros" | "areNamesOfRuns"> {
  const areNamesOfRuns = source.kind === "batch" && source.id === undefined;
  return { dedupeWithinMicros: dedupeWithinOf(source), areNamesOfRuns };
}

export class Timeliness {
  readonly #lateAfterMicros: number;
  #newestTime: number = Number.NEGATIVE_INFINITY;

  constructor(source: SourceDefinition) {
    this.#lateAfterMicros = lateAfterOf(source);
  }

  /**
   * Of events in the order of the log. One is out of order that happened before an earlier one, as far as this
   * has seen them; a time ahead of the clock counts as the time it became known, so that it makes no other late.
   */
  count(events: readonly LogEvent[]): { readonly late: number; readonly outOfOrder: number } {
    let late = 0;
    let outOfOrder = 0;
    for (const event of events) {
      if (latenessOf(event) > this.#lateAfterMicros) late++;
      const time = Math.min(event.eventTime, event.knownTime);
      if (time < this.#newestTime) outOfOrder++;
      else this.#newestTime = time;
    }
    return { late, outOfOrder };
  }
}
