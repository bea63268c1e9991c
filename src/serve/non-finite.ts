/**
 * Which features of a vector are not finite. In JSON they are texts, `"NaN"` say, which a feature of type string may hold as
 * well: whoever has no schema tells them apart by their names in the metadata.
 */
import type { Value, ValueType } from "../schema/value.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import type { VectorPlan } from "./vector-plan.ts";

const NONE: readonly string[] = Object.freeze([]);

/** Places of a plan's float64s and lists of them. */
const places = new WeakMap<VectorPlan, readonly number[]>();

/** Names of features that are NaN or infinite, or lists with such an element. */
export function nonFiniteOf(plan: VectorPlan, { values }: FeatureVector): readonly string[] {
  let floats = places.get(plan);
  if (floats === undefined) places.set(plan, (floats = floatsOf(plan)));
  let names: string[] | null = null;
  for (let i = 0; i < floats.length; i++) {
    const place = floats[i]!;
    if (!isFinite(values[place]!)) (names ??= []).push(plan.outputs[place]!.name);
  }
  return names ?? NONE;
}

function floatsOf({ outputs }: VectorPlan): number[] {
  return outputs.flatMap(({ type }, place) => (holdsFloats(type) ? [place] : []));
}

function holdsFloats(type: ValueType): boolean {
  return type.name === "array" ? holdsFloats(type.element) : type.name === "float64";
}

function isFinite(value: Value): boolean {
  return typeof value === "number" ? Number.isFinite(value) : !Array.isArray(value) || value.every(isFinite);
}
