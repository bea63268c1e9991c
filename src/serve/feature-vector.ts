/**
 * Reads a feature vector: the states of its entities, one captured `asOf`, the fold's own `read`, and the
 * service's program where it has one.
 *
 * All of it happens in one synchronous turn, so no event can be folded in between: every view is seen at
 * the same moment, and the token's offsets are the very ones the values were computed from.
 *
 * A plan owns one vector and fills it anew at every read, so that a read allocates next to nothing: whoever
 * wants to keep a value copies it within the turn. What few ask for (token, ages, windows) is worked out when
 * it is asked for.
 */
import type { Clock } from "../base/clock.ts";
import { OnefoldError } from "../base/errors.ts";
import { type DurationMicros, formatDuration, type Micros } from "../base/micros.ts";
import type { Fallback } from "../define/definition.ts";
import { fallBack } from "../fold/fallback.ts";
import { Status, type StatusCode } from "../fold/view-fold.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { ServedVector } from "../schema/served-vector.ts";
import type { Row } from "../schema/value.ts";
import type { VectorToken, ViewRead } from "../schema/vector-token.ts";
import type { ServedExposure } from "./experiment-plan.ts";
import type { FetchedStates, StateSnapshot } from "./ports.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import type { PlanFeature, VectorPlan } from "./vector-plan.ts";

export interface ReadOptions {
  /** Stands in for the clock's present time. */
  readonly now?: Micros;
  /** Request data, checked: one value for each of the plan's request columns. */
  readonly request?: Row;
  /** Where states have to be fetched before they are read. */
  readonly states?: FetchedStates;
  /** Who asks, as it names itself. */
  readonly consumer?: string;
  /** The experiment that chose the service, and for whom. */
  readonly exposure?: ServedExposure;
}

const NO_REQUEST: Row = Object.freeze([]);
const NO_OPTIONS: ReadOptions = Object.freeze({});

/** What a read needs of the house. */
export interface ReadContext {
  readonly clock: Clock;
  readonly maxFutureMicros: DurationMicros;
  readonly snapshot?: StateSnapshot;
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
  options: ReadOptions = NO_OPTIONS,
): FeatureVector {
  const { views, features, vector, program } = plan;
  const { states, read } = vector;
  context.snapshot?.renew(options.states);
  const now = options.now ?? context.clock.now();
  let asOf = now;
  for (let i = 0; i < views.length; i++) {
    const { view, entity } = views[i]!;
    const state = view.state(keys[entity]!);
    states[i] = state;
    if (state !== null && state.lastKnownTime > asOf) asOf = state.lastKnownTime as Micros;
  }
  if (asOf - now > context.maxFutureMicros) throw clockBehind(asOf - now, context.maxFutureMicros);
  for (let i = 0; i < views.length; i++) {
    const { view, buffer, reader } = views[i]!;
    reader.read(states[i]!, asOf, buffer);
    const fallback = view.fallback?.active ?? null;
    if (fallback !== null) fallBack(view.definition.features, fallback, buffer);
  }
  for (let i = 0; i < features.length; i++) {
    const { view, slot } = features[i]!;
    const { buffer } = views[view]!;
    read.values[i] = buffer.values[slot]!;
    read.statuses[i] = buffer.statuses[slot]!;
  }
  vector.asOf = asOf;
  vector.request = options.request ?? NO_REQUEST;
  if (program !== null) {
    program.run(vector.request, asOf);
    const { outputs, slots } = program;
    for (let i = 0; i < outputs.length; i++) {
      const { slot } = outputs[i]!;
      vector.values[i] = slots.values[slot]!;
      vector.statuses[i] = slots.statuses[slot]!;
      vector.codes![i] = slots.codes[slot]!;
    }
  }
  return vector;
}

