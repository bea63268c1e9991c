/**
 * What contradicts itself, its source or its entity in a view, whether the DSL wrote it or another
 * language did.
 */
import { isOnefoldError } from "../base/errors.ts";
import { checkValue } from "../schema/check-value.ts";
import { formatType, sameType } from "../schema/value.ts";
import type { EntityDefinition, FeatureDefinition, SourceDefinition, ViewDefinition } from "./definition.ts";
import { expectationProblems } from "./expectation-problems.ts";
import { type ExpressionColumn, unknownColumn } from "./expression-type.ts";
import { featureType } from "./feature-type.ts";
import { nameProblems, versionProblems } from "./names.ts";
import { columnsOf, predicateProblems, repeated, scheduleProblems } from "./source-problems.ts";
import { viewSlaProblems } from "./sla.ts";
import { sessionProblem } from "./window.ts";

/** A window of more events than this would make every read slow. */
const LAST_EVENTS_MAX = 100_000;

/** A sentence for each contradiction; empty when there is none. */
export function viewProblems(view: ViewDefinition, source: SourceDefinition, entity: EntityDefinition): string[] {
  const columns = columnsOf(source);
  return [
    ...nameProblems("its name", view.name),
    ...versionProblems(view.version),
    ...keyProblems(view, columns, entity),
    ...(view.features.length === 0 ? ["it has no features"] : []),
    ...repeated(view.features.map((feature) => feature.name)).map((name) => `there are two features "${name}"`),
    ...view.features
      .filter((feature) => entity.keys.some((key) => key.name === feature.name))
      .map((feature) => `feature "${feature.name}" has the name of a key column`),
    ...view.features.flatMap((feature) =>
      [...featureProblems(feature, columns), ...placeProblems(feature, view, source)].map(
        (problem) => `feature "${feature.name}": ${problem}`,
      ),
    ),
    ...expectationProblems(view.expectations, view.features, "view"),
    ...unwrittenProblems(view),
    ...durationProblems("ttl", view.ttlMicros),
    ...durationProblems("forgetAfter", view.forgetAfterMicros),
    ...(typeof view.freshness === "number" ? durationProblems("freshness", view.freshness) : []),
    ...viewSlaProblems(view, source),
    ...(view.schedule === undefined ? [] : scheduleProblems(view.schedule)),
    ...(view.schedule !== undefined && source.kind === "stream" ? ["a view over a stream has no schedule"] : []),
    ...(Number.isSafeInteger(view.exactEvents) && view.exactEvents >= 1 && view.exactEvents <= LAST_EVENTS_MAX
      ? []
      : [`exactEvents is ${view.exactEvents}, not a whole number from 1 to ${LAST_EVENTS_MAX}`]),
  ];
}

/** Features are judged by their feature rows. */
function unwrittenProblems({ expectations = [], features, offline }: ViewDefinition): string[] {
  return expectations.flatMap(({ name, column }) => {
    const feature = features.find((one) => one.name === column);
    if (feature === undefined || (offline && feature.offline !== false)) return [];
    return [`expectation "${name}": feature "${column}" is not written offline, so there is nothing to judge`];
  });
}

function keyProblems(view: ViewDefinition, columns: readonly ExpressionColumn[], entity: EntityDefinition): string[] {
  if (view.key.length !== entity.keys.length) {
    return [`key has ${view.key.length} columns, entity "${entity.name}" has ${entity.keys.length} key columns`];
  }
  return entity.keys.flatMap((key, i) => {
    const name = view.key[i]!;
    const column = columns.find((one) => one.name === name);
    if (column === undefined) return [`key column "${key.name}": ${unknownColumn(name, columns)}`];
    if (sameType(column.type, key.type)) return [];
    return [`key column "${key.name}" is ${formatType(key.type)}, column "${name}" is ${formatType(column.type)}`];
  });
}

function featureProblems(feature: FeatureDefinition, columns: readonly ExpressionColumn[]): string[] {
  const { aggregation } = feature;
  const type = featureType(aggregation, columns);
  if (typeof type === "string") return [type];
  return [
    ...nameProblems("its name", feature.name),
    ...(sameType(type, feature.type)
      ? []
      : [`its type is ${formatType(feature.type)}, it computes ${formatType(type)}`]),
    ...(aggregation.where === undefined
      ? []
      : predicateProblems(aggregation.where, columns).map((problem) => `where: ${problem}`)),
    ...windowProblems(feature),
    ...durationProblems("ttl", feature.ttlMicros),
    ...(typeof feature.freshness === "number" ? durationProblems("freshness", feature.freshness) : []),
    ...defaultProblems(feature),
  ];
}

/** Where and when a feature is there: within what its view allows. */
function placeProblems(feature: FeatureDefinition, view: ViewDefinition, source: SourceDefinition): string[] {
  return [
    ...(feature.online === true && !view.online ? ["it cannot be online where its view is not"] : []),
    ...(feature.offline === true && !view.offline ? ["it cannot be offline where its view is not"] : []),
    ...(feature.schedule === undefined ? [] : scheduleProblems(feature.schedule)),
    ...(feature.schedule !== undefined && source.kind === "stream" ? ["a feature over a stream has no schedule"] : []),
  ];
}

function windowProblems({ aggregation }: FeatureDefinition): string[] {
  const { over, custom } = aggregation;
  if (over === undefined) return [];
  if (custom !== undefined && custom.merge === undefined) {
    return [`over: custom aggregation "${custom.name}" has no merge, which windows need`];
  }
  if (over.kind === "last") {
    const isGood = Number.isSafeInteger(over.events) && over.events >= 1 && over.events <= LAST_EVENTS_MAX;
    return isGood ? [] : [`over: last ${over.events} is not a whole number from 1 to ${LAST_EVENTS_MAX}`];
  }
  if (over.kind === "session") {
    const problem = sessionProblem(over);
    return problem === undefined ? [] : [`over: ${problem}`];
  }
  return durationProblems("over", over.micros);
}

function defaultProblems(feature: FeatureDefinition): string[] {
  if (feature.default === undefined) return [];
  try {
    // A timestamp in a definition is microseconds already.
    const value = feature.type.name === "timestamp" ? { micros: feature.default } : feature.default;
    checkValue(value, feature.type, { allowNonFinite: false });
    return [];
  } catch (error) {
    if (isOnefoldError(error)) return [`default: ${error.message}`];
    throw error;
  }
}

function durationProblems(what: string, micros: number | undefined): string[] {
  if (micros === undefined || (Number.isSafeInteger(micros) && micros > 0)) return [];
  return [`${what} is ${micros}, not a positive whole number of microseconds`];
}
