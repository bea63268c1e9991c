/**
 * Registered definitions as HTTP answers carry them: snake_case, durations as text (`1h`), and each feature
 * with all that is said of it, what it inherits from its view included.
 */
import type { DestinationDefinition, RuleDefinition } from "../define/alert-definition.ts";
import { formatDuration } from "../base/micros.ts";
import type {
  Definition,
  EntityDefinition,
  FeatureDefinition,
  Freshness,
  OnDemandDefinition,
  ServiceDefinition,
  SourceDefinition,
  ViewDefinition,
  ViewSla,
} from "../define/definition.ts";
import type { Aggregation, AggregationParameters, Window } from "../define/aggregation-definition.ts";
import type { ExpectationDefinition } from "../define/expectation-definition.ts";
import { type ExperimentDefinition, formatVariant } from "../define/experiment-definition.ts";
import { ruleText } from "../define/expectation-problems.ts";
import { transformationText } from "../define/transformation-text.ts";
import type { Expression } from "../define/expression.ts";
import { expressionColumns } from "../fold/expression.ts";
import { lateAfterOf } from "../fold/lateness.ts";
import { versionOf } from "../registry/definition-set.ts";
import type { Registered } from "../registry/registry.ts";
import { answerPoll } from "./registry-poll.ts";
import { presentNames, storedExpectation, withStoredNames } from "../define/stored-names.ts";
import { type Column, describeType, labelOf, namesOf, type Value } from "../schema/value.ts";

export type Answer = Record<string, unknown>;

export function answerDefinition(registered: Registered<Definition>): Answer {
  const { definition, fingerprint, createdAt } = registered;
  const { kind, name, description = null, owner = null, tags = [] } = definition;
  const version = versionOf(definition);
  return {
    kind,
    name,
    ...(version === null ? {} : { version }),
    description,
    owner,
    tags,
    ...answerMeaning(definition, createdAt),
    fingerprint,
    created_at: createdAt,
  };
}

function answerMeaning(definition: Definition, createdAt: string): Answer {
  switch (definition.kind) {
    case "entity":
      return answerEntity(definition);
    case "stream":
    case "batch":
      return answerSource(definition);
    case "view":
      return answerView(definition, createdAt);
    case "on-demand":
      return answerOnDemand(definition);
    case "service":
      return answerService(definition);
    case "experiment":
      return answerExperiment(definition);
    case "webhook":
    case "command":
      return answerDestination(definition);
    case "alert":
    case "retrain":
      return answerRule(definition);
  }
}

/** An address in the definition may be a secret, so its host alone is shown. */
function answerDestination(destination: DestinationDefinition): Answer {
  const delivery = {
    timeout: formatDuration(destination.timeoutMicros),
    give_up: formatDuration(destination.giveUpMicros),
  };
  if (destination.kind === "command") return { run: destination.run, ...delivery };
  const { url, secretEnv = null, template } = destination;
  const host = "value" in url ? new URL(url.value).host : null;
  return { host, url_env: "env" in url ? url.env : null, secret_env: secretEnv, template, ...delivery };
}

function answerRule(rule: RuleDefinition): Answer {
  const { kinds, ...of } = rule.watches;
  return {
    on: kinds,
    ...of,
    bound: rule.bound ?? null,
    for: rule.forMicros === 0 ? "0s" : formatDuration(rule.forMicros),
    windows: rule.windows,
    samples_min: rule.samplesMin,
    false_discovery_rate: rule.falseDiscoveryRate,
    keep_firing: formatDuration(rule.keepFiringMicros),
    cooldown: formatDuration(rule.cooldownMicros),
    is_off: rule.isOff === true,
    to: rule.to,
    ...(rule.kind === "alert"
      ? { severity: rule.severity, repeat: rule.repeatMicros === undefined ? null : formatDuration(rule.repeatMicros) }
      : { service: rule.service, labels: rule.labels, boundary: rule.boundary }),
  };
}

