/**
 * Counts events that came late or out of order, for whoever watches the source.
 */
import type { SourceDefinition } from "../define/definition.ts";
import { lateAfterOf, latenessOf } from "../fold/lateness.ts";
import type { LogEvent } from "./event.ts";

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
