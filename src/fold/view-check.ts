/**
 * What a view's definition must satisfy before it can be folded, and what is known once it does.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import {
  type EntityDefinition,
  type FeatureDefinition,
  formatViewName,
  type SourceDefinition,
  type ViewDefinition,
} from "../define/definition.ts";
import type { AggregationName, CustomAggregation, Window } from "../define/aggregation-definition.ts";
import { parameterProblem } from "../define/aggregation-parameters.ts";
import { featureType } from "../define/feature-type.ts";
import { sessionProblem } from "../define/window.ts";
import { formatType, isNumeric, type Row, sameType, type ValueType } from "../schema/value.ts";
import { AGGREGATION_TABLE } from "./aggregation-table.ts";
import { definitionText } from "./canonical-json.ts";
import { CustomStates } from "./custom-states.ts";
import { conformingValue } from "./custom-value.ts";
import type { CompiledDerived } from "./derive.ts";
import { columnResolver, compilePredicate, type ResolveColumn } from "./expression.ts";

/** The longest last-n window: its events are kept one by one. */
export const LAST_EVENTS_MAX = 100_000;

const TAKES_NO_COLUMN: ReadonlySet<AggregationName> = new Set([
  "count",
  "countSessions",
  "custom",
  "rate",
  "timeSinceLast",
]);

/** A NaN or an infinity has no place among their values. */
const NEEDS_FINITE: ReadonlySet<AggregationName> = new Set(["quantile", "ewma", "decayedSum"]);

export interface CheckedFeature {
  readonly definition: FeatureDefinition;
  readonly over: Window | null;
  /** Position of the input in a row, and its type; -1 and null where the input is the event itself. */
  readonly column: number;
  readonly inputType: ValueType | null;
  readonly predicate: ((row: Row) => boolean) | null;
  /** Equal for equal predicates. */
  readonly predicateKey: string;
  readonly custom: CustomStates | null;
}

export interface CheckedView {
  readonly features: readonly CheckedFeature[];
  /** Row positions and types of the entity's key columns, in key order. */
  readonly key: readonly { readonly column: number; readonly type: ValueType }[];
}

/** Throws `DEFINITION_INVALID`; `where` names the view and feature and, where known, file and line. */
export function checkView(
  view: ViewDefinition,
  source: SourceDefinition,
  entity: EntityDefinition,
  derived: CompiledDerived,
): CheckedView {
  const place = placeOf(view);
  const viewName = formatViewName(view);
  const viewWhere = place === null ? viewName : `${viewName} (${place})`;
  if (view.source !== source.name)
    throw invalid(`the view reads source "${view.source}", not "${source.name}"`, viewWhere);
  if (view.entity !== entity.name)
    throw invalid(`the view is of entity "${view.entity}", not "${entity.name}"`, viewWhere);
  if (view.features.length === 0) throw invalid("the view has no features", viewWhere);
  if (!Number.isSafeInteger(view.exactEvents) || view.exactEvents < 0) {
    throw invalid(`exactEvents must be a whole number of at least 0, not ${view.exactEvents}`, viewWhere);
  }
  checkDuration("the view's TTL", view.ttlMicros, viewWhere);
  checkDuration("forgetAfter", view.forgetAfterMicros, viewWhere);

  const key = checkKey(view, source, entity, derived, viewWhere);
  const customs = new Map<CustomAggregation, CustomStates>();
  const names = new Set<string>();
  const features = view.features.map((definition) => {
    const name = `${view.name}.${definition.name}`;
    const where = place === null ? name : `${name} (${place})`;
    if (names.has(definition.name)) throw invalid(`there are two features "${definition.name}"`, where);
    names.add(definition.name);
    const resolve = columnResolver(derived.columns, `source ${source.name}`, where);
    return checkFeature(definition, source, resolve, customs, where);
  });
  return { features, key };
}

function checkKey(
  view: ViewDefinition,
  source: SourceDefinition,
  entity: EntityDefinition,
  derived: CompiledDerived,
  where: string,
): { readonly column: number; readonly type: ValueType }[] {
  if (view.key.length !== entity.keys.length) {
    throw invalid(
      `entity ${entity.name} has ${entity.keys.length} key columns, the view gives ${view.key.length}`,
      where,
    );
  }
  const resolve = columnResolver(derived.columns, `source ${source.name}`, where);
  return view.key.map((name, i) => {
    const { index, type } = resolve(name);
    const wanted = entity.keys[i]!;
    // a wide int64 and a safe one have the same canonical text
    if (!sameType(type, wanted.type) && !(type.name === "int64" && wanted.type.name === "int64")) {
      throw invalid(
        `key column "${name}" is ${formatType(type)}, but ${entity.name}.${wanted.name} is ${formatType(wanted.type)}`,
        where,
      );
    }
    return { column: index, type };
  });
}

