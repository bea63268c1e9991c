/**
 * `oneHot` and `ordinal`: a category as a list with a single 1, or as its number.
 *
 * Categories are those that are listed, or the most frequent of the train split in falling frequency. A value
 * that is none of them is what `unseen` says: "other" is the category behind the last.
 */
import type { Unseen } from "../../define/transformation-definition.ts";
import type { Value } from "../../schema/value.ts";
import { byFrequency } from "./category-counts.ts";
import type { Operation } from "./operation.ts";

type Fitted = { readonly categories: readonly (string | number | boolean)[] };
type CategoryOperation<Op extends "oneHot" | "ordinal"> = Operation<Op, Fitted | null>;

const fitCategories: Pick<CategoryOperation<"oneHot" | "ordinal">, "isFitted" | "fit"> = {
  isFitted: ({ categories }) => categories === undefined,
  fit: ({ max }, values) => ({ categories: byFrequency(values).slice(0, max) }),
};

export const oneHot: CategoryOperation<"oneHot"> = {
  ...fitCategories,
  compile: (node, fitted) => {
    const categories = node.categories ?? fitted!.categories;
    const width = categories.length + (node.unseen === "other" ? 1 : 0);
    // One list a category, made when first asked for: vectors share it, so it is frozen.
    const lists: (readonly number[] | undefined)[] = [];
    const listOf = (slot: number): readonly number[] =>
      (lists[slot] ??= Object.freeze(Array.from({ length: width }, (_, i) => (i === slot ? 1 : 0))));
    const slots = slotsOf(categories);
    const unseen = unseenValue(node.unseen, () => listOf(categories.length));
    return (value) => {
      const slot = slots.get(value);
      return slot === undefined ? unseen() : listOf(slot);
    };
  },
};

export const ordinal: CategoryOperation<"ordinal"> = {
  ...fitCategories,
  compile: (node, fitted) => {
    const categories = node.categories ?? fitted!.categories;
    const slots = slotsOf(categories);
    const unseen = unseenValue(node.unseen, () => categories.length);
    return (value) => slots.get(value) ?? unseen();
  },
};

function slotsOf(categories: readonly Value[]): ReadonlyMap<Value, number> {
  return new Map(categories.map((category, slot) => [category, slot]));
}

/** `outside` is the value of the slot behind the last: zeros where the list has no such slot. */
function unseenValue(unseen: Unseen, outside: () => Value): () => Value | undefined {
  if (unseen === "null") return () => null;
  return unseen === "error" ? () => undefined : outside;
}