function answerExperiment({ variants, weights, unit, salt, overrides = [], ...of }: ExperimentDefinition): Answer {
  return {
    variants: variants.map(formatVariant),
    weights,
    unit,
    salt,
    overrides: overrides.map(({ unit: one, variant }) => ({ unit: one, variant: formatVariant(variants[variant]!) })),
    exposures: of.exposures ?? 1,
    shadow: of.shadow === undefined ? null : { service: formatVariant(of.shadow), share: of.shadow.share },
  };
}

function answerEntity(entity: EntityDefinition): Answer {
  return { keys: entity.keys.map((key) => ({ name: key.name, ...describeType(key.type) })) };
}

function answerSource(source: SourceDefinition): Answer {
  const labels = presentNames(source.columns);
  return {
    columns: source.columns.map(answerSourceColumn),
    derived: source.derived.map((column) => ({
      name: column.name,
      ...describeType(column.type),
      expression: answerExpression(withStoredNames(column.expression, labels)),
    })),
    constraints: source.constraints.map((constraint) => ({
      name: constraint.name,
      predicate: answerExpression(withStoredNames(constraint.predicate, labels)),
    })),
    ...answerExpectations(source.expectations?.map((one) => storedExpectation(one, labels))),
    event_time: labels(source.eventTime),
    id: source.id === undefined ? null : labels(source.id),
    allow_non_finite: source.allowNonFinite,
    ...(source.sla === undefined ? {} : { sla: { silence: formatDuration(source.sla.silenceMicros) } }),
    ...(source.kind === "stream"
      ? {
          max_future: formatDuration(source.maxFutureMicros),
          dedupe_within: formatDuration(source.dedupeWithinMicros),
          late_after: formatDuration(lateAfterOf(source)),
          available_after: source.availableAfterMicros === 0 ? "0s" : formatDuration(source.availableAfterMicros),
          ...(source.poll === undefined ? {} : { poll: answerPoll(source.poll) }),
        }
      : {
          format: source.format,
          location: source.location,
          schedule: source.schedule ?? null,
          watermark: source.watermark?.column ?? null,
        }),
  };
}

/** Nothing where there are none. */
function answerExpectations(expectations: readonly ExpectationDefinition[] | undefined): Answer {
  if (expectations === undefined) return {};
  return {
    expectations: expectations.map(({ name, column, rule, severity, windowMicros, tolerate }) => ({
      name,
      expected: ruleText(column, rule),
      severity,
      over: formatDuration(windowMicros),
      tolerate: tolerate ?? null,
    })),
  };
}

function answerView(view: ViewDefinition, createdAt: string): Answer {
  return {
    entity: view.entity,
    source: view.source,
    ...answerExpectations(view.expectations),
    key: view.key,
    online: view.online,
    offline: view.offline,
    freshness: answerFreshness(view.freshness),
    ...(view.sla === undefined ? {} : { sla: answerSla(view.sla) }),
    ttl: optionalDuration(view.ttlMicros),
    forget_after: optionalDuration(view.forgetAfterMicros),
    schedule: view.schedule ?? null,
    exact_events: view.exactEvents,
    features: view.features.map((feature) => answerFeature(feature, view, createdAt)),
  };
}

function answerFeature(feature: FeatureDefinition, view: ViewDefinition, createdAt: string): Answer {
  const { column, where } = feature.aggregation;
  const columns = new Set([
    ...(column === undefined ? [] : [column]),
    ...(where === undefined ? [] : expressionColumns(where)),
  ]);
  return {
    name: feature.name,
    ...describeType(feature.type),
    description: feature.description ?? null,
    owner: feature.owner ?? view.owner ?? null,
    tags: [...new Set([...(view.tags ?? []), ...(feature.tags ?? [])])],
    version: view.version,
    aggregation: answerAggregation(feature.aggregation),
    default: answerValue(feature.default ?? null),
    ttl: optionalDuration(feature.ttlMicros ?? view.ttlMicros),
    freshness: answerFreshness(feature.freshness ?? view.freshness),
    online: view.online && feature.online !== false,
    offline: view.offline && feature.offline !== false,
    schedule: feature.schedule ?? view.schedule ?? null,
    dependencies: { entity: view.entity, source: view.source, columns: [...columns] },
    created_at: createdAt,
  };
}

