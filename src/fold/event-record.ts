/**
 * One event evaluated for one view: everything that can throw happens here, before its state is touched.
 */
import type { Row, Value } from "../schema/value.ts";
import { type Cells, FAILED } from "./accumulator.ts";
import type { CustomPlan } from "./cell-plan.ts";
import type { RecordPlan } from "./channel-plan.ts";
import type { FoldState } from "./fold-state.ts";
import type { ViewPlan } from "./view-plan.ts";

export class EventRecord {
  /** The raw record, at cell 0. */
  readonly cells: Cells;
  readonly #plan: ViewPlan;
  readonly #record: RecordPlan;
  readonly #holds: Uint8Array;
  /** New lifetime states of custom aggregations, null where the event does not count. */
  readonly #lifetimeStates: (string | null)[];

  constructor(plan: ViewPlan) {
    this.#plan = plan;
    this.#record = plan.record;
    this.cells = {
      numbers: new Float64Array(plan.record.numberCells),
      objects: Array.from<unknown>({ length: plan.record.objectCells }).fill(null),
    };
    this.#holds = new Uint8Array(plan.record.predicates.length);
    this.#lifetimeStates = plan.customs.map(() => null);
  }

  /**
   * Fills the record from a row. With `forgets` the state counts as empty. Throws what predicates and
   * custom functions throw.
   */
  evaluate(state: FoldState, row: Row, timeMicros: number, forgets: boolean): void {
    const { predicates, masks, numberInputs, objectInputs } = this.#record;
    const { numbers, objects } = this.cells;
    const holds = this.#holds;
    for (let i = 0; i < predicates.length; i++) holds[i] = predicates[i]!(row) ? 1 : 0;
    numbers[0] = timeMicros;
    for (let i = 0; i < masks.length; i++) {
      const { cell, channels } = masks[i]!;
      let mask = 0;
      for (let k = 0; k < channels.length; k++) {
        const { predicate, column, bit } = channels[k]!;
        if (predicate >= 0 && holds[predicate] === 0) continue;
        if (column >= 0 && (row[column] === null || row[column] === undefined)) continue;
        mask |= bit;
      }
      numbers[cell] = mask;
    }
    for (let i = 0; i < numberInputs.length; i++) {
      const { column, cell } = numberInputs[i]!;
      numbers[cell] = asNumber(row[column]);
    }
    for (let i = 0; i < objectInputs.length; i++) {
      const { column, cell } = objectInputs[i]!;
      objects[cell] = keepable(row[column]);
    }
    const { customs } = this.#plan;
    for (let i = 0; i < customs.length; i++) {
      this.#lifetimeStates[i] = this.#evaluateCustom(customs[i]!, state, row, timeMicros, forgets);
    }
  }

  /** Writes the lifetime states that `evaluate` computed. */
  keepCustoms(lifetime: Cells): void {
    const { customs } = this.#plan;
    for (let i = 0; i < customs.length; i++) {
      const text = this.#lifetimeStates[i]!;
      if (text !== null) lifetime.objects[customs[i]!.lifetimeCell] = text;
    }
  }

  #evaluateCustom(custom: CustomPlan, state: FoldState, row: Row, timeMicros: number, forgets: boolean): string | null {
    const { states, channel, windowed, lifetimeCell } = custom;
    const { numbers, objects } = this.cells;
    if (windowed !== null) objects[channel.inputCell] = null;
    if ((numbers[channel.maskCell]! & channel.bit) === 0) return null;
    const input = channel.column >= 0 ? row[channel.column] : this.#rowObject(row);
    if (windowed === null) {
      const before = forgets ? states.emptyText : (state.lifetime.objects[lifetimeCell] as string);
      return states.add(before, input, timeMicros);
    }
    const text = states.add(states.emptyText, input, timeMicros);
    objects[channel.inputCell] = text;
    if (!forgets) {
      // a late event that falls into a merged bucket: would merging it there throw?
      const layout = this.#plan.state.list;
      const bucket = state.list.bucketAround(layout, timeMicros);
      const around = bucket < 0 ? null : state.list.buckets.objects[bucket * layout.objectStride + windowed.objectCell];
      if (around !== null && around !== FAILED) states.merge(around as string, text);
    }
    return null;
  }

  #rowObject(row: Row): Record<string, Value> {
    const { columns } = this.#plan.derived;
    const object: Record<string, Value> = {};
    for (let i = 0; i < columns.length; i++) object[columns[i]!.name] = row[i] ?? null;
    // Functions written before a column was renamed read it by the name that it had, those written since by the new one.
    for (const { names, column } of this.#plan.renamed) for (const name of names) object[name] = row[column] ?? null;
    return object;
  }
}

/** A null takes a cell too, so that the record depends on the event alone. */
function asNumber(value: Value | undefined): number {
  if (typeof value === "number") return value;
  return value === true ? 1 : 0;
}

/** Bytes may lie in a buffer that the caller uses again. */
function keepable(value: Value | undefined): Value {
  if (value === undefined) return null;
  return value instanceof Uint8Array ? new Uint8Array(value) : value;
}
