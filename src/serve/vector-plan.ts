/**
 * A plan: everything about a read that does not depend on the entity, worked out once per service (or list
 * of feature names) and registry revision, so that a request looks nothing up by name.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import {
  type EntityDefinition,
  type FeatureReference,
  formatViewName,
  type ViewDefinition,
} from "../define/definition.ts";
import { serviceId } from "../define/service-version.ts";
import { createReadBuffer, type ReadBuffer, type ViewReader } from "../fold/view-fold.ts";
import { type AliasMove, aliasesOf, DEFAULT_ALIAS } from "../registry/alias-moves.ts";
import { parseNamedVersion } from "../registry/named-version.ts";
import type { Column, ValueType } from "../schema/value.ts";
import type { FitRead } from "../schema/vector-token.ts";
import { compileServiceProgram, qualifiedName, type ServiceProgram } from "../vector/service-program.ts";
import { createSlots } from "../vector/vector-slots.ts";
import { type ServiceToCompute, serviceToCompute } from "../vector/service-to-compute.ts";
import type { ServedView, ServePorts } from "./ports.ts";
import { isNotReady, standIns, withStandIns } from "./stand-in.ts";
import { createVector, type VectorBuffer } from "./vector-buffer.ts";

export interface PlanView {
  readonly view: ServedView;
  /** `view@version`, as tokens carry it. */
  readonly name: string;
  /** Index of its entity in the plan's entities. */
  readonly entity: number;
  /** Filled and emptied within one turn, so all requests of the plan share it. */
  readonly buffer: ReadBuffer;
  /** Of the features that the plan has of it: the buffer's other slots mean nothing. */
  readonly reader: ViewReader;
}

/** A feature of a view, as a plan reads it. */
export interface PlanFeature {
  /** Index of its view in the plan's views. */
  readonly view: number;
  /** Index of the feature in its view. */
  readonly slot: number;
  readonly windowMicros: number | null;
  readonly hopMicros: number;
}

/** A value of the answer. */
export interface PlanOutput {
  /** Name in the answer, unique in the plan. */
  readonly name: string;
  readonly type: ValueType;
  /** `view@version` it comes from; several, with commas, for a transformation of several. */
  readonly view: string;
  /** As one line; null where the value is no transformation's. */
  readonly transformation: string | null;
  /** The features it is made from, as places in `VectorPlan.features`; the one it is, where nothing computes it. */
  readonly inputs: readonly number[];
}

/** What a service computes from the features it reads. */
export interface PlanProgram extends ServiceProgram {
  /** Fingerprint of the service's definition, for the serving log. */
  readonly fingerprint: string;
  /** What its transformations were fitted to; null where none is fitted. */
  readonly fit: FitRead | null;
}

export interface VectorPlan {
  /** Its id, `delay` or `delay@2`; empty where features were asked for by name. */
  readonly service: string;
  readonly entities: readonly EntityDefinition[];
  readonly views: readonly PlanView[];
  /** What is read, in the order of a program's inputs. */
  readonly features: readonly PlanFeature[];
  /** `view@version:feature` of each feature, for the serving log. */
  readonly qualifiedNames: readonly string[];
  readonly outputs: readonly PlanOutput[];
  /** Null where the outputs are the features, one by one. */
  readonly program: PlanProgram | null;
  /** What a request must carry. */
  readonly request: readonly Column[];
  /** Filled by every read. */
  readonly vector: VectorBuffer;
  /** Of a version that stands in for the one that is meant, until that is ready. */
  readonly isStandIn: boolean;
}

/** Throws what `ports.view`, `serviceToCompute` and `compileServiceProgram` throw. */
export function compileService(name: string, fitVersion: number | undefined, ports: ServePorts): VectorPlan {
  const compile = (reference: string): VectorPlan =>
    compileDefinition(serviceToCompute(ports.registry, ports.fits, reference, fitVersion), ports);
  try {
    return compile(name);
  } catch (error) {
    // A fit is of one version.
    if (!isNotReady(error) || fitVersion !== undefined) throw error;
    for (const version of standIns("service", name, ports)) {
      try {
        return { ...compile(`${parseNamedVersion(name).name}@${version}`), isStandIn: true };
      } catch {
        // What is not to be had stands in for nothing.
      }
    }
    throw error;
  }
}