function answerAggregation({ fn, column, over, where, custom, parameters }: Aggregation): Answer {
  return {
    fn,
    ...(column === undefined ? {} : { column }),
    ...(parameters === undefined ? {} : { parameters: answerParameters(parameters) }),
    ...(over === undefined ? {} : { over: answerWindow(over) }),
    ...(where === undefined ? {} : { where: answerExpression(where) }),
    ...(custom === undefined ? {} : { custom: custom.name }),
  };
}

function answerParameters({ k, q, halfLifeMicros, gapMicros, categories }: AggregationParameters): Answer {
  return {
    ...(k === undefined ? {} : { k }),
    ...(q === undefined ? {} : { q }),
    ...(halfLifeMicros === undefined ? {} : { half_life: formatDuration(halfLifeMicros) }),
    ...(gapMicros === undefined ? {} : { gap: formatDuration(gapMicros) }),
    ...(categories === undefined ? {} : { categories: categories.map(answerValue) }),
  };
}

/** As it is written. */
function answerWindow(over: Window): Answer | string {
  switch (over.kind) {
    case "time":
      return formatDuration(over.micros);
    case "last":
      return { last: over.events };
    case "session":
      return { session: formatDuration(over.gapMicros), max: formatDuration(over.maxMicros) };
  }
}

function answerOnDemand(view: OnDemandDefinition): Answer {
  return {
    inputs: view.inputs,
    request: view.request.map(answerColumn),
    outputs: view.outputs.map((output) => ({
      name: output.name,
      ...describeType(output.type),
      description: output.description ?? null,
    })),
  };
}

function answerService(service: ServiceDefinition): Answer {
  return {
    features: service.features.map(({ as, view, version, feature }) => ({ name: as, view, version, feature })),
    transform: (service.transform ?? []).map(({ name, type, node }) => ({
      name,
      ...describeType(type),
      transformation: transformationText(node),
    })),
    omit: service.omit ?? [],
  };
}

/** With what became of it, where anything did. */
function answerSourceColumn(column: Column): Answer {
  return {
    ...answerColumn(column),
    name: labelOf(column),
    ...(column.as === undefined ? {} : { stored_as: column.name, former_names: namesOf(column).slice(1) }),
    ...(column.dropped === true ? { dropped: true } : {}),
  };
}

export function answerColumn(column: Column): Answer {
  return {
    name: column.name,
    ...describeType(column.type),
    nullable: column.nullable,
    description: column.description ?? null,
  };
}

function answerFreshness(freshness: Freshness): string {
  return typeof freshness === "number" ? formatDuration(freshness) : freshness;
}

function answerSla({ pipelineAgeMicros, entityAge, fallback }: ViewSla): Answer {
  return {
    ...(pipelineAgeMicros === undefined ? {} : { pipeline_age: formatDuration(pipelineAgeMicros) }),
    ...(entityAge === undefined
      ? {}
      : { entity_age: { within: formatDuration(entityAge.withinMicros), at_least: entityAge.atLeast } }),
    ...(fallback === undefined ? {} : { fallback }),
  };
}

function optionalDuration(micros: number | undefined): string | null {
  return micros === undefined ? null : formatDuration(micros);
}

/** Expressions are JSON data already, but for bytes among their literals. */
function answerExpression(expression: Expression): unknown {
  return JSON.parse(
    JSON.stringify(expression, (_key, value: unknown) => (isBytes(value) ? answerValue(value) : value)),
  );
}

function answerValue(value: Value): unknown {
  if (isBytes(value)) return Buffer.from(value).toString("base64");
  return Array.isArray(value) ? value.map(answerValue) : value;
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}
