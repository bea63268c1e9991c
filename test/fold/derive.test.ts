import { describe, expect, it } from "vitest";
import { compileDerived } from "../../src/fold/derive.ts";
import { bool, col, float64, int64, lit, streamOf } from "./definitions.ts";

const derived = [
  { name: "late", type: bool, expression: { op: "gt", left: col("delay"), right: lit(15) } },
  { name: "hours", type: float64, expression: { op: "divide", left: col("delay"), right: lit(60) } },
  {
    name: "very_late",
    type: bool,
    expression: { op: "and", left: col("late"), right: { op: "gt", left: col("hours"), right: lit(2) } },
  },
  { name: "whole", type: float64, expression: { op: "multiply", left: col("distance"), right: lit(2 ** 50) } },
] as const;
const source = streamOf({ delay: int64, distance: int64 }, { derived });

describe("derived columns", () => {
  it("stand behind the stored ones and may build on each other", () => {
    const { derive, columns, storedCount } = compileDerived(source);
    expect(columns.map((column) => column.name)).toEqual([
      "user",
      "at",
      "delay",
      "distance",
      "late",
      "hours",
      "very_late",
      "whole",
    ]);
    expect(storedCount).toBe(4);
    expect(derive(["u", 0, 150, 2])).toEqual(["u", 0, 150, 2, true, 2.5, true, 2 ** 51]);
    expect(derive(["u", 0, null, null])).toEqual(["u", 0, null, null, null, null, null, null]);
  });

  it("are computed anew over a row that has them already", () => {
    const { derive } = compileDerived(source);
    const row = derive(["u", 0, 150, 2]).slice();
    row[2] = 3;
    expect(derive(row).slice(4)).toEqual([false, 0.05, false, 2 ** 51]);
  });

  it("throw what leaves the range, unless nobody wants that column", () => {
    expect(() => compileDerived(source).derive(["u", 0, 150, 9])).toThrow(
      expect.objectContaining({ code: "INT64_UNSAFE" }),
    );
    expect(compileDerived(source, ["very_late"]).derive(["u", 0, 150, 9]).slice(4)).toEqual([true, 2.5, true, null]);
  });

  it("know the stored columns they need", () => {
    const { storedColumnsFor } = compileDerived(source);
    expect(storedColumnsFor(["very_late", "user"])).toEqual(["user", "delay"]);
    expect(storedColumnsFor(["whole", "late"])).toEqual(["delay", "distance"]);
  });

  it.each([
    ["has no column", { name: "a", type: bool, expression: col("later") }],
    ["the expression is bool", { name: "a", type: int64, expression: col("late") }],
    ['two columns "late"', { name: "late", type: bool, expression: col("late") }],
  ] as const)("are refused: %s", (message, column) => {
    const wrong = streamOf({ delay: int64, distance: int64 }, { derived: [...derived, column] });
    expect(() => compileDerived(wrong)).toThrow(
      expect.objectContaining({
        code: "DEFINITION_INVALID",
        message: expect.stringContaining(message),
        where: expect.stringContaining(column.name),
      }),
    );
  });
});
