/**
 * Expressions: values, nulls and the types they refuse.
 */
import { describe, expect, it } from "vitest";
import type { Expression } from "../../src/define/expression.ts";
import { columnResolver, compileExpression, compilePredicate, expressionColumns } from "../../src/fold/expression.ts";
import type { Row, Value, ValueType } from "../../src/schema/value.ts";
import { bool, bytes, col, float64, int64, lit, string, time, timestamp, when, wide } from "./definitions.ts";

const columns: readonly { name: string; type: ValueType }[] = [
  { name: "n", type: int64 },
  { name: "x", type: float64 },
  { name: "s", type: string },
  { name: "b", type: bool },
  { name: "raw", type: bytes },
  { name: "at", type: timestamp },
  { name: "id", type: wide },
  { name: "list", type: { name: "array", element: string } },
];
const resolve = columnResolver(columns, "source clicks");

/** 2026-03-01 was a Sunday. */
const at = time("2026-03-01T23:59:59.999999Z");
const row: Row = [7, -2.5, "Déjà", true, Uint8Array.of(1, 2), at, "9223372036854775807", ["a", "b"]];
const nulls: Row = columns.map(() => null);

function valueOf(expression: Expression, over: Row = row): Value {
  return compileExpression(expression, resolve).evaluate(over);
}

const binary = (
  op: Extract<Expression, { left: Expression }>["op"],
  left: Expression,
  right: Expression,
): Expression => ({ op, left, right });
const unary = (op: Exclude<Extract<Expression, { input: Expression }>["op"], "in">, input: Expression): Expression => ({
  op,
  input,
});

describe("values", () => {
  it.each<[string, Expression, Value]>([
    ["n + 1", binary("add", col("n"), lit(1)), 8],
    ["n / 2", binary("divide", col("n"), lit(2)), 3.5],
    ["n / 0", binary("divide", col("n"), lit(0)), null],
    ["n * x", binary("multiply", col("n"), col("x")), -17.5],
    ["0 * x is not -0", binary("multiply", lit(0), col("x")), 0],
    ["-n", unary("negate", col("n")), -7],
    ["-0", unary("negate", binary("subtract", col("n"), lit(7))), 0],
    ["abs x", unary("abs", col("x")), 2.5],
    ["at - at", binary("subtract", binary("add", col("at"), lit(3)), col("at")), 3],
    ["at - null", binary("subtract", col("at"), lit(null)), null],
    ["at + 1", binary("add", col("at"), lit(1)), at + 1],
    ["n = 7.0", binary("eq", col("n"), lit(7)), true],
    ["n <> x", binary("ne", col("n"), col("x")), true],
    ["x < n", binary("lt", col("x"), col("n")), true],
    ["n >= 7", binary("gte", col("n"), lit(7)), true],
    ["n > 7", binary("gt", col("n"), lit(7)), false],
    ["n <= 6", binary("lte", col("n"), lit(6)), false],
    ["s > Dz", binary("gt", col("s"), lit("Dz")), true],
    ["raw = bytes", binary("eq", col("raw"), lit(Uint8Array.of(1, 2))), true],
    ["raw < bytes", binary("lt", col("raw"), lit(Uint8Array.of(1, 3))), true],
    ["at < text", binary("lt", col("at"), lit("2026-03-02")), true],
    ["at = micros", binary("eq", col("at"), lit(at)), true],
    ["wide = text", binary("eq", col("id"), lit("9223372036854775807")), true],
    ["wide > number, by value not by text", binary("gt", col("id"), lit(99)), true],
    ["wide = int64", binary("eq", col("id"), col("n")), false],
    ["in", { op: "in", input: col("n"), values: [1, 7] }, true],
    ["not in", { op: "in", input: col("n"), values: [1] }, false],
    ["not in, with a null", { op: "in", input: col("n"), values: [1, null] }, null],
    ["in bytes", { op: "in", input: col("raw"), values: [Uint8Array.of(1, 2)] }, true],
    ["in times", { op: "in", input: col("at"), values: ["2026-03-01T23:59:59.999999Z"] }, true],
    ["coalesce", { op: "coalesce", inputs: [lit(null), col("n"), col("x")] }, 7],
    ["when", when(col("b"), col("n"), col("x")), 7],
    ["when not", when(unary("not", col("b")), col("n"), lit(null)), null],
    ["lower", unary("lower", col("s")), "déjà"],
    ["length of text, in code points", unary("length", lit("a😀")), 2],
    ["length of bytes", unary("length", col("raw")), 2],
    ["length of an array", unary("length", col("list")), 2],
    ["hour", unary("hour", col("at")), 23],
    ["Sunday", unary("dayOfWeek", col("at")), 7],
    ["a Thursday", unary("dayOfWeek", binary("add", col("at"), lit(4 * 86_400_000_000))), 4],
    ["the hour of null", unary("hour", lit(null)), null],
    ["is null", unary("isNull", col("n")), false],
  ])("%s", (_, expression, expected) => {
    const value = valueOf(expression);
    expect(value).toEqual(expected);
    expect(Object.is(value, -0)).toBe(false);
  });

  it("hold for times before the epoch", () => {
    const early = time("1969-12-31T23:30:00Z");
    const before: Row = [...row.slice(0, 5), early, ...row.slice(6)];
    expect(valueOf(unary("hour", col("at")), before)).toBe(23);
    // a Wednesday
    expect(valueOf(unary("dayOfWeek", col("at")), before)).toBe(3);
  });
});

