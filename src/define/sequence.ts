/**
 * `sequence`: the entity's last events as aligned lists, as models of sequences read them.
 *
 *     view(..., { features: { viewed: sequence(["item_id", "price"], { length: 20 }).over("7d") } })
 *
 * gives `viewed_item_id`, `viewed_price` and `viewed_at`, the time of each event by the source's event time:
 * plain `lastK` features with one predicate that lets in only events where every column has a value. So the same
 * events stand in all of them, in one order (effective time, then arrival; oldest first), and place i of one list
 * belongs to place i of every other. An event where a column is null is in none of them; derive a column with
 * `coalesce` for it to be in all.
 */
import { checkOptions } from "./shape.ts";
import type { AnyExpr, NeedsOf, OfOperand } from "./expression-builder.ts";
import { aggregate } from "./aggregation-builder.ts";
import { type AnyFeature, Feature, type FreshnessText } from "./feature-builder.ts";
import type { Expression } from "./expression.ts";
import type { DurationText, Need, Require } from "./typing.ts";
import type { WindowText } from "./window.ts";

/** The name of the times, beside those of the columns. */
export const SEQUENCE_TIMES = "at";

/** Lists of one length; `view` makes features of them. */
export class SequenceFeature<N extends Need = never, C extends string = string> {
  declare readonly "~types": { readonly needs: N; readonly columns: C };
  readonly #columns: readonly C[];
  /** Everything but the column: window, predicate, description. */
  readonly #each: AnyFeature;

  constructor(columns: readonly C[], each: AnyFeature) {
    this.#columns = columns;
    this.#each = each;
    Object.freeze(this);
  }

  /** The last events of a time window, of the entity's last n, or of its present session. Without: of all. */
  over(window: WindowText): SequenceFeature<N, C> {
    return this.#with(this.#each.over(window));
  }

  /** Takes only the events for which `predicate` is true. A second `where` narrows the first. */
  where<P extends AnyExpr>(predicate: P): SequenceFeature<N | NeedsOf<P> | Require<OfOperand<P>, "bool">, C> {
    return this.#with(this.#each.where(predicate));
  }

  /** All lists are null once the entity's last event is older than this. */
  ttl(duration: DurationText): SequenceFeature<N, C> {
    return this.#with(this.#each.ttl(duration));
  }

  freshness(freshness: FreshnessText): SequenceFeature<N, C> {
    return this.#with(this.#each.freshness(freshness));
  }

  online(served: boolean): SequenceFeature<N, C> {
    return this.#with(this.#each.online(served));
  }

  offline(written: boolean): SequenceFeature<N, C> {
    return this.#with(this.#each.offline(written));
  }

  describe(description: string): SequenceFeature<N, C> {
    return this.#with(this.#each.describe(description));
  }

  owner(owner: string): SequenceFeature<N, C> {
    return this.#with(this.#each.owner(owner));
  }

  tags(...tags: readonly string[]): SequenceFeature<N, C> {
    return this.#with(this.#each.tags(...tags));
  }

  /** The list of each column by its name, in order, and the times last. */
  features(name: string, eventTime: string): readonly (readonly [name: string, feature: AnyFeature])[] {
    const problem = this.#problem();
    if (problem !== undefined) return [[name, new Feature({ ...this.#each.parts, problem })]];
    const { aggregation } = this.#each.parts;
    const known = [...this.#columns, ...(aggregation.where === undefined ? [] : [aggregation.where])].map(
      (part): Expression => (typeof part === "string" ? isThere(part) : part),
    );
    const where = known.reduce((left, right): Expression => ({ op: "and", left, right }));
    const listOf = (column: string): AnyFeature =>
      new Feature({ ...this.#each.parts, aggregation: { ...aggregation, column, where } });
    return [
      ...this.#columns.map((column) => [`${name}_${column}`, listOf(column)] as const),
      [`${name}_${SEQUENCE_TIMES}`, listOf(eventTime)],
    ];
  }

  #problem(): string | undefined {
    const columns: readonly unknown[] = this.#columns;
    if (!Array.isArray(columns) || columns.length === 0)
      return 'sequence takes a list of columns, as in ["item", "price"]';
    const wrong = columns.find((column) => typeof column !== "string");
    if (wrong !== undefined)
      return "sequence takes the names of columns, in quotes; derive an expression in the source first";
    if (new Set(columns).size < columns.length) return "sequence: a column is there twice";
    if (columns.includes(SEQUENCE_TIMES)) {
      return `sequence: a column named "${SEQUENCE_TIMES}" would hide the times of the events, which are there in any case`;
    }
    return this.#each.parts.problem;
  }

  #with(each: AnyFeature): SequenceFeature<any, C> {
    return new SequenceFeature(this.#columns, each);
  }
}

export type AnySequenceFeature = SequenceFeature<any, any>;

function isThere(column: string): Expression {
  return { op: "not", input: { op: "isNull", input: { op: "column", name: column } } };
}

/** The last `length` events in which none of the columns is null: a list a column, and their times; oldest first. */
export function sequence<const C extends string>(
  columns: readonly C[],
  options: { readonly length: number },
): SequenceFeature<readonly [C, "any"], C> {
  checkOptions(sequence, options, ["length"]);
  return new SequenceFeature(columns, aggregate("lastK", undefined, { k: options.length }));
}
