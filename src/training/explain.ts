/**
 * Why a feature has the value it has: the events of the entity, which of them counted, and why the others did not.
 *
 * The value comes out of the view's own fold; the list beside it applies the stated rules (known in time, in the
 * window, predicate, null input) event by event.
 */
import type { Micros } from "../base/micros.ts";
import { formatViewName, type FeatureDefinition } from "../define/definition.ts";
import { columnResolver, compileExpression } from "../fold/expression.ts";
import { lateAfterOf, latenessOf } from "../fold/lateness.ts";
import { createReadBuffer, type StatusName, STATUS_NAMES } from "../fold/view-fold.ts";
import { encodeEntityKey, type EntityKey } from "../schema/entity-key.ts";
import type { Row, Value } from "../schema/value.ts";
import { type EntityEvent, readEntityEvents } from "./entity-events.ts";
import { snapshotLog } from "./log-end.ts";
import type { TrainingPorts, TrainingView } from "./ports.ts";
import { featureSlot } from "./service-plan.ts";

export interface ExplainRequest {
  readonly ports: TrainingPorts;
  readonly view: string;
  /** Default: the highest registered. */
  readonly version?: number | "dev";
  readonly feature: string;
  /** Canonical text, or the key's parts in the entity's order. */
  readonly key: EntityKey | readonly Value[];
  /** Default: now, but not before the end of the log. */
  readonly asOf?: Micros;
  /** At most so many events are listed, the newest ones; default 1,000. */
  readonly eventsListed?: number;
}

/**
 * "counted"; or why not: "known-later" than asOf; "before-window"; "merged-at-edge": inside the window, but in a
 * merged bucket that straddles its edge; "not-among-last" n events; "predicate"; "null-input"; "forgotten";
 * "poison": folding it threw.
 */
export type EventRole =
  | "counted"
  | "known-later"
  | "before-window"
  | "merged-at-edge"
  | "not-among-last"
  | "predicate"
  | "null-input"
  | "forgotten"
  | "poison";

export interface ExplainedEvent {
  readonly offset: number;
  readonly eventTime: Micros;
  readonly knownTime: Micros;
  /** How long after it happened it became known, in microseconds; 0 for one from a clock that runs ahead. */
  readonly lateByMicros: number;
  /** Whether that is longer than the source's `lateAfter`. It counts where it belongs all the same. */
  readonly late: boolean;
  /** The aggregated column's value; null too where the feature aggregates whole events. */
  readonly input: Value;
  readonly role: EventRole;
}

export interface Explanation {
  /** `view@version`. */
  readonly view: string;
  readonly feature: string;
  readonly key: EntityKey;
  readonly asOf: Micros;
  readonly value: Value;
  readonly status: StatusName;
  /** True left edge of the window; null for lifetime and last-n features. */
  readonly windowStart: Micros | null;
  /** Whether the window begins exactly where it should. */
  readonly exact: boolean;
  /** How far the value may be off, as its aggregation states it; 0 when exact. */
  readonly error: number;
  /** Events of the entity by role, over all of them. */
  readonly roles: Readonly<Partial<Record<EventRole, number>>>;
  /** Late ones among all of them. */
  readonly lateEvents: number;
  /** The newest ones, in fold order. */
  readonly events: readonly ExplainedEvent[];
}

/** Throws `VIEW_UNKNOWN`, `FEATURE_UNKNOWN`, `KEY_MISSING`. */
export async function explain(request: ExplainRequest): Promise<Explanation> {
  const { ports } = request;
  const registered = ports.registry.view(request.view, request.version).definition;
  const view = ports.view(registered.name, registered.version);
  const { slot } = featureSlot(view, request.feature);
  const feature = view.definition.features.find((candidate) => candidate.name === request.feature)!;
  const key =
    typeof request.key === "string"
      ? request.key
      : encodeEntityKey(
          request.key,
          view.entity.keys.map((part) => part.type),
        );
  const { files, logEnd } = await snapshotLog(ports, view.source.name);
  const asOf = request.asOf ?? (Math.max(ports.clock.now(), logEnd) as Micros);
  const engine = await ports.openEngine();
  try {
    const history = await foldHistory(view, feature, readEntityEvents({ engine, view, files, key }), asOf);
    const read = createReadBuffer(view.fold.features.length);
    view.fold.read(history.state, asOf, read);
    const windowStart = read.windowStarts[slot]!;
    const { windowMicros } = view.fold.features[slot]!;
    const roles = rolesOf(feature, history, asOf, windowStart);
    const counts: Partial<Record<EventRole, number>> = {};
    for (const role of roles) counts[role] = (counts[role] ?? 0) + 1;
    const from = Math.max(0, roles.length - (request.eventsListed ?? 1000));
    return {
      view: formatViewName(view.definition),
      feature: request.feature,
      key,
      asOf,
      value: read.values[slot]!,
      status: STATUS_NAMES[read.statuses[slot]!]!,
      windowStart: Number.isFinite(windowStart) ? (windowStart as Micros) : null,
      exact: windowMicros === null || windowStart === asOf - windowMicros || history.state === null,
      error: read.errors[slot]!,
      roles: counts,
      lateEvents: history.events.reduce((late, event) => late + Number(event.late), 0),
      events: history.events.slice(from).map((event, i) => ({ ...event, role: roles[from + i]! })),
    };
  } finally {
    await engine.close();
  }
}