describe("nulls", () => {
  it("go through everything but what asks for them", () => {
    for (const op of ["eq", "gt", "add", "multiply", "divide"] as const) {
      expect(valueOf(binary(op, col("n"), lit(1)), nulls), op).toBe(null);
      expect(valueOf(binary(op, lit(1), col("n")), nulls), op).toBe(null);
    }
    expect(valueOf(unary("not", col("b")), nulls)).toBe(null);
    expect(valueOf({ op: "in", input: col("n"), values: [null] }, nulls)).toBe(null);
    expect(valueOf(unary("isNull", col("n")), nulls)).toBe(true);
    expect(valueOf(when(col("b"), lit(1), lit(2)), nulls)).toBe(2);
    expect(valueOf(col("n"), [])).toBe(null);
  });

  it("follow three-valued logic, stopping where one side decides", () => {
    const values = [true, false, null];
    const and = [true, false, null, false, false, false, null, false, null];
    const or = [true, true, true, true, false, null, true, null, null];
    const both = values.flatMap((left) => values.map((right) => [left, right] as const));
    const over = columnResolver(
      [
        { name: "p", type: bool },
        { name: "q", type: bool },
      ],
      "two",
    );
    for (const [op, table] of [
      ["and", and],
      ["or", or],
    ] as const) {
      const { evaluate } = compileExpression(binary(op, col("p"), col("q")), over);
      expect(both.map((pair) => evaluate(pair))).toEqual(table);
    }
    const throws = binary("gt", binary("multiply", col("n"), lit(2 ** 52)), lit(0));
    expect(valueOf(binary("and", unary("not", col("b")), throws))).toBe(false);
    expect(valueOf(binary("or", col("b"), throws))).toBe(true);
    expect(() => valueOf(binary("and", col("b"), throws))).toThrow(expect.objectContaining({ code: "INT64_UNSAFE" }));
  });

  it("make a predicate hold only where it is true", () => {
    const holds = compilePredicate(binary("gt", col("n"), lit(1)), resolve);
    expect([holds(row), holds(nulls)]).toEqual([true, false]);
  });
});

describe("arithmetic out of range", () => {
  it("throws where finite operands give no finite result", () => {
    expect(() => valueOf(binary("multiply", col("x"), lit(1.5e308)))).toThrow(
      expect.objectContaining({ code: "NUMBER_NOT_FINITE" }),
    );
    expect(() => valueOf(binary("divide", lit(1e300), lit(1e-300)))).toThrow(
      expect.objectContaining({ code: "NUMBER_NOT_FINITE" }),
    );
    expect(() => valueOf(binary("add", col("n"), lit(Number.MAX_SAFE_INTEGER)))).toThrow(
      expect.objectContaining({ code: "INT64_UNSAFE" }),
    );
  });

  it("lets what was not finite stay so", () => {
    const infinite: Row = [7, Number.POSITIVE_INFINITY];
    expect(valueOf(binary("add", col("x"), lit(1)), infinite)).toBe(Infinity);
  });
});

describe("types", () => {
  it.each<[string, Expression]>([
    ["has no column", col("nn")],
    ["int64 and string do not go together", binary("eq", col("n"), col("s"))],
    ["timestamp and string do not go together", binary("eq", col("at"), col("s"))],
    ["is not an ISO 8601 time", binary("eq", col("at"), lit("soon"))],
    ["is not a whole number", binary("eq", col("id"), lit("1.5"))],
    ["add does not take string and int64", binary("add", col("s"), lit(1))],
    ["add does not take timestamp and timestamp", binary("add", col("at"), col("at"))],
    ["gt does not compare bool", binary("gt", col("b"), lit(true))],
    ["eq does not compare array<string>", binary("eq", col("list"), col("list"))],
    ["and takes bool, not int64", binary("and", col("n"), col("b"))],
    ["not takes bool, not string", unary("not", col("s"))],
    ["abs takes int64 or float64", unary("abs", col("s"))],
    ["abs takes int64 or float64", unary("abs", col("id"))],
    ["lower takes string", unary("lower", col("n"))],
    ["hour takes timestamp", unary("hour", col("n"))],
    ["when takes bool", when(col("n"), lit(1), lit(2))],
    ["NaN cannot be a literal", lit(Number.NaN)],
    ["an array cannot be a literal", lit(["a"])],
    ["is null for every row", lit(null)],
    ["no operation", { op: "power" } as unknown as Expression],
  ])("are refused: %s", (message, expression) => {
    expect(() => compileExpression(expression, resolve, "here.f")).toThrow(
      expect.objectContaining({
        code: "DEFINITION_INVALID",
        where: message === "has no column" ? undefined : "here.f",
        message: expect.stringContaining(message),
      }),
    );
  });

  it("offer the nearest names for an unknown column", () => {
    const over = columnResolver([{ name: "delay", type: int64 }], "source flights", "v.f");
    expect(() => compileExpression(col("dealy"), over)).toThrow(
      expect.objectContaining({ candidates: ["delay"], where: "v.f" }),
    );
  });

  it("are bool for a predicate", () => {
    expect(() => compilePredicate(col("n"), resolve, "here")).toThrow(/a predicate must be a bool, this one is int64/);
  });
});

it("names the columns an expression reads, each once", () => {
  const expression = when(
    binary("gt", col("n"), col("x")),
    { op: "coalesce", inputs: [col("n"), lit(1)] },
    unary("length", when({ op: "in", input: col("b"), values: [true] }, col("s"), col("s"))),
  );
  expect(expressionColumns(expression)).toEqual(["n", "x", "b", "s"]);
});
