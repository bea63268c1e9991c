/**
 * One random case of the point-in-time join, drawn from a seed: a view, a log of several entities and labels,
 * joined under every bound. Each answer is held against brute force: pick the events the label may see out of
 * all, fold them from nothing, and ask the naive oracle too.
 */
import type { Micros } from "../../src/base/micros.ts";
import type { ViewDefinition } from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer, type FoldEvent, STATUS_NAMES, type StatusName } from "../../src/fold/view-fold.ts";
import type { EntityEventBatch } from "../../src/offline-store/event-reader.ts";
import type { Value } from "../../src/schema/value.ts";
import { type GeneratedEvent, randomEvents } from "../../src/testing/event-generator.ts";
import { randomView } from "../../src/testing/view-generator.ts";
import { generatedEntity, generatedSource } from "../../src/testing/generated-source.ts";
import { NaiveOracle } from "../../src/testing/naive-oracle.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { FeatureColumn } from "../../src/training/feature-columns.ts";
import { type EventBound, type LabelRun, ViewJoin } from "../../src/training/point-in-time-join.ts";
import { checkTasks } from "./task-case.ts";
import { WindowOracle } from "./window-oracle.ts";
import { deriveForView } from "../../src/fold/derive.ts";
import { sameBits } from "../../src/training/same-bits.ts";

export const BOUNDS: readonly EventBound[] = ["known", "known-before", "effective", "effective-before", "offset"];

export interface JoinCounts {
  labels: number;
  answers: number;
  /** Labels of an entity that has no event at all. */
  unseen: number;
  /** Labels that do not see an event whose own time has come, because it was not known yet. */
  lateHidden: number;
  /** Labels that stand at the very place of an event. */
  coincident: number;
  /** Answers whose window began later than asked. */
  laterWindows: number;
}

export interface CaseLabel {
  readonly entity: number;
  /** Time in microseconds; under "offset" the last offset folded, -Infinity for none. */
  readonly limit: number;
  readonly asOf: number;
}

/** Some events of some of them; the last ones usually have none. */
const KEYS = ["a", "b", "c", "", "d|e", "never seen"];

const effectiveTime = (event: FoldEvent): number => Math.min(event.eventTime, event.knownTime);

/** Throws with what differed. */
export function runJoinCase(seed: number, counts: JoinCounts): void {
  const random = new SeededRandom(seed);
  const view = randomView(random, seed % 3 === 0 ? "sessions" : "basic");
  const events = randomEvents(random, random.pick([0, 1, 3, 12, 40, 40, 90, 250]), KEYS.slice(0, random.integer(1, 5)));
  for (const bound of BOUNDS) {
    const labels = randomLabels(random, view, events, bound);
    // Of half of the cases cut into tasks under one of them: compiling a copy of the view takes longer than the join.
    const taskRandom = BOUNDS[seed % (2 * BOUNDS.length)] === bound ? new SeededRandom(seed + 1_000_000) : null;
    checkJoin(random, taskRandom, view, events, labels, bound, counts);
  }
}

/** The events that a label may see, in fold order: the definition, without any cleverness. */
export function visibleEvents(events: readonly GeneratedEvent[], label: CaseLabel, bound: EventBound): FoldEvent[] {
  const own = events.filter((event) => event.key === KEYS[label.entity]);
  switch (bound) {
    case "known":
      return own.filter((event) => event.knownTime <= label.limit);
    case "known-before":
      return own.filter((event) => event.knownTime < label.limit);
    case "offset":
      return own.filter((event) => event.offset <= label.limit);
    case "effective":
    case "effective-before":
      return own
        .filter((event) =>
          bound === "effective" ? effectiveTime(event) <= label.limit : effectiveTime(event) < label.limit,
        )
        .sort((a, b) => effectiveTime(a) - effectiveTime(b) || a.offset - b.offset)
        .map(({ row, ...event }, rank) => {
          const time = effectiveTime({ row, ...event }) as Micros;
          return { row, offset: rank, eventTime: time, knownTime: time };
        });
  }
}