/** A service that need not be registered. Throws what `ports.view` and `compileServiceProgram` throw. */
export function compileDefinition(
  { definition: service, fingerprint, fit }: ServiceToCompute,
  ports: ServePorts,
): VectorPlan {
  const program = compileServiceProgram(service, ports.registry, fit?.parameters);
  const references = program.inputs.map((input, i) => ({
    ...input,
    as: program.isPlain ? program.outputs[i]!.name : input.feature,
  }));
  const plan = compilePlan(serviceId(service), references, ports);
  if (program.isPlain) return plan;
  const outputs = program.outputs.map(({ name, type, from, feature, isTransformed, inputs }) => ({
    name,
    type,
    view: from,
    transformation: isTransformed ? feature : null,
    inputs,
  }));
  const vector = createVector(plan.views.length, program.slots, outputs.length);
  const fitRead = fit === null ? null : { version: fit.version, sha256: fit.sha256 };
  return { ...plan, outputs, program: { ...program, fingerprint, fit: fitRead }, request: program.request, vector };
}

/**
 * Plan for features of one entity type by name: `feature`, `view:feature`, `view@version:feature` or `view@alias:feature`; null
 * means all of them. A plain name is looked up in the
 * version of every online view of the entity that its name alone means.
 * Throws `ENTITY_UNKNOWN`, `FEATURE_UNKNOWN` and `FEATURE_AMBIGUOUS`, with candidates.
 */
export function compileFeatureNames(
  entityName: string,
  names: readonly string[] | null,
  ports: ServePorts,
): VectorPlan {
  const entity = ports.registry.entity(entityName).definition;
  return withStandIns(ports, (moves) => {
    const known = findFeatures(entity.name, ports, moves);
    const chosen =
      names === null
        ? [...known.newest].flatMap(([name, found]) =>
            found.map((each) => ({ ...each, as: found.length === 1 ? name : qualifiedName(each) })),
          )
        : [...new Set(names)].map((name) => ({ ...resolveName(name, entity.name, known, ports), as: name }));
    return compilePlan("", chosen, ports, entity);
  });
}

/** Features of an entity: by plain name in the newest versions, and by every qualified name that is accepted. */
interface KnownFeatures {
  readonly newest: ReadonlyMap<string, readonly FeatureReference[]>;
  readonly qualified: ReadonlyMap<string, FeatureReference>;
}

function findFeatures(entity: string, ports: ServePorts, moves: readonly AliasMove[]): KnownFeatures {
  const newestViews = new Map<string, ViewDefinition>();
  const aliases = aliasesOf(moves).filter(({ kind }) => kind === "view");
  const pinned = new Map(aliases.flatMap((one) => (one.alias === DEFAULT_ALIAS ? [[one.name, one.version]] : [])));
  const qualified = new Map<string, FeatureReference>();
  for (const { definition } of ports.registry.views()) {
    if (definition.entity !== entity || !definition.online) continue;
    for (const { name, online } of definition.features) {
      if (online === false) continue;
      const reference = { view: definition.name, version: definition.version, feature: name };
      qualified.set(qualifiedName(reference), reference);
      for (const { name: view, alias, version } of aliases) {
        if (view !== definition.name || version !== definition.version) continue;
        qualified.set(`${view}@${alias}:${name}`, reference);
      }
    }
    const named = pinned.get(definition.name);
    if (named !== undefined && named !== definition.version) continue;
    const newest = newestViews.get(definition.name);
    const newer = definition.version !== "dev" && (newest === undefined || definition.version > Number(newest.version));
    if (newer) newestViews.set(definition.name, definition);
  }
  const newest = new Map<string, FeatureReference[]>();
  for (const view of newestViews.values()) {
    for (const { name, online } of view.features) {
      if (online === false) continue;
      const reference = { view: view.name, version: view.version, feature: name };
      qualified.set(`${view.name}:${name}`, reference);
      const sameName = newest.get(name);
      if (sameName === undefined) newest.set(name, [reference]);
      else sameName.push(reference);
    }
  }
  return { newest, qualified };
}

