/**
 * Answers about one set of entities, of which answers about many are put together: kept by plan, by the form that a
 * door gives them, and by the entities' keys.
 */
import type { EntityKey } from "../schema/entity-key.ts";
import { type Asked, newAnswerSpace } from "./kept-answers.ts";
import type { VectorPlan } from "./vector-plan.ts";

export type ElementForm = "json" | "resp2" | "resp3";

const spaces = new WeakMap<VectorPlan, Map<ElementForm, number>>();

/** What was asked last, as bytes. */
let block = new Uint8Array(4 * 1024);

/**
 * What is asked of a plan that needs nothing but keys: good until it is asked for again. Null where keys have characters
 * that are no bytes.
 */
export function askedOf(
  plan: VectorPlan,
  form: ElementForm,
  keys: readonly EntityKey[],
  consumer: string,
): Asked | null {
  const text = keys.length === 1 ? keys[0]! : joined(keys);
  const { length } = text;
  if (length > block.length) block = new Uint8Array(2 * length);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) return null;
    block[i] = code;
  }
  return { space: spaceOf(plan, form), bytes: block, start: 0, end: length, consumer };
}

function spaceOf(plan: VectorPlan, form: ElementForm): number {
  let forms = spaces.get(plan);
  if (forms === undefined) spaces.set(plan, (forms = new Map()));
  let space = forms.get(form);
  if (space === undefined) forms.set(form, (space = newAnswerSpace()));
  return space;
}

/** No two lists of keys are the same text: a length stands before each. */
function joined(keys: readonly EntityKey[]): string {
  let text = "";
  for (const key of keys) text += `${key.length}:${key}`;
  return text;
}
