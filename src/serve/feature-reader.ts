/**
 * Feature vectors by service or by feature names: keeps compiled plans, reads, and tells the serving log.
 * This is the whole of serving without a network; HTTP and in-process callers stand on it.
 */
import { performance } from "node:perf_hooks";
import { diagnostics } from "../base/diagnostics.ts";
import { OnefoldError } from "../base/errors.ts";
import type { StatusCode } from "../fold/view-fold.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { requestRow } from "../vector/request-row.ts";
import { serviceKeys } from "./entity-input.ts";
import { chosenOf, compileExperiment, type ExperimentPlan, isExperiment, type NamedPlan } from "./experiment-plan.ts";
import { serviceOfReferences } from "./feast-names.ts";
import { type ReadOptions, readVector, toServedVector } from "./feature-vector.ts";
import type { FetchedStates, ServePorts, StateAsk } from "./ports.ts";
import { type Asked, type KeptAnswer, KeptAnswers, type MadeAnswer } from "./kept-answers.ts";
import { ShadowQueue } from "./shadow-queue.ts";
import { STAND_IN_MILLIS, withStandIns } from "./stand-in.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import { compileDefinition, compileFeatureNames, compileService, type VectorPlan } from "./vector-plan.ts";

/** Lists of feature names whose plans are kept at a time; callers choose them, so their number has no other bound. */
const PLANS_MAX = 1000;

/** A vector that is to be read. */
export interface VectorAsk {
  readonly plan: VectorPlan;
  readonly keys: readonly EntityKey[];
}

export interface FeatureReader {
  /** With its newest fit, or the one asked for. Throws `SERVICE_UNKNOWN` and what compiling throws. */
  servicePlan(service: string, fit?: number): VectorPlan;
  /** The same, or of an experiment's name what chooses among services; of that no fit can be asked for (`REQUEST_INVALID`). */
  named(name: string, fit?: number): NamedPlan;
  /** null names mean all features. Throws `ENTITY_UNKNOWN`, `FEATURE_UNKNOWN`, `FEATURE_AMBIGUOUS`. */
  featurePlan(entityType: string, names: readonly string[] | null): VectorPlan;
  /** `view:feature` of any entities; see `serviceOfReferences`, whose errors it throws. */
  referencePlan(references: readonly string[], fullNames: boolean): VectorPlan;
  /** What `find`, which asks this reader, gave for the same object, where it would give that again. Throws what it throws. */
  knownPlan(asked: object, find: () => NamedPlan): NamedPlan;
  /**
   * Null where states are read in the turn that asks: then `read` at once. Else resolves to the states of these vectors,
   * which their reads are to be given as the option `states`. Throws what `ServePorts.fetch` throws.
   */
  readonly fetch: ((vectors: readonly VectorAsk[]) => Promise<FetchedStates>) | null;
  /** The same in this turn, where `fetch` is not null and all states are known here; else null. */
  fetchHere(vectors: readonly VectorAsk[]): FetchedStates | null;
  /** Reads, records, and publishes to diagnostics. Throws what `readVector` throws. */
  read(plan: VectorPlan, keys: readonly EntityKey[], options?: ReadOptions): FeatureVector;
  /**
   * What was kept of an answer to the same bytes, where a read would give the same bits now; counts as a read, which began
   * at `startMs` (of `performance.now()`; default: with the call).
   */
  findAnswer(asked: Asked, startMs?: number): KeptAnswer | null;
  /**
   * Keeps an answer to be found, where it may be: it was made of what the plan read for these keys in this turn, of
   * the values and statuses alone. Its bytes are copied within the call.
   */
  keepAnswer(asked: Asked, of: VectorAsk, made: MadeAnswer): void;
  /** One vector of a service; `entities` as in `serviceKeys`, `request` as in `requestRow`. */
  vector(service: string, entities: unknown, request?: unknown, options?: ReadOptions): FeatureVector;
}

