/**
 * The results of an answer on Feast's wire where all rows are of one plan that computes nothing: a column for each of its
 * features, of which those of a view share their event times.
 *
 * What depends on the plan alone is put together once. The rest is put together as few and long texts: most who ask do so
 * too seldom for the engine to make this quick, so that it is quick where there is little to do.
 */
import type { StatusCode } from "../fold/view-fold.ts";
import type { Value, ValueType } from "../schema/value.ts";
import type { AnswerBytes } from "./answer-bytes.ts";
import { feastStatus, FeastTimes, feastValue, listOf } from "./feast-answer.ts";
import type { FeastResults } from "./feast-outputs.ts";
import { eventTimeIn } from "./feature-vector.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import type { VectorPlan } from "./vector-plan.ts";

/** Of a plan, for all its answers. */
interface Layout {
  /** Names as JSON text, with commas between them. */
  readonly names: string;
  /** The same, as `view__name`. */
  readonly fullNames: string;
  /** Of each column, whether JSON writes its values as Feast does. */
  readonly areNumbers: readonly boolean[];
  /** Columns whose values are good for the turn alone, in which they become texts. */
  readonly composites: readonly number[];
}

const layouts = new WeakMap<VectorPlan, Layout>();
/** Texts are written once they are so long together. */
const PIECE_LENGTH = 16 * 1024;

export class FeastTable implements FeastResults {
  readonly names: string;
  readonly #plan: VectorPlan;
  readonly #layout: Layout;
  /** Row by row; of composites their texts. */
  readonly #values: Value[][] = [];
  readonly #statuses: StatusCode[][] = [];
  /** Of each of the plan's views. */
  readonly #times: readonly FeastTimes[];

  /** With `fullNames` a feature is called `view__feature`. */
  constructor(plan: VectorPlan, fullNames: boolean) {
    const layout = layoutOf(plan);
    this.names = fullNames ? layout.fullNames : layout.names;
    this.#plan = plan;
    this.#layout = layout;
    this.#times = plan.views.map(() => new FeastTimes());
  }

  add(_plan: VectorPlan, vector: FeatureVector): void {
    const values = vector.values.slice();
    for (const column of this.#layout.composites) {
      values[column] = feastValue(values[column]!, this.#plan.outputs[column]!.type);
    }
    this.#values.push(values);
    this.#statuses.push(vector.statuses.slice());
    for (let i = 0; i < this.#times.length; i++) this.#times[i]!.add(eventTimeIn(vector, i));
  }

  writeResults(out: AnswerBytes): void {
    const { outputs, features } = this.#plan;
    const ends = this.#times.map((times) => `,"event_timestamps":${times.text()}}`);
    let statuses = "";
    let text = "";
    for (let i = 0; i < outputs.length; i++) {
      if (i === 0 || !this.#hasStatusesOf(i - 1, i)) statuses = this.#statusesText(i);
      text += (i === 0 ? '{"values":' : ',{"values":') + this.#valuesText(i) + statuses + ends[features[i]!.view]!;
      if (text.length > PIECE_LENGTH) {
        out.text(text);
        text = "";
      }
    }
    out.text(text);
  }

  #valuesText(column: number): string {
    const rows = this.#values;
    const { type } = this.#plan.outputs[column]!;
    if (isComposite(type)) return `[${rows.map((values) => values[column]).join(",")}]`;
    if (rows.length === 1) return `[${feastValue(rows[0]![column]!, type)}]`;
    if (this.#layout.areNumbers[column]!) {
      const values: Value[] = [];
      for (let row = 0; row < rows.length; row++) values.push(rows[row]![column]!);
      return JSON.stringify(values);
    }
    return `[${rows.map((values) => feastValue(values[column]!, type)).join(",")}]`;
  }

  /** Columns of one view mostly have the same. */
  #hasStatusesOf(other: number, column: number): boolean {
    const rows = this.#statuses;
    for (let row = 0; row < rows.length; row++) if (rows[row]![other] !== rows[row]![column]) return false;
    return true;
  }

  #statusesText(column: number): string {
    return `,"statuses":${listOf(this.#statuses.map((statuses) => feastStatus(statuses[column]!)))}`;
  }
}

function layoutOf(plan: VectorPlan): Layout {
  let layout = layouts.get(plan);
  if (layout === undefined) {
    const namesOf = (prefix: (view: string) => string): string =>
      plan.outputs.map(({ name, view }) => JSON.stringify(`${prefix(view)}${name}`)).join(",");
    layout = {
      names: namesOf(() => ""),
      fullNames: namesOf((view) => `${view.slice(0, view.lastIndexOf("@"))}__`),
      areNumbers: plan.outputs.map(({ type }) => (type.name === "int64" && type.wide !== true) || type.name === "bool"),
      composites: plan.outputs.flatMap(({ type }, i) => (isComposite(type) ? [i] : [])),
    };
    layouts.set(plan, layout);
  }
  return layout;
}

function isComposite({ name }: ValueType): boolean {
  return name === "array" || name === "bytes";
}