interface FoldedHistory {
  readonly state: ReturnType<TrainingView["fold"]["empty"]> | null;
  readonly events: readonly Omit<ExplainedEvent, "role">[];
  /** What is already clear of each event without the window; null where the window decides. */
  readonly early: readonly (EventRole | null)[];
}

async function foldHistory(
  view: TrainingView,
  feature: FeatureDefinition,
  events: AsyncIterable<EntityEvent>,
  asOf: Micros,
): Promise<FoldedHistory> {
  const { inputOf, holds } = compileRules(view, feature);
  const lateAfterMicros = lateAfterOf(view.source);
  const listed: Omit<ExplainedEvent, "role">[] = [];
  const early: (EventRole | null)[] = [];
  let state: FoldedHistory["state"] = null;
  for await (const event of events) {
    const { offset, eventTime, knownTime, row } = event;
    const input = inputOf(row);
    const lateByMicros = latenessOf(event);
    const late = lateByMicros > lateAfterMicros;
    listed.push({ offset, eventTime, knownTime, lateByMicros, late, input: input ?? null });
    if (knownTime > asOf) {
      early.push("known-later");
      continue;
    }
    state ??= view.fold.empty();
    const countBefore = state.eventCount;
    if (event.poison !== null || view.fold.fold(state, event).kind === "poison") {
      early.push("poison");
      continue;
    }
    if (state.eventCount <= countBefore)
      early.forEach((role, i) => (early[i] = role === "poison" ? role : "forgotten"));
    early.push(!holds(row) ? "predicate" : input === null ? "null-input" : null);
  }
  return { state, events: listed, early };
}

/** `inputOf` gives undefined where the feature aggregates whole events. */
function compileRules(
  view: TrainingView,
  feature: FeatureDefinition,
): {
  readonly inputOf: (row: Row) => Value | undefined;
  readonly holds: (row: Row) => boolean;
} {
  const columns = [...view.source.columns, ...view.source.derived].map(({ name, type }) => ({ name, type }));
  const { column, where } = feature.aggregation;
  const place = `${formatViewName(view.definition)}.${feature.name}`;
  const index = column === undefined ? -1 : columns.findIndex((candidate) => candidate.name === column);
  const predicate =
    where === undefined
      ? null
      : compileExpression(where, columnResolver(columns, `source ${view.source.name}`, place), place);
  return {
    inputOf: (row) => (index < 0 ? undefined : (row[index] ?? null)),
    holds: (row) => predicate === null || predicate.evaluate(row) === true,
  };
}

function rolesOf(feature: FeatureDefinition, history: FoldedHistory, asOf: Micros, windowStart: number): EventRole[] {
  const { over } = feature.aggregation;
  const effective = history.events.map((event) => Math.min(event.eventTime, event.knownTime));
  const isAmongLast = over?.kind === "last" ? newest(over.events, effective, history) : null;
  return history.events.map((_, i) => {
    const early = history.early[i]!;
    if (early === "known-later" || early === "poison" || early === "forgotten") return early;
    if (over?.kind === "time") {
      if (effective[i]! <= asOf - over.micros) return "before-window";
      if (effective[i]! <= windowStart) return "merged-at-edge";
    }
    if (isAmongLast !== null && !isAmongLast.has(i)) return "not-among-last";
    return early ?? "counted";
  });
}

/** Indexes of the last n folded events by (effective time, offset), whether or not the predicate holds for them. */
function newest(count: number, effective: readonly number[], history: FoldedHistory): ReadonlySet<number> {
  const folded = effective.flatMap((_, i) => {
    const early = history.early[i]!;
    return early === "known-later" || early === "poison" || early === "forgotten" ? [] : [i];
  });
  // The events stand in offset order, and the sort is stable.
  return new Set(folded.sort((a, b) => effective[a]! - effective[b]!).slice(-count));
}
