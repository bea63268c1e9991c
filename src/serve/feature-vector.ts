/**
 * Reads a feature vector: the states of its entities, one captured `asOf`, and the fold's own `read`.
 *
 * All of it happens in one synchronous turn, so no event can be folded in between: every view is seen at
 * the same moment, and the token's offsets are the very ones the values were computed from.
 */
import type { Clock } from "../base/clock.ts";
import { type ErrorCode, OnefoldError } from "../base/errors.ts";
import { type DurationMicros, formatDuration, type Micros } from "../base/micros.ts";
import { Status, type StatusCode, type ViewState } from "../fold/view-fold.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { ServedVector } from "../schema/served-vector.ts";
import type { Row, Value } from "../schema/value.ts";
import type { VectorToken, ViewRead } from "../schema/vector-token.ts";
import type { PlanProgram, VectorPlan } from "./vector-plan.ts";

/** What was read of views, in the order of the plan's features. */
export interface ReadFeatures {
  readonly values: readonly Value[];
  readonly statuses: readonly StatusCode[];
  /** Effective time of the newest event folded for the feature's entity in its view; null where it is unseen. */
  readonly eventTimes: readonly (Micros | null)[];
  /** True left edge of each time window; -Infinity where the feature has none. */
  readonly windowStarts: readonly number[];
  /** How far each value may be off, as its aggregation states it; 0 when exact. */
  readonly errors: readonly number[];
}

/** Lists are in the order of the plan's outputs. */
export interface FeatureVector {
  readonly asOf: Micros;
  readonly values: readonly Value[];
  readonly statuses: readonly StatusCode[];
  /** Why a computed value has status ERROR, null for others; null where nothing is computed. */
  readonly codes: readonly (ErrorCode | null)[] | null;
  readonly read: ReadFeatures;
  /** Request data as it was used, in the order of the plan's request columns. */
  readonly request: Row;
  readonly token: VectorToken;
  /** Names without a value of their own: the entity is unseen, its newest event too old, or the value an error. */
  readonly missing: readonly string[];
}

export interface ReadOptions {
  /** Stands in for the clock's present time. */
  readonly now?: Micros;
  /** Request data, checked: one value for each of the plan's request columns. */
  readonly request?: Row;
}

const NO_REQUEST: Row = Object.freeze([]);

/** What a read needs of the house. */
export interface ReadContext {
  readonly clock: Clock;
  readonly maxFutureMicros: DurationMicros;
}

/**
 * The vector of the entities with these keys, one for each of the plan's entities in their order.
 * `asOf` is now, or the newest known time folded into any state that is read, if that is later; throws
 * `CLOCK_BEHIND` where it is later by more than `maxFutureMicros`, and the `ON_DEMAND_...` codes where a view
 * says that its failure fails the vector.
 */
export function readVector(
  plan: VectorPlan,
  keys: readonly EntityKey[],
  context: ReadContext,
  options: ReadOptions = {},
): FeatureVector {
  const { views, features } = plan;
  const states: (ViewState | null)[] = [];
  const reads: ViewRead[] = [];
  const now = options.now ?? context.clock.now();
  let asOf = now;
  for (const { view, name, entity } of views) {
    const state = view.state(keys[entity]!);
    states.push(state);
    const seen = state !== null && state.lastOffset !== Number.NEGATIVE_INFINITY;
    reads.push({ view: name, epoch: view.epoch, lastOffset: seen ? state.lastOffset : null });
    if (state !== null && state.lastKnownTime > asOf) asOf = state.lastKnownTime as Micros;
  }
  if (asOf - now > context.maxFutureMicros) throw clockBehind(asOf - now, context.maxFutureMicros);
  for (let i = 0; i < views.length; i++) views[i]!.view.fold.read(states[i]!, asOf, views[i]!.buffer);

  const values: Value[] = [];
  const statuses: StatusCode[] = [];
  const eventTimes: (Micros | null)[] = [];
  const windowStarts: number[] = [];
  const errors: number[] = [];
  for (const feature of features) {
    const { buffer } = views[feature.view]!;
    const lastEventTime = states[feature.view]?.lastEventTime ?? Number.NEGATIVE_INFINITY;
    const status = buffer.statuses[feature.slot]!;
    values.push(buffer.values[feature.slot]!);
    statuses.push(status);
    eventTimes.push(lastEventTime === Number.NEGATIVE_INFINITY ? null : (lastEventTime as Micros));
    windowStarts.push(buffer.windowStarts[feature.slot]!);
    errors.push(buffer.errors[feature.slot]!);
  }
  const read: ReadFeatures = { values, statuses, eventTimes, windowStarts, errors };
  const request = options.request ?? NO_REQUEST;
  const computed = plan.program === null ? null : compute(plan.program, read, request, asOf);
  const result = computed ?? read;
  const missing: string[] = [];
  for (let i = 0; i < result.statuses.length; i++) {
    if (result.statuses[i]! > Status.NULL_VALUE) missing.push(plan.outputs[i]!.name);
  }
  return {
    asOf,
    values: result.values,
    statuses: result.statuses,
    codes: computed === null ? null : computed.codes,
    read,
    request,
    token: { asOf, reads },
    missing,
  };
}

function compute(
  { slots, outputs, run }: PlanProgram,
  read: ReadFeatures,
  request: Row,
  asOf: Micros,
): Pick<FeatureVector, "values" | "statuses"> & { readonly codes: readonly (ErrorCode | null)[] } {
  for (let i = 0; i < read.values.length; i++) {
    slots.values[i] = read.values[i]!;
    slots.statuses[i] = read.statuses[i]!;
  }
  run(request, asOf);
  return {
    values: outputs.map(({ slot }) => slots.values[slot]!),
    statuses: outputs.map(({ slot }) => slots.statuses[slot]!),
    codes: outputs.map(({ slot }) => slots.codes[slot]!),
  };
}

/** The vector as the serving log keeps it. */
export function toServedVector(plan: VectorPlan, keys: readonly EntityKey[], vector: FeatureVector): ServedVector {
  return {
    service: plan.service,
    keys: Object.fromEntries(plan.entities.map((entity, i) => [entity.name, keys[i]!])),
    token: vector.token,
    features: plan.qualifiedNames,
    values: vector.read.values,
    statuses: vector.read.statuses,
    ...(plan.program === null
      ? {}
      : {
          computed: {
            fingerprint: plan.program.fingerprint,
            ...(plan.program.fit === null ? {} : { fit: plan.program.fit }),
            request: vector.request,
            values: vector.values,
            statuses: vector.statuses,
          },
        }),
  };
}

function clockBehind(aheadMicros: number, maxFutureMicros: DurationMicros): OnefoldError {
  const ahead = formatDuration(aheadMicros);
  const allowed = formatDuration(maxFutureMicros);
  return new OnefoldError(
    "CLOCK_BEHIND",
    `events already folded are known ${ahead} after this machine's present time`,
    {
      hint: `set the clock right; up to ${allowed} is made up for`,
    },
  );
}
