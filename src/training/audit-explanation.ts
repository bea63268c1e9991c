/**
 * Why a served vector differs from the recomputed one: which single fault would account for it.
 */
import { formatMicros, type Micros } from "../base/micros.ts";
import { fallBack } from "../fold/fallback.ts";
import { createReadBuffer, type ViewState } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { FoundMismatch } from "./audit-result.ts";
import { readEntityEvents } from "./entity-events.ts";
import { collectTail, findFault, stateAfter, type EntityTail } from "./fault-search.ts";
import type { TrainingView } from "./ports.ts";
import { sameBits } from "./same-bits.ts";

/** Other times that are tried, nearest first. */
const TIMES_TRIED = 1000;

export async function explainMismatch(
  engine: QueryEngine,
  view: TrainingView,
  files: EventFiles,
  key: EntityKey,
  found: FoundMismatch,
): Promise<string> {
  const lastOffset = found.lastOffset ?? Number.NEGATIVE_INFINITY;
  const tail = await collectTail(
    view.fold,
    readEntityEvents({ engine, view, files, key, countingAt: lastOffset }),
    lastOffset,
  );
  const count = `the log has ${tail.eventCount} event${tail.eventCount === 1 ? "" : "s"} of this entity up to offset ${found.lastOffset}`;
  if (found.kind === "position") {
    const newest = tail.events.at(-1);
    const there = newest === undefined ? "none" : `the newest at offset ${newest.offset}`;
    return `${count}, ${there}: the token names a position that is not the entity's, or an event is missing from the archive`;
  }
  if (found.kind === "time") {
    const newest = formatMicros(stateAfter(view.fold, tail, tail.events).lastKnownTime as Micros);
    return `the token's asOf lies before ${newest}, when the newest event it had folded became known`;
  }
  const matchesAt = matcher(view, found);
  const fault =
    findFault(view.fold, tail, (state) => matchesAt(state, found.asOf)) ?? findOtherTime(view, tail, found, matchesAt);
  if (fault !== null) return `${count}; ${fault}`;
  return `${count}; no single event lost, doubled or swapped among the last ${tail.events.length} and no other time accounts for it: audit the stored states, one may be damaged`;
}

/** Whether a state read at a time gives all that the vector carried of this view. */
function matcher(view: TrainingView, found: FoundMismatch): (state: ViewState, asOf: number) => boolean {
  const { fold } = view;
  const { fallback } = found.vector.token.reads.find((one) => one.view === found.view) ?? {};
  const read = createReadBuffer(fold.features.length);
  const expected = found.positions
    .map(({ position, feature }) => ({
      position,
      slot: fold.features.findIndex((candidate) => candidate.name === feature),
    }))
    .filter(({ slot }) => slot >= 0);
  return (state, asOf) => {
    fold.read(state, asOf as Micros, read);
    if (fallback !== undefined) fallBack(view.definition.features, fallback, read);
    return expected.every(
      ({ position, slot }) =>
        read.statuses[slot] === found.vector.statuses[position] &&
        sameBits(read.values[slot]!, found.vector.values[position]!),
    );
  };
}

/** Values change only where an event enters or leaves a window, a session ends, or its age passes a TTL: those times are enough. */
function findOtherTime(
  view: TrainingView,
  tail: EntityTail,
  found: FoundMismatch,
  matchesAt: (state: ViewState, asOf: number) => boolean,
): string | null {
  const state = stateAfter(view.fold, tail, tail.events);
  const lengths = new Set<number>([0]);
  for (const feature of view.fold.features) if (feature.windowMicros !== null) lengths.add(feature.windowMicros);
  for (const { aggregation } of view.definition.features)
    if (aggregation.over?.kind === "session") lengths.add(aggregation.over.gapMicros + 1);
  for (const feature of view.definition.features)
    if (feature.ttlMicros !== undefined) lengths.add(feature.ttlMicros + 1);
  if (view.definition.ttlMicros !== undefined) lengths.add(view.definition.ttlMicros + 1);
  const times = new Set<number>();
  for (const event of tail.events) {
    const effective = Math.min(event.eventTime, event.knownTime);
    for (const length of lengths) times.add(effective + length).add(effective + length - 1);
  }
  const nearest = [...times]
    .filter((time) => time >= state.lastKnownTime)
    .sort((a, b) => Math.abs(a - found.asOf) - Math.abs(b - found.asOf))
    .slice(0, TIMES_TRIED);
  const time = nearest.find((candidate) => matchesAt(state, candidate));
  if (time === undefined) return null;
  return `the values are those of another time, such as ${formatMicros(time as Micros)} instead of the token's ${formatMicros(found.asOf as Micros)}`;
}
