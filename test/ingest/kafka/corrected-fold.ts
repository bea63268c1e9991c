/**
 * What the states must be of records in a folded topic, some of which take others back: for each entity the fold, in
 * order, of its events that count in the end. Naive: it keeps all records and looks each of them up among all.
 */
import type { Micros } from "../../../src/base/micros.ts";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { compileDoor } from "../../../src/ingest/door.ts";
import type { KafkaRecord } from "../../../src/ingest/kafka/records.ts";
import type { ViewState } from "../../../src/fold/view-fold.ts";
import type { Route, RoutedView } from "../../../src/ingest/kafka/routes.ts";
import type { Row } from "../../../src/schema/value.ts";

/** A record that was taken; `row` is null for a retraction. */
interface Entry {
  readonly offset: number;
  readonly knownTime: Micros;
  readonly eventTime: Micros;
  readonly id: string | null;
  readonly row: Row | null;
}

/** Those that are no copies, nor duplicates by entity and id, with the known times that they have in the partition. */
function entriesOf(source: StreamDefinition, route: Route, records: readonly KafkaRecord[]): Entry[] {
  const door = compileDoor(source, route.views);
  const origins = new Set<string>();
  const ids = new Map<string, number>();
  const entries: Entry[] = [];
  let known = Number.NEGATIVE_INFINITY;
  for (const { offset, value, headers } of records) {
    const all = headers();
    const origin = all.get("onefold-origin")!.toString();
    if (origins.has(origin)) continue;
    origins.add(origin);
    const stamp = Number(all.get("onefold-known-time")!.toString());
    const corrects = all.get("onefold-corrects")?.toString();
    const knownTime = Math.max(known, stamp) as Micros;
    if (value === null) {
      known = knownTime;
      entries.push({ offset, knownTime, eventTime: Number.NaN as Micros, id: corrects!, row: null });
      continue;
    }
    let checked;
    try {
      checked = door.check(JSON.parse(value.toString()), stamp as Micros);
    } catch {
      continue;
    }
    // Else it was decided for the whole source before.
    if (checked.id !== null && !all.has("onefold-ids")) {
      const name = `${route.views[0]!.fold.keyOf(checked.row)} ${checked.id}`;
      const isKnown = (ids.get(name) ?? Number.NEGATIVE_INFINITY) >= knownTime - source.dedupeWithinMicros;
      if (isKnown && corrects === undefined) continue;
      if (!isKnown) ids.set(name, knownTime);
    }
    known = knownTime;
    entries.push({ offset, knownTime, ...checked });
  }
  return entries;
}

/** By view and key, as hex. Of entities without any event that was folded there is nothing. */
export function correctedStates(
  source: StreamDefinition,
  route: Route,
  partitions: readonly (readonly KafkaRecord[])[],
): Map<string, Record<string, string>> {
  return new Map(
    Array.from(correctedFolds(source, route, partitions), ([{ name, fold }, states]) => {
      const hex = Array.from(states, ([key, state]) => [key, Buffer.from(fold.encode(state)).toString("hex")]);
      return [name, Object.fromEntries(hex) as Record<string, string>];
    }),
  );
}

/** The same as states. */
export function correctedFolds(
  source: StreamDefinition,
  route: Route,
  partitions: readonly (readonly KafkaRecord[])[],
): Map<RoutedView, Map<string, ViewState>> {
  const all = partitions.map((records) => entriesOf(source, route, records));
  return new Map(
    route.views.map((view) => {
      const { fold } = view;
      const states = new Map<string, ViewState>();
      for (const entries of all) {
        const isTakenBack = ({ id, offset }: Entry, before: number): boolean =>
          entries.some((one) => one.row === null && one.id === id && one.offset > offset && one.offset < before);
        for (const key of new Set(entries.flatMap(({ row }) => (row === null ? [] : [fold.keyOf(row)])))) {
          const own = entries.filter(({ row }) => row !== null && fold.keyOf(row) === key);
          const state = fold.empty();
          for (const one of entries) {
            const hits = (event: Entry): boolean =>
              event.id === one.id && event.offset < one.offset && !isTakenBack(event, one.offset);
            if (one.row === null ? own.some(hits) : own.includes(one) && !isTakenBack(one, Number.POSITIVE_INFINITY))
              fold.fold(state, { ...one, row: one.row ?? [] });
          }
          if (state.lastOffset >= 0) states.set(key, state);
        }
      }
      return [view, states];
    }),
  );
}