function checkJoin(
  random: SeededRandom,
  taskRandom: SeededRandom | null,
  view: ViewDefinition,
  events: readonly GeneratedEvent[],
  labels: readonly CaseLabel[],
  bound: EventBound,
  counts: JoinCounts,
): void {
  const fold = compileViewFold(view, generatedSource, generatedEntity);
  const columns = fold.features.map(({ name, type }, slot) => new FeatureColumn(name, type, slot, labels.length));
  const timesRead = new Int32Array(labels.length);
  const windowStarts = labels.map((): number[] => []);
  const rows = labels
    .map((_, row) => row)
    .sort((a, b) => {
      const [x, y] = [labels[a]!, labels[b]!];
      return x.entity - y.entity || (x.limit === y.limit ? a - b : x.limit - y.limit);
    });
  const run: LabelRun = {
    count: rows.length,
    entity: Int32Array.from(rows, (row) => labels[row]!.entity),
    limit: Float64Array.from(rows, (row) => labels[row]!.limit),
    asOf: Float64Array.from(rows, (row) => labels[row]!.asOf),
    row: Int32Array.from(rows),
  };
  const join = new ViewJoin({
    fold,
    storedColumnCount: generatedSource.columns.length,
    derive: deriveForView(view, generatedSource)?.derive ?? null,
    bound,
    labels: run,
    columns,
    onRead: (label, _, read) => {
      timesRead[rows[label]!]!++;
      windowStarts[rows[label]!] = [...read.windowStarts];
    },
  });
  const isAsked = new Set(labels.map((label) => label.entity));
  const inOrder = events
    // the engine hands over the spine's entities only; the join must not depend on it
    .filter((event) => isAsked.has(KEYS.indexOf(event.key)) || random.oneIn(2))
    .toSorted((a, b) => {
      const byEntity = KEYS.indexOf(a.key) - KEYS.indexOf(b.key);
      const byTime = bound.startsWith("effective") ? effectiveTime(a) - effectiveTime(b) : 0;
      return byEntity || byTime || a.offset - b.offset;
    });
  for (const batch of batchesOf(random, inOrder, fold.inputColumns)) join.push(batch);
  join.finish();
  const withEntities = inOrder.map((event) => ({ ...event, entity: KEYS.indexOf(event.key) }));
  if (taskRandom !== null)
    checkTasks(taskRandom, { view, fold, bound, labels: run, events: withEntities, columns, join });

  let coincident = 0;
  const later = columns.map(() => 0);
  const read = createReadBuffer(fold.features.length);
  for (const [row, label] of labels.entries()) {
    const where = `${bound}, label ${row} (entity "${KEYS[label.entity]}", limit ${label.limit}, asOf ${label.asOf})`;
    if (timesRead[row] !== 1) throw new Error(`${where}: answered ${timesRead[row]} times`);
    const visible = visibleEvents(events, label, bound);
    const oracle = new NaiveOracle(view, generatedSource);
    const windows = new WindowOracle(view, generatedSource);
    const state = fold.empty();
    for (const event of visible) {
      // What one of the features throws at is in none of them.
      if (oracle.add(event) === "folded") windows.add(event);
      fold.fold(state, event);
    }
    fold.read(state, label.asOf as Micros, read);
    for (const [slot, column] of columns.entries()) {
      const status = STATUS_NAMES[column.statuses[row]!]!;
      const value = column.value(row);
      const place = `${where}, ${column.name}`;
      if (windowStarts[row]![slot] !== read.windowStarts[slot]) throw new Error(`${place}: another window start`);
      if (status !== STATUS_NAMES[read.statuses[slot]!] || !sameBits(value, read.values[slot]!)) {
        throw new Error(
          `${place}: ${show(value, status)}, brute force says ${show(read.values[slot]!, STATUS_NAMES[read.statuses[slot]!]!)}`,
        );
      }
      const windowStart = read.windowStarts[slot]!;
      const beganLater = windows.beganLater(slot, label.asOf, windowStart);
      if (column.hasLaterWindow(row) !== beganLater)
        throw new Error(`${place}: the oracle says that its window ${beganLater ? "began" : "did not begin"} later`);
      if (beganLater) later[slot]!++;
      const expected = oracle.read(slot, label.asOf, Number.isFinite(windowStart) ? windowStart : undefined);
      const isCountOfSessions = view.features[slot]!.aggregation.fn === "countSessions";
      const tolerance = isCountOfSessions ? Math.round(read.errors[slot]! * (value as number)) : expected.tolerance;
      if (status !== expected.status || !agrees(value, expected.value, tolerance)) {
        throw new Error(`${place}: ${show(value, status)}, the oracle says ${show(expected.value, expected.status)}`);
      }
      counts.answers++;
    }
    const own = events.filter((event) => event.key === KEYS[label.entity]);
    const placeOf = (event: FoldEvent): number =>
      bound === "offset" ? event.offset : bound.startsWith("effective") ? effectiveTime(event) : event.knownTime;
    if (own.some((event) => placeOf(event) === label.limit)) coincident++;
    counts.labels++;
    if (own.length === 0) counts.unseen++;
    if (bound === "known" && own.some((event) => event.knownTime > label.limit && event.eventTime <= label.limit))
      counts.lateHidden++;
  }
  for (const [slot, column] of columns.entries()) {
    if (column.countLaterWindows() !== later[slot])
      throw new Error(
        `${bound}, ${column.name}: ${column.countLaterWindows()} later windows, ${later[slot]} there are`,
      );
    counts.laterWindows += later[slot]!;
  }
  counts.coincident += coincident;
  const isInclusive = bound === "known" || bound === "effective";
  if (isInclusive && join.coincidentLabels !== coincident) {
    throw new Error(`${bound}: ${join.coincidentLabels} labels are said to coincide with an event, ${coincident} do`);
  }
}

