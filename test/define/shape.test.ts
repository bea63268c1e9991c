import { describe, expect, it } from "vitest";
import { OnefoldError } from "../../src/base/errors.ts";
import { col, count, custom, entity, mean, onDemand, service, stream, t, view } from "../../src/index.ts";

const user = entity("user", { user_id: t.string() });
const taps = stream("taps", {
  columns: { user_id: t.string(), at: t.timestamp(), force: t.float64() },
  eventTime: "at",
});

// Written past the compiler, as JavaScript would.
const untyped = { view, service, entity, stream, custom, mean, onDemand } as unknown as Record<
  string,
  (...args: unknown[]) => unknown
>;
const features = { taps: count() };

function refusal(write: () => unknown): OnefoldError {
  try {
    write();
  } catch (error) {
    if (error instanceof OnefoldError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

it("a feature that a view does not have is answered with the line that asked for it", () => {
  const taken = view("v", { entity: user, source: taps, features });
  const untypedView = taken as unknown as Record<"pick" | "rename", (asked: unknown) => any>;
  for (const choose of [
    () => untypedView.pick("tap"),
    () => untypedView.rename({ tap: "b" }),
    () => untypedView.pick("taps").pick("tap"),
    () => untypedView.pick("taps").rename({ tap: "b" }),
  ]) {
    const error = refusal(choose);
    expect(error.message).toBe('v@1 has no feature "tap"');
    expect(error.where).toMatch(/shape\.test\.ts:\d+$/);
  }
});

it("a view that is not there yet is said to be undefined, and why it may be", () => {
  const later: unknown = undefined;
  for (const choose of [
    () => untyped["service"]!("s", { features: [later] }),
    () => untyped["onDemand"]!("o", { inputs: [later], outputs: { a: t.int64() }, compute: () => ({ a: null }) }),
  ]) {
    const error = refusal(choose);
    expect(error.message).toMatch(/is undefined/);
    expect(error.hint).toMatch(/modules that import each other/);
    expect(error.where).toMatch(/shape\.test\.ts:\d+$/);
  }
});

describe("options of the wrong shape", () => {
  it.each<[string, () => unknown, RegExp]>([
    [
      "a source by name",
      () => untyped["view"]!("v", { entity: user, source: "taps", features }),
      /source is "taps": give a stream/,
    ],
    ["no source", () => untyped["view"]!("v", { entity: user, features }), /source is missing/],
    [
      "no features",
      () => untyped["view"]!("v", { entity: user, source: taps, featurs: features }),
      /features is missing/,
    ],
    [
      "a feature that is none",
      () => untyped["view"]!("v", { entity: user, source: taps, features: { a: "count" } }),
      /"a" is not an aggregation/,
    ],
    ["no options", () => untyped["view"]!("v"), /options are not an object/],
    [
      "an expression as a column",
      () => untyped["view"]!("v", { entity: user, source: taps, features: { a: untyped["mean"]!(col("force")) } }),
      /takes the name of a column/,
    ],
    ["a custom without a name", () => untyped["custom"]!({ empty: () => 0 }), /first argument is not its name/],
    [
      "a service without a list",
      () => untyped["service"]!("s", { features: user }),
      /features is another thing: give a list/,
    ],
    ["a stream without columns", () => untyped["stream"]!("s", { eventTime: "at" }), /columns is missing/],
    ["an entity without keys", () => untyped["entity"]!("e"), /keys is missing/],
  ])("are answered with the line of the call: %s", (_what, write, message) => {
    const error = refusal(write);
    expect(error).toMatchObject({ code: "DEFINITION_INVALID" });
    expect(error.message).toMatch(message);
    expect(error.where).toMatch(/shape\.test\.ts:\d+$/);
  });
});
