/**
 * Fits and applies transformations to a few columns, as a service would.
 */
import type { TransformationNode } from "../../../src/define/transformation-definition.ts";
import { transformationType } from "../../../src/define/transformation-type.ts";
import type { AnyTransformation } from "../../../src/define/transformation-typing.ts";
import { Status, type StatusCode } from "../../../src/fold/view-fold.ts";
import type { FittedParameters } from "../../../src/registry/fitted-service.ts";
import type { Value, ValueType } from "../../../src/schema/value.ts";
import { compileTransformations } from "../../../src/vector/transformations/compile.ts";
import { fitTransformations } from "../../../src/vector/transformations/fit.ts";
import type { TransformedService } from "../../../src/vector/transformations/steps.ts";

/** A column with its type, as a training set has it. */
export interface TestColumn {
  readonly type: ValueType;
  readonly values: readonly Value[];
}

export const floats = (...values: (number | null)[]): TestColumn => ({ type: { name: "float64" }, values });
export const ints = (...values: (number | null)[]): TestColumn => ({ type: { name: "int64" }, values });
export const texts = (...values: (string | null)[]): TestColumn => ({ type: { name: "string" }, values });
export const bools = (...values: (boolean | null)[]): TestColumn => ({ type: { name: "bool" }, values });

export function serviceOf(
  columns: Readonly<Record<string, TestColumn>>,
  transform: Readonly<Record<string, AnyTransformation | TransformationNode>>,
  omit: readonly string[] = [],
): TransformedService {
  const types = new Map(Object.entries(columns).map(([name, { type }]) => [name, type]));
  return {
    name: "model",
    features: Object.keys(columns).map((name) => ({ view: "v", version: 1, feature: name, as: name })),
    transform: Object.entries(transform).map(([name, one]) => {
      const node = "node" in one ? (one.node as TransformationNode) : one;
      const type = transformationType(node, types);
      if (typeof type === "string") throw new Error(type);
      return { name, type, node };
    }),
    omit,
  };
}

export const typesOf = (columns: Readonly<Record<string, TestColumn>>): ValueType[] =>
  Object.values(columns).map(({ type }) => type);

/** Fitted to the rows named, all of them where none are. */
export function fit(
  service: TransformedService,
  columns: Readonly<Record<string, TestColumn>>,
  rows?: readonly number[],
): FittedParameters {
  const count = Object.values(columns)[0]!.values.length;
  return fitTransformations(
    service,
    typesOf(columns),
    Object.values(columns).map(({ values }) => ({ value: (row) => values[row]! })),
    Int32Array.from(rows ?? Array.from({ length: count }, (_, i) => i)),
  );
}

export interface Transformed {
  readonly values: readonly Value[];
  readonly statuses: readonly StatusCode[];
}

/** The vector of one row, whose nulls have the given status. */
export function apply(
  service: TransformedService,
  types: readonly ValueType[],
  fitted: FittedParameters | null,
  row: readonly Value[],
  statuses: readonly StatusCode[] = row.map((value) => (value === null ? Status.NULL_VALUE : Status.PRESENT)),
): Transformed {
  const { outputs, run } = compileTransformations(service, types, fitted);
  const slots = { values: [...row], statuses: [...statuses] };
  run(slots);
  return {
    values: outputs.map(({ slot }) => slots.values[slot]!),
    statuses: outputs.map(({ slot }) => slots.statuses[slot]!),
  };
}

/** One column, fitted and transformed whole; `given` are other values than those it was fitted to. */
export function transformed(
  column: TestColumn,
  transformation: AnyTransformation,
  given: readonly Value[] = column.values,
): { readonly values: Value[]; readonly statuses: StatusCode[]; readonly fitted: FittedParameters } {
  const service = serviceOf({ x: column }, { x: transformation });
  const fitted = fit(service, { x: column });
  const rows = given.map((value) => apply(service, [column.type], fitted, [value]));
  return { values: rows.map((row) => row.values[0]!), statuses: rows.map((row) => row.statuses[0]!), fitted };
}
