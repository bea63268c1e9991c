/**
 * What every transformation says of itself: what it is fitted to, and what it does to one value.
 *
 * Contract:
 * - `fit` and `apply` are pure, deterministic and total; only operations that IEEE 754 makes exact;
 * - `fit` sees the values of the train split in row order, without nulls and numbers that are not finite, and
 *   at least one; what it returns is JSON data that holds no -0;
 * - `apply` never sees null, and gives null only where an option says so.
 */
import type { TransformationNode } from "../../define/transformation-definition.ts";
import type { Data } from "../../registry/definition-data.ts";
import type { Value } from "../../schema/value.ts";

/** A value that is there. */
export type PresentValue = Exclude<Value, null>;

/** Undefined where no value could be right: the status ERROR. */
export type Apply = (value: PresentValue) => Value | undefined;

export type NodeOf<Op extends TransformationNode["op"]> = Extract<TransformationNode, { readonly op: Op }>;

/** A transformation of one value, with parameters `P`; null where it is not fitted. */
export interface Operation<Op extends TransformationNode["op"], P extends Data> {
  isFitted(node: NodeOf<Op>): boolean;
  /** May throw a plain `Error` that says why there are no parameters. */
  fit(node: NodeOf<Op>, values: readonly PresentValue[]): P;
  compile(node: NodeOf<Op>, parameters: P): Apply;
}

/** An operation that is the same whatever the train split holds. */
export function unfitted<Op extends TransformationNode["op"]>(
  compile: (node: NodeOf<Op>) => Apply,
): Operation<Op, null> {
  return { isFitted: () => false, fit: () => null, compile };
}

/** -0 as 0; undefined where it is not finite. */
export function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value + 0 : undefined;
}
