/** What a reviewed plan says, as people read it. */
import { expect, it } from "vitest";
import { planText } from "../../src/cli/plan-text.ts";

it("says once why the costs of several views are not known", () => {
  const unknown = (view: string, note: string) => ({ view, why: "it is new", cost: null, note });
  const text = planText({
    changes: [],
    backfills: [
      unknown("a@1", "there are no events"),
      unknown("b@1", "it is broken"),
      unknown("c@1", "there are no events"),
    ],
    rewrites: [],
    removed: [],
    drift: [],
    dirty: true,
    refused: false,
    breaking: false,
    base: "",
  } as unknown as Parameters<typeof planText>[0]);
  expect(text).toBe(
    [
      "nothing to change",
      "computed from history:",
      "  a@1, c@1, as it is new: cost unknown: there are no events",
      "  b@1, as it is new: cost unknown: it is broken",
    ].join("\n"),
  );
});