/** From which the very same vector can be computed again. */
export function tokenOf(plan: VectorPlan, vector: FeatureVector): VectorToken {
  const reads = plan.views.map(({ view, name }, i): ViewRead => {
    const lastOffset = vector.states[i]?.lastOffset ?? Number.NEGATIVE_INFINITY;
    const read = { view: name, epoch: view.epoch, lastOffset: Number.isFinite(lastOffset) ? lastOffset : null };
    const fallback = view.fallback?.active ?? null;
    return fallback === null || fallback === "flag" ? read : { ...read, fallback };
  });
  const fit = plan.program?.fit ?? null;
  return fit === null ? { asOf: vector.asOf, reads } : { asOf: vector.asOf, fit, reads };
}

/** Names without a value of their own: the entity is unseen, its newest event too old, or the value an error. */
export function missingOf({ outputs }: VectorPlan, { statuses }: FeatureVector): string[] {
  const missing: string[] = [];
  for (let i = 0; i < outputs.length; i++) if (isMissing(statuses[i]!)) missing.push(outputs[i]!.name);
  return missing;
}

/** Without a value of its own. */
export function isMissing(status: StatusCode): boolean {
  return status > Status.NULL_VALUE;
}

/** Names whose values are of a view that is not as fresh as it promises, and so are its fallback, or flagged. */
export function staleOf({ outputs, features, views }: VectorPlan): string[] {
  if (views.every(({ view }) => (view.fallback?.active ?? null) === null)) return [];
  return outputs
    .filter(({ inputs }) => inputs.some((input) => fallbackOf(views, features[input]!)))
    .map(({ name }) => name);
}

function fallbackOf(views: VectorPlan["views"], feature: PlanFeature): Fallback | null {
  return views[feature.view]!.view.fallback?.active ?? null;
}

/** Effective time of the newest event folded for the entity of one of the plan's views; null where it is unseen. */
export function eventTimeIn({ states }: FeatureVector, view: number): Micros | null {
  const time = states[view]?.lastEventTime ?? Number.NEGATIVE_INFINITY;
  return time === Number.NEGATIVE_INFINITY ? null : (time as Micros);
}

/** The same by a feature of the view. */
export function eventTimeOf(plan: VectorPlan, vector: FeatureVector, feature: number): Micros | null {
  return eventTimeIn(vector, plan.features[feature]!.view);
}

/** Of an output: of the feature it is, or the oldest among those it is computed from. */
export function outputEventTime(plan: VectorPlan, vector: FeatureVector, output: number): Micros | null {
  let oldest: Micros | null = null;
  for (const input of plan.outputs[output]!.inputs) {
    const time = eventTimeOf(plan, vector, input);
    if (time !== null && (oldest === null || time < oldest)) oldest = time;
  }
  return oldest;
}

/** True left edge of a feature's time window; -Infinity where it has none. */
export function windowStartOf(plan: VectorPlan, feature: number): number {
  const { view, slot } = plan.features[feature]!;
  return plan.views[view]!.buffer.windowStarts[slot]!;
}

/** How far a feature's value may be off, as its aggregation states it; 0 when exact. */
export function errorOf(plan: VectorPlan, feature: number): number {
  const { view, slot } = plan.features[feature]!;
  return plan.views[view]!.buffer.errors[slot]!;
}

/** The vector as the serving log keeps it. */
export function toServedVector(plan: VectorPlan, keys: readonly EntityKey[], vector: FeatureVector): ServedVector {
  const count = plan.features.length;
  return {
    service: plan.service,
    keys: Object.fromEntries(plan.entities.map((entity, i) => [entity.name, keys[i]!])),
    token: tokenOf(plan, vector),
    features: plan.qualifiedNames,
    values: vector.read.values.slice(0, count),
    statuses: vector.read.statuses.slice(0, count),
    ...(plan.program === null
      ? {}
      : {
          computed: {
            fingerprint: plan.program.fingerprint,
            ...(plan.program.fit === null ? {} : { fit: plan.program.fit.version }),
            request: vector.request,
            values: [...vector.values],
            statuses: [...vector.statuses],
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
