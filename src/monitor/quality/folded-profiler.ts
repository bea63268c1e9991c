/**
 * Profiles by day of the values that events leave their entities with, of those events that are looked at: what is known of a
 * view where no feature rows are written. An entity counts as often as it has events that are looked at.
 */
import { MICROS_PER_DAY } from "../../base/micros.ts";
import type { ViewDefinition } from "../../define/definition.ts";
import type { Value, ValueType } from "../../schema/value.ts";
import { addValues, type ColumnSketch, emptySketch } from "./column-profile.ts";
import type { DaySketches } from "./profile-files.ts";

/** Rows that wait to be counted together, which costs a fraction of counting each. */
const ROWS_WAITING = 512;

interface Waiting {
  readonly columns: readonly { readonly name: string; readonly place: number; readonly type: ValueType }[];
  readonly days: DaySketches;
  day: number;
  rows: Value[][];
}

export class FoldedProfiler {
  readonly #views = new Map<ViewDefinition, Waiting>();

  /** `values` by the view's features, as of then; they may change as soon as this returns. */
  see(view: ViewDefinition, values: ArrayLike<Value>, knownTime: number): void {
    if (!view.offline) return;
    let waiting = this.#views.get(view);
    if (waiting === undefined) this.#views.set(view, (waiting = waitingOf(view)));
    const day = Math.floor(knownTime / MICROS_PER_DAY);
    if (day !== waiting.day || waiting.rows.length >= ROWS_WAITING) count(waiting);
    waiting.day = day;
    waiting.rows.push(waiting.columns.map(({ place }) => copied(values[place]!)));
  }

  forget(): void {
    this.#views.clear();
  }

  /** What was seen since this was last asked. */
  take(): { readonly view: ViewDefinition; readonly days: DaySketches }[] {
    const taken = Array.from(this.#views, ([view, waiting]) => {
      count(waiting);
      return { view, days: waiting.days };
    });
    this.#views.clear();
    return taken;
  }
}

function waitingOf(view: ViewDefinition): Waiting {
  const columns = view.features.flatMap(({ name, type, offline }, place) => {
    return offline === false ? [] : [{ name, place, type }];
  });
  return { columns, days: new Map(), day: Number.NaN, rows: [] };
}

function count(waiting: Waiting): void {
  const { columns, days, day, rows } = waiting;
  if (rows.length === 0) return;
  const sketches = days.get(day) ?? new Map<string, ColumnSketch>();
  days.set(day, sketches);
  for (const [place, { name, type }] of columns.entries()) {
    const sketch = sketches.get(name) ?? emptySketch();
    sketches.set(name, sketch);
    addValues(
      sketch,
      type,
      rows.map((row) => [row[place]!, 1] as const),
    );
  }
  waiting.rows = [];
}

function copied(value: Value): Value {
  if (value instanceof Uint8Array) return value.slice();
  return Array.isArray(value) ? ([...value] as Value) : value;
}