function checkFeature(
  definition: FeatureDefinition,
  source: SourceDefinition,
  resolve: ResolveColumn,
  customs: Map<CustomAggregation, CustomStates>,
  where: string,
): CheckedFeature {
  const { fn, column, over, where: predicate, custom } = definition.aggregation;
  const input = column === undefined ? null : resolve(column);
  if (input === null && !TAKES_NO_COLUMN.has(fn)) throw invalid(`${fn} needs a column`, where);
  checkWindow(over, where);
  checkDuration("the TTL", definition.ttlMicros, where);
  const result = resultType(definition, input?.type ?? null, where);
  const wrongParameter = parameterProblem(definition.aggregation, input?.type);
  if (wrongParameter !== undefined) throw invalid(wrongParameter, where);
  if (source.allowNonFinite && NEEDS_FINITE.has(fn)) {
    throw invalid(`${fn} needs finite numbers, but source ${source.name} allows others`, where);
  }
  if (!sameType(result, definition.type)) {
    throw invalid(
      `${fn} gives ${formatType(result)}, but the feature is declared ${formatType(definition.type)}`,
      where,
    );
  }
  const { default: fallback } = definition;
  if (fallback !== undefined && conformingValue(fallback, result, source.allowNonFinite) === undefined) {
    throw invalid(`the default is not a value of type ${formatType(result)}`, where);
  }
  return {
    definition,
    over: over ?? null,
    column: input?.index ?? -1,
    inputType: input?.type ?? null,
    predicate: predicate === undefined ? null : compilePredicate(predicate, resolve, where),
    predicateKey: predicate === undefined ? "" : definitionText(predicate),
    custom: custom === undefined ? null : customStates(custom, customs, where),
  };
}

function resultType({ aggregation }: FeatureDefinition, input: ValueType | null, where: string): ValueType {
  const { fn, column, over, custom } = aggregation;
  if ((fn === "custom") !== (custom !== undefined))
    throw invalid("custom needs its functions, and nothing else has them", where);
  const refuse = (wanted: string): OnefoldError =>
    invalid(`${fn} takes ${wanted}, but "${column}" is ${formatType(input!)}`, where);
  switch (fn) {
    case "count":
      return { name: "int64" };
    case "sum":
      if (!isNumeric(input!)) throw refuse("int64 or float64");
      return input!;
    case "mean":
    case "variance":
    case "stddev":
      if (!isNumeric(input!)) throw refuse("int64 or float64");
      return { name: "float64" };
    case "min":
    case "max":
      if (!isNumeric(input!) && input!.name !== "timestamp") throw refuse("int64, float64 or timestamp");
      return input!;
    case "first":
    case "last":
      return input!;
    case "custom":
      if (over !== undefined && custom!.merge === undefined) {
        throw invalid(`custom aggregation "${custom!.name}" needs merge to be computed over a window`, where);
      }
      return custom!.output;
    default: {
      if (!Object.hasOwn(AGGREGATION_TABLE, fn)) {
        throw new OnefoldError("DEFINITION_INVALID", `there is no aggregation "${String(fn)}"`, {
          where,
          candidates: nearestNames(String(fn), Object.keys(AGGREGATION_TABLE)),
        });
      }
      const columns = input === null ? [] : [{ name: column!, type: input }];
      const type = featureType(aggregation, columns);
      if (typeof type === "string") throw invalid(type, where);
      return type;
    }
  }
}

function checkWindow(over: Window | undefined, where: string): void {
  if (over === undefined) return;
  if (over.kind === "time") checkDuration("a window", over.micros, where);
  else if (over.kind === "session") {
    const problem = sessionProblem(over);
    if (problem !== undefined) throw invalid(problem, where);
  } else if (
    over.kind !== "last" ||
    !Number.isSafeInteger(over.events) ||
    over.events < 1 ||
    over.events > LAST_EVENTS_MAX
  ) {
    throw invalid(`a window covers a duration or the last 1 to ${LAST_EVENTS_MAX} events`, where);
  }
}

function checkDuration(what: string, duration: number | undefined, where: string): void {
  if (duration === undefined || (Number.isSafeInteger(duration) && duration > 0)) return;
  throw invalid(`${what} must be a positive whole number of microseconds, not ${duration}`, where);
}

function customStates(
  custom: CustomAggregation,
  customs: Map<CustomAggregation, CustomStates>,
  where: string,
): CustomStates {
  let states = customs.get(custom);
  if (states === undefined) {
    try {
      states = new CustomStates(custom);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new OnefoldError("DEFINITION_INVALID", `empty() of custom aggregation "${custom.name}" failed: ${why}`, {
        where,
        cause,
      });
    }
    customs.set(custom, states);
  }
  return states;
}

function placeOf(view: ViewDefinition): string | null {
  return view.definedAt === undefined ? null : `${view.definedAt.file}:${view.definedAt.line}`;
}

function invalid(what: string, where: string): OnefoldError {
  return new OnefoldError("DEFINITION_INVALID", what, { where });
}
