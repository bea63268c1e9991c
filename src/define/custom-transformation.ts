/**
 * `customTransformation`: the user's own, as pure functions; what it is fitted to is JSON data.
 *
 *     const centred = customTransformation("centred", {
 *       output: t.float64(),
 *       fit: (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), 0) / 2,
 *       apply: (value: number, middle) => value - middle,
 *     });
 *     service(..., { transform: { delay: centred("delay") } })
 */
import type { Micros } from "../base/micros.ts";
import type { ColumnType } from "./column-type.ts";
import { callSite, refuse } from "./defined-at.ts";
import type { CustomTransformation } from "./transformation-definition.ts";
import { frozen } from "./frozen.ts";
import { nameProblems } from "./names.ts";
import { checkShape } from "./shape.ts";
import { operandNode } from "./transformation.ts";
import { type FeatureClass, type NeedsOf, type Operand, Transformation } from "./transformation-typing.ts";
import type { Kind, ValueOfKind } from "./typing.ts";

/** `F` is JSON data: it is stored as such. Neither function changes what it is given, nor has state of its own. */
export interface TransformationFunctions<I, F, K extends Kind> {
  readonly output: ColumnType<K, boolean>;
  /** Of the values of the train split in row order, without nulls. */
  readonly fit?: (values: readonly I[]) => F;
  /** `value` is never null: null stays null. `fitted` is what `fit` returned, null without one. */
  readonly apply: (value: I, fitted: F) => ValueOfKind<K> | null;
}

type ClassOf<I> = unknown extends I
  ? "any"
  : [I] extends [Micros]
    ? "any"
    : [I] extends [number]
      ? "number"
      : [I] extends [string]
        ? "string"
        : [I] extends [boolean]
          ? "bool"
          : "any";

/** A custom transformation, to be applied to a feature or to another transformation. */
export type MadeTransformation<C extends FeatureClass, K extends Kind> = <const T extends Operand>(
  input: T,
) => Transformation<NeedsOf<T, C>, ValueOfKind<K>, true>;

/** Throws `DEFINITION_INVALID`. Its fingerprint is of the code that its functions reach. */
export function customTransformation<I, K extends Kind, F = null>(
  name: string,
  functions: TransformationFunctions<I, F, K>,
): MadeTransformation<ClassOf<I>, K> {
  checkShape(customTransformation, "custom transformation", name, functions, {}, ["output", "fit", "apply"]);
  const definedAt = callSite(customTransformation);
  const { output, fit, apply } = functions;
  const problems = nameProblems("its name", name);
  if (typeof apply !== "function") problems.push("apply is not a function");
  if (fit !== undefined && typeof fit !== "function") problems.push("fit is not a function");
  if (output?.valueType === undefined) problems.push("output is not a column type such as t.float64()");
  refuse({ name, definedAt }, "custom transformation", problems);
  const custom = frozen({
    name,
    output: output.valueType,
    fit: fit as CustomTransformation["fit"],
    apply: apply as CustomTransformation["apply"],
    definedAt,
  }) as CustomTransformation;
  const applied = (input: Operand): Transformation<any, any, any> =>
    new Transformation(Object.freeze({ op: "custom", input: operandNode(applied, input), custom }));
  return applied as MadeTransformation<ClassOf<I>, K>;
}
