/** What `onefold train` says when it is done. */
import { describe, expect, it } from "vitest";
import { trainingText } from "../../src/cli/training-text.ts";

const setOf = (later: Readonly<Record<string, number>>): Parameters<typeof trainingText>[0] =>
  ({
    rowCount: 20_000,
    out: "set.parquet",
    manifest: {
      features: Object.entries(later).map(([name, rowsWithLaterWindow]) => ({ name, rowsWithLaterWindow })),
    },
  }) as never;

describe("what onefold train says", () => {
  it("is one line where all windows began as asked", () => {
    expect(trainingText(setOf({ n: 0, total: 0 }))).toBe("20,000 rows, 2 features: set.parquet");
  });

  it("names the features in whose rows windows began later, and how many these are", () => {
    expect(trainingText(setOf({ n: 0, total: 1204, usual: 6 }))).toBe(
      `20,000 rows, 3 features: set.parquet

rows whose window began later than asked, as events older than the view's exactEvents are merged:
feature   rows  share
-------  -----  -----
total    1,204  6.0%
usual        6  0.0%`,
    );
  });
});
