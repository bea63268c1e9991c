/**
 * Why a feature has the value it has: the events of the entity, which of them counted, and why the others did not.
 *
 * The value comes out of the view's own fold; the list beside it applies the stated rules (known in time, in the
 * window, predicate, null input) event by event.
 */
import type { Micros } from "../base/micros.ts";
import { formatViewName, type FeatureDefinition } from "../define/definition.ts";
import type { Window } from "../define/aggregation-definition.ts";
import { columnResolver, compileExpression } from "../fold/expression.ts";
import { lateAfterOf, latenessOf } from "../fold/lateness.ts";
import {
  createReadBuffer,
  type FoldEvent,
  startsExactly,
  type StatusName,
  STATUS_NAMES,
  type ViewState,
} from "../fold/view-fold.ts";
import { type EventFiles, filesBehind } from "../offline-store/event-archive.ts";
import { retractionFiles } from "../offline-store/retractions.ts";
import { encodeEntityKey, type EntityKey } from "../schema/entity-key.ts";
import type { Row, Value } from "../schema/value.ts";
import { readEntityEvents } from "./entity-events.ts";
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
 * merged bucket that straddles its edge; "before-session": behind a gap, or further back than a session reaches;
 * "not-among-last" n events of the window, or values that `last` or `lastK` takes; "not-among-first" values that `first`
 * or `firstK` takes; "predicate"; "null-input"; "forgotten"; "poison": folding it threw; "retracted": it was taken back, and that was known by asOf.
 */
export type EventRole =
  | "counted"
  | "known-later"
  | "before-window"
  | "before-session"
  | "merged-at-edge"
  | "not-among-last"
  | "not-among-first"
  | "predicate"
  | "null-input"
  | "forgotten"
  | "poison"
  | "retracted";

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
  /** The value covers `(windowStart, asOf]`; null for lifetime and last-n features. */
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

type ExplainedView = Pick<TrainingView, "definition" | "source" | "fold">;

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
    const history = new FeatureHistory(view, feature, asOf);
    const known = await knownRetractions(readEntityEvents({ engine, view, files, key }), { view, files }, asOf);
    for await (const event of readEntityEvents({ engine, view, files, key })) history.fold(event, known);
    const read = createReadBuffer(view.fold.features.length);
    view.fold.read(history.state, asOf, read);
    const windowStart = read.windowStarts[slot]!;
    const roles = history.roles(windowStart);
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
      exact: startsExactly(view.fold.features[slot]!, windowStart, asOf),
      error: read.errors[slot]!,
      roles: counts,
      lateEvents: history.events.reduce((late, event) => late + Number(event.late), 0),
      events: history.events.slice(from).map((event, i) => ({ ...event, role: roles[from + i]! })),
    };
  } finally {
    await engine.close();
  }
}

/** Offsets of the marks that were known by `asOf`. */
async function knownRetractions(
  events: AsyncIterable<FoldEvent>,
  { view, files }: { readonly view: ExplainedView; readonly files: EventFiles },
  asOf: Micros,
): Promise<ReadonlySet<number>> {
  const known = new Set<number>();
  if (retractionFiles(filesBehind(files, view.definition.key)).length === 0) return known;
  for await (const { offset, eventTime, knownTime } of events)
    if (Number.isNaN(eventTime) && knownTime <= asOf) known.add(offset);
  return known;
}

/** One entity's events as a feature sees them: folded as they come, each with the role it plays at `asOf`. */
export class FeatureHistory {
  readonly events: Omit<ExplainedEvent, "role">[] = [];
  readonly #view: ExplainedView;
  readonly #feature: FeatureDefinition;
  readonly #asOf: Micros;
  readonly #rules: ReturnType<typeof compileRules>;
  readonly #lateAfterMicros: number;
  /** What is already clear of each event without the window; null where the window decides. */
  readonly #early: (EventRole | null)[] = [];
  #state: ViewState | null = null;

  constructor(view: ExplainedView, feature: FeatureDefinition, asOf: Micros) {
    this.#view = view;
    this.#feature = feature;
    this.#asOf = asOf;
    this.#rules = compileRules(view, feature);
    this.#lateAfterMicros = lateAfterOf(view.source);
  }

  /** Null before the first event that was known in time. */
  get state(): ViewState | null {
    return this.#state;
  }

