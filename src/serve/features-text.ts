/**
 * The features of an answer as JSON text: what `JSON.stringify(answerFeatures(plan, vector))` says, written
 * directly. Most of an answer is this text, and most of it is names that never change.
 */
import { valueToJson } from "../schema/check-value.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { answerFeatures } from "./vector-answer.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import type { VectorPlan } from "./vector-plan.ts";

/** `"name":` of each output, with the comma before it; null where the names would not stand in this order. */
const nameTexts = new WeakMap<VectorPlan, readonly string[] | null>();

export function featuresText(plan: VectorPlan, vector: FeatureVector): string {
  let names = nameTexts.get(plan);
  if (names === undefined) nameTexts.set(plan, (names = namesOf(plan)));
  if (names === null) return JSON.stringify(answerFeatures(plan, vector));
  let text = "{";
  for (let i = 0; i < names.length; i++) text += names[i]! + valueText(vector.values[i]!, plan.outputs[i]!.type);
  return `${text}}`;
}

function valueText(value: Value, type: ValueType): string {
  if (value === null) return "null";
  // A finite number is the same text in JSON, and V8 remembers the texts of numbers it wrote lately.
  const isNumber = typeof value === "number" && type.name !== "timestamp" && Number.isFinite(value);
  return isNumber ? `${value}` : JSON.stringify(valueToJson(value, type));
}

/** An object puts names that are whole numbers first, and has each name once. */
function namesOf(plan: VectorPlan): string[] | null {
  const names = plan.outputs.map(({ name }) => name);
  const asObject: Record<string, null> = {};
  for (const name of names) asObject[name] = null;
  const keys = Object.keys(asObject);
  if (keys.length !== names.length || keys.some((name, i) => name !== names[i])) return null;
  return names.map((name, i) => `${i === 0 ? "" : ","}${JSON.stringify(name)}:`);
}
