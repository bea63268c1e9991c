/**
 * Short ways to write the definitions that the tests of the fold use.
 */
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import type {
  EntityDefinition,
  FeatureDefinition,
  StreamDefinition,
  ViewDefinition,
} from "../../src/define/definition.ts";
import type { Aggregation } from "../../src/define/aggregation-definition.ts";
import type { Expression } from "../../src/define/expression.ts";
import type { FoldState } from "../../src/fold/fold-state.ts";
import { createReadBuffer, type FoldOutcome, STATUS_NAMES, type ViewFold } from "../../src/fold/view-fold.ts";
import type { Value, ValueType } from "../../src/schema/value.ts";

export const SECOND = 1_000_000;
export const MINUTE: number = 60 * SECOND;
export const HOUR: number = 60 * MINUTE;
export const DAY: number = 24 * HOUR;

export const int64: ValueType = { name: "int64" };
export const wide: ValueType = { name: "int64", wide: true };
export const float64: ValueType = { name: "float64" };
export const string: ValueType = { name: "string" };
export const bool: ValueType = { name: "bool" };
export const bytes: ValueType = { name: "bytes" };
export const timestamp: ValueType = { name: "timestamp" };

export const col = (name: string): Expression => ({ op: "column", name });
export const lit = (value: Value): Expression => ({ op: "literal", value });

export function when(condition: Expression, then: Expression, otherwise: Expression): Expression {
  // oxlint-disable-next-line unicorn/no-thenable -- never a function
  return { op: "when", condition, then, otherwise };
}

export const user: EntityDefinition = { kind: "entity", name: "user", keys: [{ name: "user", type: string }] };

/** A stream of `user`, `at` and the given nullable columns. */
export function streamOf(
  columns: Readonly<Record<string, ValueType>>,
  more: Partial<StreamDefinition> = {},
): StreamDefinition {
  return {
    kind: "stream",
    name: "clicks",
    columns: [
      { name: "user", type: string, nullable: false },
      { name: "at", type: timestamp, nullable: false },
      ...Object.entries(columns).map(([name, type]) => ({ name, type, nullable: true })),
    ],
    derived: [],
    constraints: [],
    eventTime: "at",
    allowNonFinite: false,
    maxFutureMicros: MINUTE,
    dedupeWithinMicros: DAY,
    availableAfterMicros: 0,
    ...more,
  };
}

/** A feature named after its place: `f0`, `f1` ... */
export function feature(
  type: ValueType,
  aggregation: Aggregation,
  more: Partial<FeatureDefinition> = {},
): FeatureDefinition {
  return { name: "", type, aggregation, ...more };
}

export function viewOf(features: readonly FeatureDefinition[], more: Partial<ViewDefinition> = {}): ViewDefinition {
  return {
    kind: "view",
    name: "activity",
    version: 1,
    entity: "user",
    source: "clicks",
    key: ["user"],
    features: features.map((one, i) => ({ ...one, name: one.name === "" ? `f${i}` : one.name })),
    online: true,
    offline: true,
    freshness: "real-time",
    exactEvents: 128,
    ...more,
  };
}

export function time(text: string): Micros {
  return parseMicros(text);
}

/** Folds one event of user "u"; known when it happened unless said otherwise. */
export function foldRow(
  fold: ViewFold<FoldState>,
  state: FoldState,
  offset: number,
  at: number,
  values: readonly Value[],
  knownTime: number = at,
): FoldOutcome {
  return fold.fold(state, {
    offset,
    eventTime: at as Micros,
    knownTime: knownTime as Micros,
    row: ["u", at, ...values],
  });
}

export interface Answer {
  readonly values: Value[];
  readonly statuses: string[];
  readonly windowStarts: number[];
}

export function readAll(fold: ViewFold<FoldState>, state: FoldState | null, asOf: number): Answer {
  const buffer = createReadBuffer(fold.features.length);
  fold.read(state, asOf as Micros, buffer);
  const { values, statuses, windowStarts } = buffer;
  return { values, statuses: statuses.map((code) => STATUS_NAMES[code]!), windowStarts };
}