  /**
   * The next event, in offset order; `poison` says why the view cannot take it, where a derived column throws; it does not
   * count where what takes it back is among the `retractions`.
   */
  fold(
    event: FoldEvent & { readonly poison?: string | null; readonly retractedAt?: number },
    retractions: ReadonlySet<number> = NO_RETRACTIONS,
  ): void {
    const { offset, eventTime, knownTime, row } = event;
    if (Number.isNaN(eventTime)) {
      if (retractions.has(offset)) this.#view.fold.fold((this.#state ??= this.#view.fold.empty()), event);
      return;
    }
    const { fold } = this.#view;
    const input = this.#rules.inputOf(row);
    const lateByMicros = latenessOf(event);
    const late = lateByMicros > this.#lateAfterMicros;
    this.events.push({ offset, eventTime, knownTime, lateByMicros, late, input: input ?? null });
    if (knownTime > this.#asOf) {
      this.#early.push("known-later");
      return;
    }
    if (event.retractedAt !== undefined && retractions.has(event.retractedAt)) {
      this.#early.push("retracted");
      return;
    }
    this.#state ??= fold.empty();
    const countBefore = this.#state.eventCount;
    const isPoison = typeof event.poison === "string" || fold.fold(this.#state, event).kind === "poison";
    if (isPoison) {
      this.#early.push("poison");
      return;
    }
    if (this.#state.eventCount <= countBefore)
      this.#early.forEach((role, i) => (this.#early[i] = isNeverFolded(role) ? role : "forgotten"));
    this.#early.push(!this.#rules.holds(row) ? "predicate" : input === null ? "null-input" : null);
  }

  /** The role of each event, given the true left edge that a read of the state said. */
  roles(windowStart: number): EventRole[] {
    return rolesOf(this.#feature, { events: this.events, early: this.#early }, this.#asOf, windowStart);
  }
}

const NO_RETRACTIONS: ReadonlySet<number> = new Set();

function isNeverFolded(role: EventRole | null): boolean {
  return role === "known-later" || role === "poison" || role === "retracted";
}

/** Events and what is already clear of each without the window. */
interface FoldedEvents {
  readonly events: readonly Omit<ExplainedEvent, "role">[];
  readonly early: readonly (EventRole | null)[];
}

/** `inputOf` gives undefined where the feature aggregates whole events. */
function compileRules(
  view: ExplainedView,
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

function rolesOf(feature: FeatureDefinition, history: FoldedEvents, asOf: Micros, windowStart: number): EventRole[] {
  const { over } = feature.aggregation;
  const effective = history.events.map((event) => Math.min(event.eventTime, event.knownTime));
  const edge = over?.kind === "session" ? sessionEdge(over, effective, history, asOf) : edgeOf(over, asOf);
  const isAmongLast = over?.kind === "last" ? newest(over.events, effective, history) : null;
  const roles = history.events.map((_, i): EventRole => {
    const early = history.early[i]!;
    if (early === "forgotten" || isNeverFolded(early)) return early!;
    if (effective[i]! <= edge) return over?.kind === "session" ? "before-session" : "before-window";
    if (effective[i]! <= windowStart) return "merged-at-edge";
    if (isAmongLast !== null && !isAmongLast.has(i)) return "not-among-last";
    return early ?? "counted";
  });
  leaveOutUntaken(feature, effective, roles);
  return roles;
}

/** Of an aggregation that takes single values, the events whose values it leaves have a role of their own. */
function leaveOutUntaken({ aggregation }: FeatureDefinition, effective: readonly number[], roles: EventRole[]): void {
  const { fn, parameters } = aggregation;
  if (fn !== "first" && fn !== "firstK" && fn !== "last" && fn !== "lastK") return;
  const taken = parameters?.k ?? 1;
  const inOrder = byTime(
    effective,
    roles.flatMap((role, i) => (role === "counted" ? [i] : [])),
  );
  const isFirst = fn === "first" || fn === "firstK";
  const untaken = isFirst ? inOrder.slice(taken) : inOrder.slice(0, Math.max(0, inOrder.length - taken));
  for (const i of untaken) roles[i] = isFirst ? "not-among-first" : "not-among-last";
}

function edgeOf(over: Window | undefined, asOf: Micros): number {
  return over?.kind === "time" ? asOf - over.micros : Number.NEGATIVE_INFINITY;
}

/** The session present at asOf holds the folded events behind this time. */
function sessionEdge(
  { gapMicros, maxMicros }: Window & { readonly kind: "session" },
  effective: readonly number[],
  history: FoldedEvents,
  asOf: Micros,
): number {
  let follower: number = asOf;
  for (const i of foldedInOrder(effective, history).reverse()) {
    const time = effective[i]!;
    if (time <= asOf - maxMicros || follower - time > gapMicros) return time;
    follower = time;
  }
  return Number.NEGATIVE_INFINITY;
}

/** Indexes of the last n folded events by (effective time, offset), whether or not the predicate holds for them. */
function newest(count: number, effective: readonly number[], history: FoldedEvents): ReadonlySet<number> {
  return new Set(foldedInOrder(effective, history).slice(-count));
}

/** Indexes of the folded events, whether or not the predicate holds for them, by (effective time, offset). */
function foldedInOrder(effective: readonly number[], history: FoldedEvents): number[] {
  const folded = effective.flatMap((_, i) => {
    const early = history.early[i]!;
    return early === "forgotten" || isNeverFolded(early) ? [] : [i];
  });
  return byTime(effective, folded);
}

/** Indexes that stand in offset order, by (effective time, offset): the sort is stable. */
function byTime(effective: readonly number[], indexes: readonly number[]): number[] {
  return indexes.toSorted((a, b) => effective[a]! - effective[b]!);
}
