import { expect, it } from "vitest";
import { asOnefoldError, messageOf } from "../../src/base/errors.ts";

it("words whatever is thrown, never throws itself, and keeps it short", () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [new Error("why"), "why"],
    ["text", "text"],
    [undefined, "undefined"],
    [Symbol("s"), "Symbol(s)"],
    [Object.create(null), "something was thrown that has no text"],
    [{ toString: () => ({}) as string }, "something was thrown that has no text"],
    [
      Object.defineProperty(new Error("x"), "message", { get: () => JSON.parse("{") as string }),
      "something was thrown that has no text",
    ],
    [Object.assign(new Error("x"), { message: null }), "null"],
    ["long".repeat(10_000), "long".repeat(500)],
  ];
  for (const [thrown, message] of cases) {
    expect(messageOf(thrown)).toBe(message);
    expect(asOnefoldError(thrown)).toMatchObject({ code: "INTERNAL", message });
  }
});
