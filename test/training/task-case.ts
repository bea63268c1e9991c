/**
 * The same join once more, cut into tasks at random entities: as threads do it, definitions and all copied as for another
 * thread. Every value and status must have the bits of the join in one piece.
 */
import type { ViewDefinition } from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { ViewFold } from "../../src/fold/view-fold.ts";
import type { EngineVector } from "../../src/offline-store/engine.ts";
import type { Value, ValueType } from "../../src/schema/value.ts";
import type { GeneratedEvent } from "../../src/testing/event-generator.ts";
import { generatedEntity, generatedSource } from "../../src/testing/generated-source.ts";
import type { SeededRandom } from "../../src/testing/random.ts";
import { FeatureColumn, holdsNumbers } from "../../src/training/feature-columns.ts";
import { JoinTask, type TaskEvents, type TaskView } from "../../src/training/join-task.ts";
import { isPlainData } from "../../src/training/join-threads.ts";
import type { EventBound, LabelRun, ViewJoin } from "../../src/training/point-in-time-join.ts";
import { sameBits } from "../../src/training/same-bits.ts";

export interface WholeJoin {
  readonly view: ViewDefinition;
  readonly fold: ViewFold;
  readonly bound: EventBound;
  readonly labels: LabelRun;
  /** In the order of entities, with the entity of each. */
  readonly events: readonly (GeneratedEvent & { readonly entity: number })[];
  /** What the join in one piece made of it. */
  readonly columns: readonly FeatureColumn[];
  readonly join: ViewJoin;
}

/** Throws with what differs. */
export function checkTasks(random: SeededRandom, whole: WholeJoin): void {
  const { view, fold, bound, labels, events, columns, join } = whole;
  const copied = copyOf({
    definition: view,
    source: generatedSource,
    entity: generatedEntity,
    bound,
    features: fold.features.map(({ name, type }, slot) => ({ name, type, slot })),
  });
  const copiedFold = compileViewFold(copied.definition, copied.source, copied.entity);
  const pieced = columns.map(({ name, type, slot, rowCount }) => new FeatureColumn(name, type, slot, rowCount));
  const counts = { eventsFolded: 0, eventsPoisoned: 0, coincidentLabels: 0 };
  for (let from = 0; from < labels.count;) {
    let to = from + 1;
    while (to < labels.count && (labels.entity[to] === labels.entity[to - 1] || !random.oneIn(2))) to++;
    const isTimed = labels.asOf.every((asOf, i) => asOf === labels.limit[i]);
    const task = new JoinTask(copied, copiedFold, {
      entity: labels.entity.slice(from, to),
      limit: labels.limit.slice(from, to),
      asOf: isTimed ? null : labels.asOf.slice(from, to),
    });
    const [first, last] = [labels.entity[from]!, labels.entity[to - 1]!];
    const own = events.filter(({ entity }) => entity >= first && entity <= last);
    for (let at = 0; at < own.length;) {
      const part = own.slice(at, at + random.pick([1, 3, 1000]));
      at += part.length;
      task.push(structuredClone(eventsOf(part, copiedFold)));
    }
    const result = task.finish();
    pieced.forEach((column, i) => column.scatter(labels.row.slice(from, to), result.columns[i]!));
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] += result[name];
    from = to;
  }
  for (const [i, column] of columns.entries()) {
    for (let row = 0; row < column.rowCount; row++) {
      const other = pieced[i]!;
      if (column.status(row) !== other.status(row) || !sameBits(column.value(row), other.value(row))) {
        throw new Error(`${bound}, ${column.name}, label ${row}: ${String(other.value(row))} in tasks`);
      }
      if (column.hasLaterWindow(row) !== other.hasLaterWindow(row))
        throw new Error(`${bound}, ${column.name}, label ${row}: its window begins elsewhere in tasks`);
    }
  }
  for (const [name, count] of Object.entries(counts)) {
    const wanted = join[name as keyof typeof counts];
    if (count !== wanted) throw new Error(`${bound}: ${name} is ${count} in tasks, ${wanted} in one piece`);
  }
}

function copyOf(view: TaskView): TaskView {
  return isPlainData(view) ? structuredClone(view) : view;
}

function eventsOf(events: readonly (GeneratedEvent & { readonly entity: number })[], fold: ViewFold): TaskEvents {
  const wanted = fold.eventColumns.map((name) => generatedSource.columns.findIndex((column) => column.name === name));
  const cells = wanted.map((place) => events.map(({ row }) => row[place]!));
  return {
    rowCount: events.length,
    entity: Int32Array.from(events, ({ entity }) => entity),
    offset: Float64Array.from(events, ({ offset }) => offset),
    eventTime: Float64Array.from(events, ({ eventTime }) => eventTime),
    knownTime: Float64Array.from(events, ({ knownTime }) => knownTime),
    values: cells.map((column, i) => vectorOf(column, generatedSource.columns[wanted[i]!]!)),
    validity: cells.map((column) => Uint8Array.from(column, (value) => (value === null ? 0 : 1))),
  };
}

function vectorOf(cells: readonly Value[], { type }: { readonly type: ValueType }): EngineVector {
  return holdsNumbers(type) ? Float64Array.from(cells, Number) : cells;
}
