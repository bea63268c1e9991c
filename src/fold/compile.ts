/**
 * `compileViewFold`: a view's definition as the fold that every part of the platform calls.
 *
 * Folding evaluates first whatever may throw (predicates, custom functions) into a scratch record, and
 * only then changes the state: an event that throws leaves no trace. A read makes one pass over the bucket
 * list from the newest event to the oldest and takes each window's values as it passes its edge.
 */
import { messageOf } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import type { EntityDefinition, SourceDefinition, ViewDefinition } from "../define/definition.ts";
import type { Window } from "../define/aggregation-definition.ts";
import { encodeEntityKey, type EntityKey } from "../schema/entity-key.ts";
import type { Row, Value } from "../schema/value.ts";
import { type Cells, FAILED } from "./accumulator.ts";
import type { WindowCut } from "./bucket-list.ts";
import { EventRecord } from "./event-record.ts";
import { emptyState, type FoldState, forget } from "./fold-state.ts";
import { emptiesAfterMicros } from "./empties-after.ts";
import { hopForSession, hopForWindow } from "./hop-ladder.ts";
import { cutSession } from "./session-window.ts";
import { isPlaceable, PlacedStates } from "./placed-state.ts";
import { decodeState, encodeState } from "./state-codec.ts";
import {
  type CompiledFeature,
  createReadBuffer,
  type FoldEvent,
  type FoldOutcome,
  type PlacedFold,
  type ReadBuffer,
  Status,
  type ViewFold,
  type ViewReader,
} from "./view-fold.ts";
import type { ReadPlan, SessionPlan, WindowPlan } from "./read-plan.ts";
import { type FeaturePlan, planView, type ViewPlan } from "./view-plan.ts";

/** A time that does not come. */
const NEVER: number = Number.POSITIVE_INFINITY;

const FOLDED: FoldOutcome = { kind: "folded" };
const ALREADY_FOLDED: FoldOutcome = { kind: "already-folded" };

/**
 * Compiles a view over its source and entity. Throws `DEFINITION_INVALID`, whose `where` names the view and
 * feature and, where the definition knows it, file and line.
 */
export function compileViewFold(
  view: ViewDefinition,
  source: SourceDefinition,
  entity: EntityDefinition,
): ViewFold<FoldState> {
  return new CompiledViewFold(planView(view, source, entity));
}

class CompiledViewFold implements ViewFold<FoldState> {
  readonly features: readonly CompiledFeature[];
  readonly inputColumns: readonly string[];
  readonly eventColumns: readonly string[];
  readonly emptiesAfterMicros: number;
  readonly placed: PlacedFold<FoldState> | null;
  readonly #plan: ViewPlan;
  readonly #record: EventRecord;
  readonly #keyParts: Value[];
  readonly #keyTypes: ViewPlan["key"][number]["type"][];
  /** The group that a read accumulates windows in, and an empty one of lifetimes for reads of nothing. */
  readonly #running: Cells;
  readonly #nothing: FoldState;
  readonly #cut: WindowCut = { bucket: 0, raw: 0, windowStart: 0 };

