/**
 * Vectors that were read and can be answered again: kept as long as a read would give the same bits, with their
 * texts.
 *
 * A read gives the same until the state of one of its entities changes, or time takes an event out of a window
 * (or a value past its TTL). The first the fold tells, by turning the read's mark; the second the read itself
 * says beforehand, as `stableUntils` (src/fold/view-fold.ts). Nothing else may change a value, so nothing is ever
 * answered that a read at that very moment would not give.
 *
 * Room is bounded in two generations: when the young one is full, the old one is let go and the young becomes
 * the old. What is asked for while old becomes young again.
 */
import type { Micros } from "../base/micros.ts";
import { type EntityKey, ownKey } from "../schema/entity-key.ts";
import type { ReadMark } from "./ports.ts";
import type { VectorTexts, VectorValues } from "./vector-buffer.ts";
import type { VectorPlan } from "./vector-plan.ts";

interface KeptVector extends VectorValues {
  asOf: Micros;
  /** When it was read, and when time alone will change it. */
  readonly from: Micros;
  readonly until: number;
  readonly marks: readonly ReadMark[];
  readonly bytes: number;
}

interface Generations {
  young: Map<string, KeptVector>;
  old: Map<string, KeptVector>;
}

/** What a kept vector takes beside its values, and each value with its share of the texts. */
const VECTOR_BYTES = 400;
const VALUE_BYTES = 64;

export class KeptVectors {
  readonly #bytesMax: number;
  readonly #plans = new Map<VectorPlan, Generations>();
  #youngBytes = 0;

  /** 0 keeps nothing. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The vector as it would be read now, or null where that is not known. */
  find(plan: VectorPlan, keys: readonly EntityKey[], now: Micros): VectorValues | null {
    const kept = this.#plans.get(plan);
    if (kept === undefined) return null;
    const id = idOf(keys);
    let vector = kept.young.get(id);
    if (vector === undefined) {
      vector = kept.old.get(id);
      if (vector === undefined) return null;
      kept.old.delete(id);
      if (isGood(vector, now)) this.#add(kept, id, vector);
    }
    if (!isGood(vector, now)) {
      if (kept.young.delete(id)) this.#youngBytes -= vector.bytes;
      return null;
    }
    vector.asOf = now;
    return vector;
  }

  /** Keeps the vector that was read in this turn, if it stands for any time; gives it back with room for its texts. */
  keep(plan: VectorPlan, keys: readonly EntityKey[], vector: VectorValues): VectorValues {
    const until = stableUntil(plan);
    if (this.#bytesMax === 0 || until <= vector.asOf) return vector;
    const marks: ReadMark[] = [];
    for (const { view, entity } of plan.views) {
      const mark = view.mark?.(keys[entity]!);
      if (mark === undefined) return vector;
      marks.push(mark);
    }
    const { asOf, values, statuses, codes } = vector;
    const id = ownKey(idOf(keys));
    const kept: KeptVector = {
      asOf,
      from: asOf,
      until,
      marks,
      values: [...values],
      statuses: [...statuses],
      codes: codes === null ? null : [...codes],
      texts: new Map(),
      bytes: VECTOR_BYTES + 2 * id.length + VALUE_BYTES * values.length,
    };
    let generations = this.#plans.get(plan);
    if (generations === undefined) this.#plans.set(plan, (generations = { young: new Map(), old: new Map() }));
    this.#add(generations, id, kept);
    return kept;
  }

  /** Lets all go: plans were thrown away. */
  clear(): void {
    this.#plans.clear();
    this.#youngBytes = 0;
  }

  #add(generations: Generations, id: string, vector: KeptVector): void {
    generations.young.set(id, vector);
    this.#youngBytes += vector.bytes;
    if (this.#youngBytes < this.#bytesMax / 2) return;
    this.#youngBytes = 0;
    for (const [plan, each] of this.#plans) {
      if (each.young.size === 0) this.#plans.delete(plan);
      each.old = each.young;
      each.young = new Map();
    }
  }
}

/** Whether vectors of a plan may be kept at all: what a request carries, or asOf itself, is not in their id. */
export function isKeepable({ program }: VectorPlan): boolean {
  return program === null || program.onDemand.length === 0;
}

function isGood({ from, until, marks }: KeptVector, now: Micros): boolean {
  if (now < from || now >= until) return false;
  for (let i = 0; i < marks.length; i++) if (!marks[i]!.isCurrent) return false;
  return true;
}

/** Of the read that filled the plan's buffers last. */
function stableUntil({ views, features }: VectorPlan): number {
  let until = Number.POSITIVE_INFINITY;
  for (let i = 0; i < features.length; i++) {
    const { view, slot } = features[i]!;
    until = Math.min(until, views[view]!.buffer.stableUntils[slot]!);
  }
  return until;
}

function idOf(keys: readonly EntityKey[]): string {
  // No key text is taken for two: a length stands before each but the last.
  let id = "";
  for (let i = 0; i < keys.length - 1; i++) id += `${keys[i]!.length}:${keys[i]!}`;
  return keys.length === 0 ? id : id + keys[keys.length - 1]!;
}

/** A text of a vector that is made once while the vector is kept. */
export function textOf(texts: VectorTexts | null, form: string, make: () => string): string {
  if (texts === null) return make();
  let text = texts.get(form);
  if (text === undefined) texts.set(form, (text = make()));
  return text;
}