/** At, just before and just after events, at windows' edges, anywhere; some of them twice. */
function randomLabels(
  random: SeededRandom,
  view: ViewDefinition,
  events: readonly GeneratedEvent[],
  bound: EventBound,
): CaseLabel[] {
  const first = events[0]?.knownTime ?? 1e15;
  const last = events.at(-1)?.knownTime ?? first + 1e9;
  const windows = view.features.flatMap(({ aggregation: { over } }) => {
    if (over?.kind === "session") return [over.gapMicros, over.maxMicros];
    return over?.kind === "time" ? [over.micros] : [];
  });
  const labels: CaseLabel[] = [];
  const count = random.integer(0, 24);
  while (labels.length < count) {
    const present = events.length === 0 || random.oneIn(6) ? random.pick(KEYS) : random.pick(events).key;
    const entity = KEYS.indexOf(present);
    if (labels.length > 0 && random.oneIn(5)) {
      labels.push(random.pick(labels));
      continue;
    }
    const own = events.filter((event) => event.key === KEYS[entity]);
    if (bound === "offset") {
      const seen = own.length === 0 || random.oneIn(6) ? null : random.pick(own);
      const known = seen?.knownTime ?? first;
      const later = random.pick([0, 0, 1, random.integer(0, 100_000_000), ...windows]);
      labels.push({ entity, limit: seen?.offset ?? Number.NEGATIVE_INFINITY, asOf: known + later });
      continue;
    }
    const event = own.length === 0 ? null : random.pick(own);
    const t =
      event === null || random.oneIn(4)
        ? random.integer(first - 1000, last + 1000)
        : random.pick([
            event.knownTime,
            effectiveTime(event),
            effectiveTime(event) + (windows.length === 0 ? 0 : random.pick(windows)),
          ]) + random.integer(-1, 1);
    labels.push({ entity, limit: t, asOf: t });
  }
  return labels;
}

function* batchesOf(
  random: SeededRandom,
  events: readonly GeneratedEvent[],
  inputColumns: readonly string[],
): Iterable<EntityEventBatch> {
  const places = inputColumns.map((name) => generatedSource.columns.findIndex((column) => column.name === name));
  for (let from = 0; from < events.length;) {
    const part = events.slice(from, from + random.pick([1, 2, 7, 1000]));
    from += part.length;
    yield {
      rowCount: part.length,
      entity: Int32Array.from(part, (event) => KEYS.indexOf(event.key)),
      offset: Float64Array.from(part, (event) => event.offset),
      eventTime: Float64Array.from(part, (event) => event.eventTime),
      knownTime: Float64Array.from(part, (event) => event.knownTime),
      fillRow: (index, into: Value[]) => {
        for (const place of places) into[place] = part[index]!.row[place]!;
      },
      keyText: (entity) => KEYS[entity]!,
    };
  }
}

export function agrees(value: Value, expected: Value, tolerance: number): boolean {
  if (typeof value === "number" && typeof expected === "number") {
    return Object.is(value, expected) || Math.abs(value - expected) <= tolerance;
  }
  return sameBits(value, expected);
}

function show(value: Value, status: StatusName): string {
  return `${String(value)} ${status}`;
}