export function createFeatureReader(ports: ServePorts): FeatureReader {
  const servicePlans = new Map<string, VectorPlan>();
  const featurePlans = new Map<string, VectorPlan>();
  /** Of what is asked again as the same object; let go of with it. */
  let knownPlans = new WeakMap<object, NamedPlan>();
  /** By name, once it was asked for; null before. */
  let experiments: Map<string, ExperimentPlan | null> | null = null;
  const keptBytesMax = ports.keptVectorsBytesMax ?? 0;
  const kept = new KeptAnswers(keptBytesMax);
  const { sight } = ports;
  const fetch: FeatureReader["fetch"] =
    ports.fetch === undefined ? null : (vectors) => ports.fetch!(vectors.flatMap(asksOf));
  const shadows = ports.shadow === undefined ? null : new ShadowQueue(ports, fetch, ports.shadow);
  let revision = ports.revision();
  /** Compiled since then. */
  let present = new WeakSet<VectorPlan>();

  const forgetIfOutdated = (): void => {
    const latest = ports.revision();
    if (latest === revision) return;
    servicePlans.clear();
    featurePlans.clear();
    knownPlans = new WeakMap();
    experiments = null;
    kept.clear();
    present = new WeakSet();
    revision = latest;
  };

  /** When those that stand in for others were compiled. */
  const standIns = new WeakMap<VectorPlan, number>();
  const isOver = (plan: VectorPlan): boolean => performance.now() - standIns.get(plan)! > STAND_IN_MILLIS;

  const planFor = (plans: Map<string, VectorPlan>, cacheKey: string, compile: () => VectorPlan): VectorPlan => {
    forgetIfOutdated();
    let plan = plans.get(cacheKey);
    if (plan === undefined || (plan.isStandIn && isOver(plan))) {
      plan = compile();
      present.add(plan);
      if (plan.isStandIn) standIns.set(plan, performance.now());
      if (plans.size >= PLANS_MAX) plans.delete(plans.keys().next().value!);
      plans.set(cacheKey, plan);
    }
    return plan;
  };

  /** What was computed for a list of references has no service by which it could be computed again. */
  const isSampled = (plan: VectorPlan, keys: readonly EntityKey[]): boolean =>
    (plan.service !== "" || plan.program === null) && ports.samples(plan, keys);

  const publish = (
    plan: VectorPlan,
    statuses: readonly StatusCode[],
    durationMs: number,
    isKept: boolean,
    consumer: string,
  ): void => {
    if (!diagnostics.served.hasSubscribers) return;
    diagnostics.served.publish({ service: plan.service, durationMs, statuses, isKept, plan, consumer });
  };

  /** Tells of each on-demand view that failed, also where that fails the vector. */
  const readAndTell = (plan: VectorPlan, keys: readonly EntityKey[], options?: ReadOptions): FeatureVector => {
    if (plan.program === null) return readVector(plan, keys, ports, options);
    const { failures } = plan.program.slots;
    try {
      return readVector(plan, keys, ports, options);
    } finally {
      for (const failure of failures) diagnostics.onDemandFailed.publish(failure);
      failures.length = 0;
    }
  };

  const reader: FeatureReader = {
    servicePlan: (service, fit) =>
      planFor(servicePlans, fit === undefined ? service : `${service} fit ${fit}`, () =>
        compileService(service, fit, ports),
      ),
    named: (name, fit) => {
      forgetIfOutdated();
      experiments ??= new Map(ports.registry.experiments().map(({ definition }) => [definition.name, null]));
      const known = experiments.size === 0 ? undefined : experiments.get(name);
      if (known === undefined) return reader.servicePlan(name, fit);
      if (fit !== undefined) {
        throw new OnefoldError("REQUEST_INVALID", `${name} is an experiment, and a fit is of one service`, {
          where: "fit",
          hint: "leave fit out, or ask for the service",
        });
      }
      if (known !== null) return known;
      const compiled = compileExperiment(name, ports.registry, (reference) => reader.servicePlan(reference));
      experiments.set(name, compiled);
      return compiled;
    },
    featurePlan: (entityType, names) =>
      planFor(featurePlans, JSON.stringify([entityType, names]), () => compileFeatureNames(entityType, names, ports)),
    referencePlan: (references, fullNames) =>
      planFor(featurePlans, JSON.stringify([references, fullNames, "references"]), () =>
        withStandIns(ports, (moves) => {
          const definition = serviceOfReferences(ports.registry, references, fullNames, moves);
          return compileDefinition({ definition, fingerprint: "", fit: null }, ports);
        }),
      ),
    knownPlan: (asked, find) => {
      forgetIfOutdated();
      const known = knownPlans.get(asked);
      if (known !== undefined) return known;
      const found = find();
      // What stands in for another is looked at again.
      if (isExperiment(found) || !found.isStandIn) knownPlans.set(asked, found);
      return found;
    },
    fetch,
    fetchHere: (vectors) => ports.fetchHere?.(vectors.flatMap(asksOf)) ?? null,
    read: (plan, keys, options) => {
      const startMs = diagnostics.served.hasSubscribers ? performance.now() : 0;
      const vector = readAndTell(plan, keys, options);
      if (sight !== undefined && --sight.left <= 0) sight.see(plan, vector.values, vector.asOf);
      const exposure = options?.exposure;
      if (exposure?.isKept === true) ports.record({ ...toServedVector(plan, keys, vector), exposure });
      else if (isSampled(plan, keys)) ports.record(toServedVector(plan, keys, vector));
      if (exposure?.shadow !== undefined && shadows !== null && ports.shadow!.takes(exposure.shadow.share))
        shadows.offer(exposure.shadow.task());
      if (diagnostics.served.hasSubscribers)
        publish(plan, vector.statuses, performance.now() - startMs, false, options?.consumer ?? "");
      return vector;
    },
    findAnswer: (asked, startMs = performance.now()) => {
      forgetIfOutdated();
      // A kept answer has no values to show: the one whose turn it is, is read.
      if (sight !== undefined && sight.left <= 1) return null;
      const found = kept.find(asked, ports.clock);
      if (found === null) return null;
      ports.snapshot?.renewKept?.();
      if (sight !== undefined) sight.left--;
      found.durationMs = performance.now() - startMs;
      publish(found.plan, found.statuses, found.durationMs, true, asked.consumer ?? "");
      return found;
    },
    keepAnswer: (asked, { plan, keys }, made) => {
      // One that is sampled is recorded each time it is served.
      forgetIfOutdated();
      // Nor one of a plan that was thrown away while its states were fetched.
      if (keptBytesMax === 0 || !present.has(plan) || !isKeepable(plan) || isSampled(plan, keys)) return;
      kept.keep(asked, { plan, keys, asOf: plan.vector.asOf, until: stableUntil(plan) }, made);
    },
    vector: (service, entities, request, options) => {
      const named = reader.named(service);
      const given = serviceKeys(named.entities, entities);
      const { plan, keys, ...chosen } = chosenOf(named, given, requestRow(named.request, request));
      return reader.read(plan, keys, { ...options, ...chosen });
    },
  };
  return reader;
}

/** The states that a vector reads. */
function asksOf({ plan, keys }: VectorAsk): StateAsk[] {
  return plan.views.map(({ view, entity }) => ({ view, key: keys[entity]! }));
}

/** Whether answers of a plan may be kept at all: an on-demand view may look at asOf itself, and a stand-in is soon over. */
function isKeepable({ program, isStandIn }: VectorPlan): boolean {
  return !isStandIn && (program === null || program.onDemand.length === 0);
}

/** When time alone changes what the plan read last. */
function stableUntil({ views, features }: VectorPlan): number {
  let until = Number.POSITIVE_INFINITY;
  for (let i = 0; i < features.length; i++) {
    const { view, slot } = features[i]!;
    until = Math.min(until, views[view]!.buffer.stableUntils[slot]!);
  }
  return until;
}