  constructor(plan: ViewPlan) {
    this.#plan = plan;
    this.features = plan.features.map(({ feature: { definition, over } }) => ({
      name: definition.name,
      type: definition.type,
      windowMicros: over?.kind === "time" ? over.micros : over?.kind === "session" ? over.maxMicros : null,
      hopMicros: over?.kind === "time" ? hopForWindow(over.micros) : over?.kind === "session" ? hopForSession(over) : 0,
    }));
    this.inputColumns = plan.inputColumns;
    this.eventColumns = plan.eventColumns;
    this.placed = isPlaceable(plan.state) ? new PlacedStates(plan.state) : null;
    this.#record = new EventRecord(plan);
    this.#keyParts = plan.key.map(() => null);
    this.#keyTypes = plan.key.map(({ type }) => type);
    const { stride, objectStride } = plan.state.list;
    this.#running = {
      numbers: new Float64Array(stride),
      objects: Array.from<unknown>({ length: objectStride }).fill(null),
    };
    this.#nothing = emptyState(plan.state.lifetime);
    const unseen = createReadBuffer(plan.features.length);
    this.#readNothing(0 as Micros, unseen);
    this.emptiesAfterMicros = emptiesAfterMicros(plan, unseen.values);
  }

  keyOf(row: Row): EntityKey {
    const { key } = this.#plan;
    for (let i = 0; i < key.length; i++) this.#keyParts[i] = row[key[i]!.column] ?? null;
    return encodeEntityKey(this.#keyParts, this.#keyTypes);
  }

  empty(): FoldState {
    return emptyState(this.#plan.state.lifetime);
  }

  fold(state: FoldState, event: FoldEvent): FoldOutcome {
    if (event.offset <= state.lastOffset) return ALREADY_FOLDED;
    if (Number.isNaN(event.eventTime)) return moveOn(state, event);
    const plan = this.#plan;
    const time = event.eventTime < event.knownTime ? event.eventTime : event.knownTime;
    const forgets = time - state.lastEventTime > plan.forgetAfterMicros && state.eventCount > 0;
    const record = this.#record;
    try {
      record.evaluate(state, event.row, time, forgets);
    } catch (error) {
      return { kind: "poison", message: messageOf(error) };
    }
    if (forgets) forget(state, plan.state.lifetime);
    state.lastOffset = event.offset;
    if (event.knownTime > state.lastKnownTime) state.lastKnownTime = event.knownTime;
    if (time > state.lastEventTime) state.lastEventTime = time;
    state.eventCount++;
    const { accumulators } = plan.state.lifetime;
    for (let i = 0; i < accumulators.length; i++) accumulators[i]!.add(state.lifetime, 0, 0, record.cells, 0, 0);
    record.keepCustoms(state.lifetime);
    if (plan.timeWindows.length > 0 || plan.lastWindows.length > 0 || plan.sessions.length > 0) {
      state.list.insert(plan.state.list, record.cells, state.lastEventTime);
    }
    return FOLDED;
  }

  read(state: FoldState | null, asOf: Micros, into: ReadBuffer): void {
    this.#read(this.#plan, state, asOf, into);
  }

  reader(slots: readonly number[]): ViewReader<FoldState> {
    const plan = this.#plan.readOf(slots);
    return { read: (state, asOf, into) => this.#read(plan, state, asOf, into) };
  }

  #read(plan: ReadPlan, state: FoldState | null, asOf: Micros, into: ReadBuffer): void {
    if (state === null || state.eventCount === 0) {
      this.#readNothing(asOf, into);
      return;
    }
    const age = asOf - state.lastEventTime;
    for (let i = 0; i < plan.lifetimeFeatures.length; i++) {
      this.#put(plan.lifetimeFeatures[i]!, state.lifetime, asOf, age, Number.NEGATIVE_INFINITY, NEVER, into);
    }
    if (plan.timeWindows.length > 0) this.#readTimeWindows(plan.timeWindows, state, asOf, age, into);
    for (let i = 0; i < plan.lastWindows.length; i++) this.#readLast(plan.lastWindows[i]!, state, asOf, age, into);
    for (let i = 0; i < plan.sessions.length; i++) this.#readSession(plan.sessions[i]!, state, asOf, age, into);
  }

  encode(state: FoldState): Uint8Array {
    return encodeState(state, this.#plan.state);
  }

  decode(bytes: Uint8Array, over: FoldState | null = null): FoldState {
    return decodeState(bytes, this.#plan.state, over);
  }

  #readTimeWindows(
    timeWindows: readonly WindowPlan[],
    state: FoldState,
    asOf: number,
    age: number,
    into: ReadBuffer,
  ): void {
    const layout = this.#plan.state;
    const { list } = state;
    const { stride, objectStride, rawStride, rawObjectStride } = layout.list;
    const running = this.#running;
    const cut = this.#cut;
    this.#clearRunning(timeWindows[0]!);
    let bucketsEnd = list.bucketCount;
    let rawEnd = list.rawCount;
    let changesAt = NEVER;
    for (let w = 0; w < timeWindows.length; w++) {
      const { length, accumulators, features } = timeWindows[w]!;
      list.cut(layout.list, asOf - length, cut);
      if (cut.raw < rawEnd) {
        const begin = list.rawStart + cut.raw;
        const end = list.rawStart + rawEnd;
        for (let i = 0; i < accumulators.length; i++) {
          accumulators[i]!.addOlder(running, list.raw, begin, end, rawStride, rawObjectStride);
        }
        rawEnd = cut.raw;
      }
      if (cut.bucket < bucketsEnd) {
        const begin = list.bucketStart + cut.bucket;
        const end = list.bucketStart + bucketsEnd;
        for (let i = 0; i < accumulators.length; i++) {
          accumulators[i]!.mergeOlder(running, list.buckets, begin, end, stride, objectStride);
        }
        bucketsEnd = cut.bucket;
      }
      // A window's oldest event, or merged bucket, is the next to leave it, as its edge reaches that. Longer windows
      // add up from where shorter ones end, so a sum's last bits hang on those edges, too.
      changesAt = Math.min(changesAt, list.oldestIn(layout.list, cut) + length);
      for (let i = 0; i < features.length; i++) {
        this.#put(features[i]!, running, asOf, age, cut.windowStart, changesAt, into);
      }
    }
  }

  #readLast(window: WindowPlan, state: FoldState, asOf: number, age: number, into: ReadBuffer): void {
    const { list } = state;
    const { rawStride, rawObjectStride } = this.#plan.state.list;
    const { accumulators, features, length } = window;
    this.#clearRunning(window);
    const end = list.rawStart + list.rawCount;
    const begin = end - Math.min(length, list.rawCount);
    for (let i = 0; i < accumulators.length; i++) {
      accumulators[i]!.addOlder(this.#running, list.raw, begin, end, rawStride, rawObjectStride);
    }
    for (let i = 0; i < features.length; i++) {
      this.#put(features[i]!, this.#running, asOf, age, Number.NEGATIVE_INFINITY, NEVER, into);
    }
  }

  #readSession(window: SessionPlan, state: FoldState, asOf: number, age: number, into: ReadBuffer): void {
    const { list } = state;
    const layout = this.#plan.state.list;
    const { accumulators, features } = window;
    const running = this.#running;
    const cut = this.#cut;
    cutSession(list, layout, window.session, asOf, cut);
    this.#clearRunning(window);
    const begin = list.rawStart + cut.raw;
    const end = list.rawStart + list.rawCount;
    for (let i = 0; i < accumulators.length; i++) {
      const accumulator = accumulators[i]!;
      if (begin < end) accumulator.addOlder(running, list.raw, begin, end, layout.rawStride, layout.rawObjectStride);
      if (cut.bucket === list.bucketCount) continue;
      const from = list.bucketStart + cut.bucket;
      const to = list.bucketStart + list.bucketCount;
      accumulator.mergeOlder(running, list.buckets, from, to, layout.stride, layout.objectStride);
    }
    const { gapMicros, maxMicros } = window.session;
    const oldest = list.oldestIn(layout, cut);
    // A present session ends when its gap is over, and is cut when its reach gets to its oldest event.
    const changesAt = oldest === NEVER ? NEVER : Math.min(state.lastEventTime + gapMicros + 1, oldest + maxMicros);
    for (let i = 0; i < features.length; i++) {
      this.#put(features[i]!, running, asOf, age, cut.windowStart, changesAt, into);
    }
  }

  /** The first time window's accumulators are those of all time windows. */
  #clearRunning({ accumulators }: WindowPlan): void {
    for (let i = 0; i < accumulators.length; i++) accumulators[i]!.clear(this.#running, 0, 0);
  }

  /** `changesAt` is when the events that the cells hold next change without a new one. */
  #put(
    index: number,
    cells: Cells,
    asOf: number,
    age: number,
    windowStart: number,
    changesAt: number,
    into: ReadBuffer,
  ): void {
    const plan: FeaturePlan = this.#plan.features[index]!;
    into.windowStarts[index] = windowStart;
    into.errors[index] = 0;
    if (age > plan.ttlMicros) {
      into.values[index] = null;
      into.statuses[index] = Status.OUTSIDE_MAX_AGE;
      into.stableUntils[index] = NEVER;
      return;
    }
    into.stableUntils[index] = plan.movesWithTime ? asOf : Math.min(changesAt, asOf - age + plan.ttlMicros + 1);
    const value = plan.read(cells, asOf);
    if (value === null) {
      into.values[index] = plan.default;
      into.statuses[index] = Status.NULL_VALUE;
    } else if (value === FAILED) {
      into.values[index] = null;
      into.statuses[index] = Status.ERROR;
    } else {
      into.values[index] = value;
      if (plan.error !== null) into.errors[index] = plan.error(cells);
      into.statuses[index] = Status.PRESENT;
    }
  }

  #readNothing(asOf: number, into: ReadBuffer): void {
    const { features, timeWindows, lastWindows, sessions } = this.#plan;
    for (const window of timeWindows) this.#clearRunning(window);
    for (const window of lastWindows) this.#clearRunning(window);
    for (const session of sessions) this.#clearRunning(session);
    for (let i = 0; i < features.length; i++) {
      const { read, feature, default: fallback, movesWithTime } = features[i]!;
      const value = read(feature.over === null ? this.#nothing.lifetime : this.#running, asOf);
      into.values[i] = value === null ? fallback : value === FAILED ? null : value;
      into.statuses[i] = Status.NOT_FOUND;
      into.errors[i] = 0;
      into.windowStarts[i] = emptyWindowStart(feature.over, asOf);
      into.stableUntils[i] = movesWithTime ? asOf : NEVER;
    }
  }
}

/** A retraction: the state moves on in the log and is otherwise as it was. */
function moveOn(state: FoldState, { offset, knownTime }: FoldEvent): FoldOutcome {
  state.lastOffset = offset;
  if (knownTime > state.lastKnownTime) state.lastKnownTime = knownTime;
  return FOLDED;
}

/** Where a window without events starts: a session has not begun. */
function emptyWindowStart(over: Window | null, asOf: number): number {
  if (over?.kind === "time") return asOf - over.micros;
  return over?.kind === "session" ? asOf : Number.NEGATIVE_INFINITY;
}