function resolveName(name: string, entity: string, known: KnownFeatures, ports: ServePorts): FeatureReference {
  const found = known.newest.get(name) ?? [];
  if (found.length > 1) {
    throw new OnefoldError("FEATURE_AMBIGUOUS", `${found.length} views of ${entity} have a feature "${name}"`, {
      hint: "ask for one of the candidates",
      candidates: found.map(qualifiedName),
    });
  }
  const reference = found[0] ?? known.qualified.get(name);
  if (reference !== undefined) return reference;
  const computed = ports.registry
    .onDemandViews()
    .find(({ definition }) => definition.outputs.some((output) => output.name === name.split(":").at(-1)));
  if (computed !== undefined) {
    const view = formatViewName(computed.definition);
    throw new OnefoldError(
      "FEATURE_UNKNOWN",
      `"${name}" is computed on demand by ${view}: it is served through services`,
      {
        hint: "ask a service that has it: POST /services/{name}/vector",
      },
    );
  }
  const names = name.includes(":") ? known.qualified.keys() : known.newest.keys();
  throw new OnefoldError("FEATURE_UNKNOWN", `${entity} has no feature "${name}" that is served`, {
    hint: `GET /registry/views?entity=${encodeURIComponent(entity)} lists what there is`,
    candidates: nearestNames(name, [...names]),
  });
}

function compilePlan(
  service: string,
  references: readonly (FeatureReference & { readonly as: string })[],
  ports: ServePorts,
  entity?: EntityDefinition,
): VectorPlan {
  const entities: EntityDefinition[] = entity === undefined ? [] : [entity];
  const views: Omit<PlanView, "reader">[] = [];
  const outputs: PlanOutput[] = [];
  const features = references.map((reference, i): PlanFeature => {
    const name = formatViewName({ name: reference.view, version: reference.version });
    let index = views.findIndex((each) => each.name === name);
    if (index < 0) {
      const view = ports.view(reference.view, reference.version);
      let entityIndex = entities.findIndex((each) => each.name === view.entity.name);
      if (entityIndex < 0) entityIndex = entities.push(view.entity) - 1;
      index = views.push({ view, name, entity: entityIndex, buffer: createReadBuffer(view.fold.features.length) }) - 1;
    }
    const compiled = views[index]!.view.fold.features;
    const slot = compiled.findIndex((each) => each.name === reference.feature);
    if (slot < 0) {
      throw new OnefoldError("FEATURE_UNKNOWN", `${name} has no feature "${reference.feature}"`, {
        candidates: nearestNames(
          reference.feature,
          compiled.map((each) => each.name),
        ),
      });
    }
    if (views[index]!.view.definition.features[slot]?.online === false) {
      throw new OnefoldError("FEATURE_NOT_ONLINE", `${qualifiedName(reference)} is declared with online(false)`, {
        hint: "train with it, or declare it online under a new version of its view",
      });
    }
    const { type, windowMicros, hopMicros } = compiled[slot]!;
    outputs.push({ name: reference.as, type, view: name, transformation: null, inputs: [i] });
    return { view: index, slot, windowMicros, hopMicros };
  });
  const qualifiedNames = references.map(qualifiedName);
  const vector = createVector(views.length, createSlots(features.length), null);
  const planned = views.map((each, i): PlanView => {
    const slots = features.flatMap(({ view, slot }) => (view === i ? [slot] : []));
    return { ...each, reader: each.view.fold.reader(slots) };
  });
  const plan = {
    service,
    entities,
    views: planned,
    features,
    qualifiedNames,
    outputs,
    program: null,
    request: [],
    vector,
  };
  return { ...plan, isStandIn: false };
}
