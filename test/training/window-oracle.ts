/**
 * Whether a feature's window began later than asked, told by events alone: the naive oracle counts those of the window as it
 * was asked for and those of the window as it was read, and the window began later where some are missing.
 */
import type { SourceDefinition, ViewDefinition } from "../../src/define/definition.ts";
import type { FoldEvent } from "../../src/fold/view-fold.ts";
import { NaiveOracle } from "../../src/testing/naive-oracle.ts";

export class WindowOracle {
  readonly #view: ViewDefinition;
  readonly #counts: NaiveOracle;

  /** Of one entity. */
  constructor(view: ViewDefinition, source: SourceDefinition) {
    this.#view = view;
    this.#counts = new NaiveOracle(countingView(view), source);
  }

  add(event: FoldEvent): void {
    this.#counts.add(event);
  }

  beganLater(slot: number, asOf: number, windowStart: number): boolean {
    const kind = this.#view.features[slot]!.aggregation.over?.kind;
    if (kind !== "time" && kind !== "session") return false;
    return this.#counts.read(slot, asOf).value !== this.#counts.read(slot, asOf, windowStart).value;
  }
}

/** Each feature counts all events of its window, however old they are. */
function countingView({ ttlMicros: _, ...view }: ViewDefinition): ViewDefinition {
  const features = view.features.map(({ name, aggregation: { over } }): ViewDefinition["features"][number] => ({
    name,
    type: { name: "int64" },
    aggregation: { fn: "count", ...(over === undefined ? {} : { over }) },
  }));
  return { ...view, features };
}
