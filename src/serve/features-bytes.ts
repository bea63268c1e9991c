/**
 * The features of an answer as JSON: what `JSON.stringify(answerFeatures(plan, vector))` says, written directly.
 * Most of an answer is this, and most of it is names that never change.
 *
 * The values are made text all at once, as one list, and copied from it between the names. One by one, each number's text
 * would go into the engine's cache of them, which outlives the answer, so the garbage collector would keep what nobody
 * reads again.
 */
import { valueToJson } from "../schema/check-value.ts";
import type { ValueType } from "../schema/value.ts";
import type { AnswerBytes } from "./answer-bytes.ts";
import { answerFeatures } from "./vector-answer.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import type { VectorPlan } from "./vector-plan.ts";

interface FeatureNames {
  /** Of each output `,"name":`; before the first one a brace instead of the comma. */
  readonly before: readonly Uint8Array[];
  /** Of all of them. */
  readonly bytes: number;
  /** Whether all values are numbers, or texts of digits: nothing in their list but a comma parts two of them. */
  readonly areNumbers: boolean;
}

const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LIST = 0x5b;
const LIST_END = 0x5d;
const OBJECT_END = 0x7d;

/** Null where the names would not stand in this order. */
const plans = new WeakMap<VectorPlan, FeatureNames | null>();

export function writeFeatures(plan: VectorPlan, vector: FeatureVector, out: AnswerBytes): void {
  let names = plans.get(plan);
  if (names === undefined) plans.set(plan, (names = namesOf(plan)));
  if (names === null) out.text(JSON.stringify(answerFeatures(plan, vector)));
  else if (names.areNumbers && areFinite(vector)) writeNumbers(names, JSON.stringify(vector.values), out);
  else writeValues(names, JSON.stringify(jsonValues(plan, vector)), out);
}

/** `list` is put behind where the names and values will end, and each of them moved to its place. */
function writeNumbers(names: FeatureNames, list: string, out: AnswerBytes): void {
  const { before, bytes } = names;
  const block = out.room(bytes + list.length);
  const start = out.length;
  let at = start;
  const from = at + bytes;
  const end = from + block.write(list, from, "latin1") - 1;
  let name = before[0]!;
  block.set(name, at);
  at += name.length;
  for (let output = 1, i = from + 1; i < end; i++) {
    const byte = block[i]!;
    if (byte === COMMA) {
      name = before[output++]!;
      block.set(name, at);
      at += name.length;
    } else block[at++] = byte;
  }
  block[at++] = OBJECT_END;
  out.wrote(at - start);
}

/** The same for values of every type: commas within a text or a list part nothing. */
function writeValues(names: FeatureNames, list: string, out: AnswerBytes): void {
  const { before, bytes } = names;
  const block = out.room(bytes + 3 * list.length);
  const start = out.length;
  let at = start;
  const from = at + bytes;
  const end = from + block.write(list, from, "utf8") - 1;
  let name = before[0]!;
  block.set(name, at);
  at += name.length;
  let depth = 0;
  let isText = false;
  for (let output = 1, i = from + 1; i < end; i++) {
    const byte = block[i]!;
    if (byte === COMMA && depth === 0 && !isText) {
      name = before[output++]!;
      block.set(name, at);
      at += name.length;
      continue;
    }
    block[at++] = byte;
    if (byte === QUOTE) isText = !isText;
    else if (isText) {
      // What follows it ends no text.
      if (byte === BACKSLASH) block[at++] = block[++i]!;
    } else if (byte === LIST) depth++;
    else if (byte === LIST_END) depth--;
  }
  block[at++] = OBJECT_END;
  out.wrote(at - start);
}

export function areFinite({ values }: FeatureVector): boolean {
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === "number" && !Number.isFinite(value)) return false;
  }
  return true;
}

function jsonValues({ outputs }: VectorPlan, { values }: FeatureVector): unknown[] {
  return outputs.map(({ type }, i) => valueToJson(values[i]!, type));
}

/** An object puts names that are whole numbers first, and has each name once. */
function namesOf({ outputs }: VectorPlan): FeatureNames | null {
  const names = outputs.map(({ name }) => name);
  const asObject: Record<string, null> = {};
  for (const name of names) asObject[name] = null;
  const keys = Object.keys(asObject);
  if (keys.length === 0 || keys.length !== names.length || keys.some((name, i) => name !== names[i])) return null;
  const before = names.map((name, i) => Uint8Array.from(Buffer.from(`${i === 0 ? "{" : ","}${JSON.stringify(name)}:`)));
  const bytes = before.reduce((sum, { length }) => sum + length, 0);
  return { before, bytes, areNumbers: outputs.every(({ type }) => isNumber(type)) };
}

function isNumber({ name }: ValueType): boolean {
  return name === "float64" || name === "int64" || name === "bool";
}
