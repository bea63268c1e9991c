/**
 * Looks for the one fault in the fold path that would turn the right result into the one that was found:
 * a state that lagged or ran ahead, or an event lost, doubled or swapped among the newest ones.
 */
import { formatMicros } from "../base/micros.ts";
import type { FoldEvent, ViewFold, ViewState } from "../fold/view-fold.ts";
import type { EntityEvent } from "./entity-events.ts";

/** How many of the newest events are tried. */
const TAIL_EVENTS = 64;

/** An entity's events up to an offset: the older ones folded, the newest as they are. */
export interface EntityTail {
  readonly base: Uint8Array;
  readonly events: readonly FoldEvent[];
  /** All events up to the offset. */
  readonly eventCount: number;
  /** Events of the entity behind the offset, at most a few. */
  readonly after: readonly FoldEvent[];
}

/** `events` in offset order; those up to `lastOffset` are the ones that should have been folded. */
export async function collectTail(
  fold: ViewFold,
  events: AsyncIterable<EntityEvent>,
  lastOffset: number,
): Promise<EntityTail> {
  const state = fold.empty();
  const tail: FoldEvent[] = [];
  const after: FoldEvent[] = [];
  let eventCount = 0;
  for await (const event of events) {
    if (event.offset > lastOffset) {
      if (event.poison === null) after.push(event);
      if (after.length >= TAIL_EVENTS) break;
      continue;
    }
    eventCount++;
    if (event.poison !== null) continue;
    tail.push(event);
    if (tail.length > TAIL_EVENTS) fold.fold(state, tail.shift()!);
  }
  return { base: fold.encode(state), events: tail, eventCount, after };
}

/** The state after `events` have been folded onto the older ones. */
export function stateAfter(fold: ViewFold, tail: EntityTail, events: readonly FoldEvent[]): ViewState {
  const state = fold.decode(tail.base);
  for (const event of events) fold.fold(state, event);
  return state;
}

/** Says which single fault gives a state that `matches`; null where none does. */
export function findFault(fold: ViewFold, tail: EntityTail, matches: (state: ViewState) => boolean): string | null {
  const { events, after } = tail;
  const tryEvents = (changed: readonly FoldEvent[]): boolean => matches(stateAfter(fold, tail, changed));
  for (let i = events.length - 1; i >= 0; i--) {
    if (tryEvents(without(events, i))) {
      return i === events.length - 1 && i > 0
        ? `the state lagged behind its position: without the last event, ${describeEvent(events[i]!)}, it agrees`
        : `an event was lost: without ${describeEvent(events[i]!)} it agrees`;
    }
    if (tryEvents(doubled(events, i))) return `an event was folded twice: ${describeEvent(events[i]!)}`;
    if (i > 0 && tryEvents(swapped(events, i - 1))) {
      return `two events were folded in the wrong order: ${describeEvent(events[i - 1]!)} and ${describeEvent(events[i]!)}`;
    }
  }
  const last = events.at(-1);
  const next = after[0];
  if (
    last !== undefined &&
    next !== undefined &&
    tryEvents([...events.slice(0, -1), { ...next, offset: last.offset }])
  ) {
    return `two events were folded in the wrong order: ${describeEvent(last)} and ${describeEvent(next)}, of which only the later one was in it`;
  }
  for (let count = events.length - 2; count >= 0; count--) {
    if (!tryEvents(events.slice(0, count))) continue;
    return `the state lagged behind its position by ${events.length - count} events: it agrees before ${describeEvent(events[count]!)}`;
  }
  for (let count = 1; count <= after.length; count++) {
    if (!tryEvents([...events, ...after.slice(0, count)])) continue;
    return `the state was ahead of its position: it agrees after ${describeEvent(after[count - 1]!)}`;
  }
  return null;
}

export function describeEvent(event: FoldEvent): string {
  if (Number.isNaN(event.eventTime))
    return `the retraction at offset ${event.offset} (known ${formatMicros(event.knownTime)})`;
  return `offset ${event.offset} (happened ${formatMicros(event.eventTime)}, known ${formatMicros(event.knownTime)})`;
}

function without(events: readonly FoldEvent[], index: number): FoldEvent[] {
  return events.filter((_, i) => i !== index);
}

/** The first copy stands half an offset before, where the fold's rule against repeats does not see it. */
function doubled(events: readonly FoldEvent[], index: number): FoldEvent[] {
  const event = events[index]!;
  return [...events.slice(0, index), { ...event, offset: event.offset - 0.5 }, ...events.slice(index)];
}

/** The contents of two neighbours exchanged, each under the other's offset. */
function swapped(events: readonly FoldEvent[], index: number): FoldEvent[] {
  const first = events[index]!;
  const second = events[index + 1]!;
  const exchanged = [
    { ...second, offset: first.offset },
    { ...first, offset: second.offset },
  ];
  return [...events.slice(0, index), ...exchanged, ...events.slice(index + 2)];
}
