/** What a table's state says of a file that left it and came back, where an action says nothing of it. */
import { expect, it } from "vitest";
import type { AddAction, RemoveAction } from "../../src/offline-store/delta-actions.ts";
import { isReplaced } from "../../src/offline-store/delta-commit.ts";
import { DeltaState } from "../../src/offline-store/delta-state.ts";

const tags = { segment: "live", firstOffset: "0" };
const add: AddAction = { path: "a", partitionValues: {}, size: 1, modificationTime: 0, dataChange: true };
const remove: RemoveAction = { path: "a", dataChange: true };

it.each([
  ["none", {}],
  ["null", { tags: null }],
  ["empty ones", { tags: {} }],
])("keeps a file's tags through actions of other engines with %s", (_, none) => {
  const state = new DeltaState();
  state.apply([{ add: { ...add, tags } }], 0, "log");
  state.apply([{ remove: { ...remove, ...none } }], 1, "log");
  expect(state.removed.get("a")?.tags).toEqual(tags);
  state.apply([{ add: { ...add, ...none } }], 2, "log");
  expect(state.added.get("a")?.tags).toEqual(tags);
});

it("takes no file that was brought back for one that was written anew under another name", () => {
  const state = new DeltaState();
  state.apply([{ add: { ...add, tags } }], 0, "log");
  state.apply(
    [{ remove: { ...remove, tags: { ...tags, replacedBy: "b" } } }, { add: { ...add, path: "b" } }],
    1,
    "log",
  );
  expect(isReplaced(state.removed.get("a")!)).toBe(true);
  state.apply([{ remove: { ...remove, path: "b" } }, { add }], 2, "log");
  expect(state.added.get("a")?.tags).toEqual(tags);
  state.apply([{ remove }], 3, "log");
  expect(isReplaced(state.removed.get("a")!)).toBe(false);
});
