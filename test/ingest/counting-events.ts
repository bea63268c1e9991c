/** What a log with corrections must come to, told by walking it from its beginning each time. */
import type { ViewDefinition } from "../../src/define/definition.ts";
import type { ViewState } from "../../src/fold/view-fold.ts";
import type { RefoldedRun } from "../../src/ingest/correction-run.ts";
import { isRetraction, type LogEvent } from "../../src/ingest/event.ts";
import type { PipelineView } from "../../src/ingest/view-runner.ts";
import { hex, pipelineView } from "./payments.ts";

/** Of each entity the events that count and the retractions of others, in order; and whom each retraction hits. */
function countingEvents(
  { fold }: PipelineView,
  events: readonly LogEvent[],
): { byKey: Map<string, LogEvent[]>; hit: Map<number, string[]> } {
  const byKey = new Map<string, LogEvent[]>();
  const hit = new Map<number, string[]>();
  const ofKey = (key: string): LogEvent[] => {
    if (!byKey.has(key)) byKey.set(key, []);
    return byKey.get(key)!;
  };
  for (const event of events) {
    if (isRetraction(event)) {
      const isTakenBack = (other: LogEvent): boolean => other.id === event.id && !isRetraction(other);
      const keys = [...byKey].filter(([, records]) => records.some(isTakenBack)).map(([key]) => key);
      hit.set(event.offset, keys);
      for (const key of keys) byKey.set(key, [...ofKey(key).filter((other) => !isTakenBack(other)), event]);
      continue;
    }
    try {
      ofKey(fold.keyOf(event.row)).push(event);
    } catch {
      continue;
    }
  }
  return { byKey, hit };
}

/** All that a view must hold, of a log with corrections, as `expectedStates` of one without. */
export function countingStates(definition: ViewDefinition, events: readonly LogEvent[]): Record<string, string> {
  const view = pipelineView(definition);
  const states: Record<string, string> = {};
  for (const [key, records] of countingEvents(view, events).byKey) {
    const state = view.fold.empty();
    for (const record of records) view.fold.fold(state, record);
    if (state.lastOffset !== Number.NEGATIVE_INFINITY) states[key] = hex(view.fold.encode(state));
  }
  return states;
}

/** As `refoldRun` gives it of the archive. */
export function refoldedRun(
  view: PipelineView,
  run: readonly LogEvent[],
  log: readonly LogEvent[],
): RefoldedRun<ViewState> {
  const before = log.filter(({ offset }) => offset < run[0]!.offset);
  const { hit } = countingEvents(view, [...before, ...run]);
  const keys = new Set(run.flatMap(({ offset }) => hit.get(offset) ?? []));
  const ids = new Set(run.filter(isRetraction).map(({ id }) => id));
  const { byKey } = countingEvents(view, before);
  const states = Array.from(keys, (key): [string, ViewState] => {
    const state = view.fold.empty();
    for (const record of byKey.get(key) ?? []) {
      if (isRetraction(record) || !ids.has(record.id)) view.fold.fold(state, record);
    }
    return [key, state];
  });
  const isTakenBack = (event: LogEvent, at: number): boolean =>
    !isRetraction(event) && run.slice(at).some((other) => isRetraction(other) && other.id === event.id);
  return { states: new Map(states), hit, takenBack: new Set(run.filter(isTakenBack).map(({ offset }) => offset)) };
}
