/**
 * A piece of the join that any thread can do by itself: some whole entities, their labels, and their events in order.
 *
 * Entities have nothing to do with each other, so the values are the same bits however the work is cut up and
 * whichever thread does what. All that goes in and comes out is plain data and typed arrays.
 */
import { OnefoldError } from "../base/errors.ts";
import type { EntityDefinition, SourceDefinition, ViewDefinition } from "../define/definition.ts";
import { deriveForView } from "../fold/derive.ts";
import type { ViewFold } from "../fold/view-fold.ts";
import type { EngineVector } from "../offline-store/engine.ts";
import type { EntityEventBatch, ReadEventBatch } from "../offline-store/event-reader.ts";
import { rowFiller } from "../offline-store/event-relation.ts";
import type { Column, Value, ValueType } from "../schema/value.ts";
import { type ColumnCells, FeatureColumn } from "./feature-columns.ts";
import { type EventBound, type LabelRun, ViewJoin } from "./point-in-time-join.ts";

/** One view's part in a join. */
export interface TaskView {
  readonly definition: ViewDefinition;
  readonly source: SourceDefinition;
  readonly entity: EntityDefinition;
  readonly bound: EventBound;
  /** What is wanted of it. */
  readonly features: readonly { readonly name: string; readonly type: ValueType; readonly slot: number }[];
}

/** Labels of whole entities, sorted by (entity, limit). `asOf` null: the limits themselves. */
export interface TaskLabels {
  readonly entity: Int32Array;
  readonly limit: Float64Array;
  readonly asOf: Float64Array | null;
  readonly fallback?: Uint8Array;
}

/** Events sorted by (entity, order), with the columns of the fold's `eventColumns`. */
export interface TaskEvents {
  readonly rowCount: number;
  readonly entity: Int32Array;
  readonly offset: Float64Array;
  readonly eventTime: Float64Array;
  readonly knownTime: Float64Array;
  readonly values: readonly EngineVector[];
  readonly validity: readonly (Uint8Array | null)[];
  /** Where events of the source were taken back: of each row, at which mark it is, and whether its entity has any. */
  readonly retractedAt?: Float64Array;
  readonly isCorrected?: Uint8Array;
}

export interface TaskResult {
  /** One a feature, the task's labels in their order. */
  readonly columns: readonly ColumnCells[];
  readonly eventsFolded: number;
  readonly eventsPoisoned: number;
  readonly firstPoison: string | null;
  readonly coincidentLabels: number;
}

export class JoinTask {
  readonly #join: ViewJoin;
  readonly #columns: readonly FeatureColumn[];
  readonly #wanted: readonly Column[];
  readonly #places: readonly number[];

  constructor({ definition, source, bound, features }: TaskView, fold: ViewFold, labels: TaskLabels) {
    const count = labels.entity.length;
    this.#columns = features.map(({ name, type, slot }) => new FeatureColumn(name, type, slot, count));
    const run: LabelRun = {
      count,
      entity: labels.entity,
      limit: labels.limit,
      asOf: labels.asOf ?? labels.limit,
      row: Int32Array.from({ length: count }, (_, at) => at),
      ...(labels.fallback === undefined ? {} : { fallback: labels.fallback }),
    };
    this.#join = new ViewJoin({
      fold,
      storedColumnCount: source.columns.length,
      derive: deriveForView(definition, source)?.derive ?? null,
      bound,
      labels: run,
      columns: this.#columns,
      features: definition.features,
    });
    this.#wanted = fold.eventColumns.map((name) => source.columns.find((column) => column.name === name)!);
    this.#places = this.#wanted.map((column) => source.columns.indexOf(column));
  }

  push(events: TaskEvents): void {
    const fillRow = rowFiller(this.#wanted, this.#places, events.values, events.validity);
    this.#join.push({ ...events, fillRow, keyText: noKeys, ...retractionsOf(events) });
  }

  /** Call once, after the last events. */
  finish(): TaskResult {
    this.#join.finish();
    const { eventsFolded, eventsPoisoned, firstPoison, coincidentLabels } = this.#join;
    const columns = this.#columns.map(({ numbers, objects, validity, statuses, laterWindows }): ColumnCells => ({
      numbers,
      objects,
      validity,
      statuses,
      laterWindows,
    }));
    return { columns, eventsFolded, eventsPoisoned, firstPoison, coincidentLabels };
  }
}

function retractionsOf({
  rowCount,
  entity,
  retractedAt,
  isCorrected,
}: TaskEvents): Pick<EntityEventBatch, "retractions"> {
  if (retractedAt === undefined || isCorrected === undefined) return {};
  const corrected = new Set<number>();
  for (let i = 0; i < rowCount; i++) if (isCorrected[i] === 1) corrected.add(entity[i]!);
  return { retractions: { at: retractedAt, has: (id) => corrected.has(id) } };
}

function noKeys(): never {
  throw new OnefoldError("INTERNAL", "a join needs no keys");
}

/** Rows of a batch as arrays of their own, unless they are all of it. */
export function cutEvents(batch: ReadEventBatch, from: number, to: number): TaskEvents {
  const { rowCount, entity, offset, eventTime, knownTime, values, validity, retractions } = batch;
  const taken =
    retractions === undefined
      ? {}
      : {
          retractedAt: retractions.at.slice(from, to),
          isCorrected: Uint8Array.from(entity.subarray(from, to), (id) => Number(retractions.has(id))),
        };
  if (from === 0 && to === rowCount)
    return { rowCount, entity, offset, eventTime, knownTime, values, validity, ...taken };
  return {
    ...taken,
    rowCount: to - from,
    entity: entity.slice(from, to),
    offset: offset.slice(from, to),
    eventTime: eventTime.slice(from, to),
    knownTime: knownTime.slice(from, to),
    values: values.map((vector): EngineVector => vector.slice(from, to) as (Value & string)[] | Float64Array),
    validity: validity.map((present) => present?.slice(from, to) ?? null),
  };
}

/** The memory of typed arrays, to be handed to another thread instead of copied. */
export function buffersOf(arrays: readonly unknown[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const array of arrays) {
    if (!ArrayBuffer.isView(array) || !(array.buffer instanceof ArrayBuffer)) continue;
    // Of a view into something larger the rest may be another's.
    if (array.byteLength === array.buffer.byteLength) buffers.add(array.buffer);
  }
  return [...buffers];
}
