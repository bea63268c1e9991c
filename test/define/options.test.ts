/**
 * Options for those who write past the compiler: what is missing or misspelt is told with the line of the call.
 */
import { describe, expect, it } from "vitest";
import type { OnefoldError } from "../../src/base/errors.ts";
import * as door from "../../src/index.ts";

/** As JavaScript sees it: anything goes. */
type Untyped = (...args: unknown[]) => Readonly<Record<string, Untyped>>;
const dsl = door as unknown as Readonly<Record<string, Untyped>>;
const { t } = door;
const user = door.entity("user", { user_id: t.string() });
const payments = door.stream("payments", {
  columns: { user_id: t.string(), paid_at: t.timestamp(), amount: t.float64() },
  eventTime: "paid_at",
});
const spending = door.view("spending", { entity: user, source: payments, features: { total: door.sum("amount") } });
const columns = { user_id: t.string(), paid_at: t.timestamp() };

function refusal(define: () => unknown): OnefoldError {
  try {
    define();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}

describe("an option", () => {
  it.each<[string, () => unknown, RegExp]>([
    ["of a stream", () => dsl["stream"]!("s", { columns, eventTime: "paid_at", dedupWithin: "1d" }), /dedupeWithin/],
    [
      "of a batch source",
      () => dsl["batch"]!("b", { columns, eventTime: "paid_at", fromat: "csv", location: "x" }),
      /format/,
    ],
    [
      "of a view",
      () => dsl["view"]!("v", { entity: user, source: payments, tttl: "1d", features: { n: door.count() } }),
      /ttl/,
    ],
    ["of a service", () => dsl["service"]!("s", { features: [spending], omitt: ["total"] }), /omit/],
    [
      "of an on-demand view",
      () => dsl["onDemand"]!("o", { inputs: [spending], requests: {}, outputs: { a: t.int64() }, compute: () => ({}) }),
      /request/,
    ],
    ["of a window", () => dsl["sum"]!("amount")["over"]!({ sesion: "30m" }), /session/],
    ["of a transformation", () => dsl["oneHot"]!("c", { mx: 3 }), /max/],
    ["of minMax", () => dsl["minMax"]!("c", { lo: 3 }), /low/],
  ])("%s that is misspelt is refused, with what was meant and the line", (_, define, meant) => {
    const { code, message, where } = refusal(define);
    expect(code).toBe("DEFINITION_INVALID");
    expect(message).toMatch(/there is no option "/);
    expect(message).toMatch(meant);
    expect(where).toMatch(/options\.test\.ts:\d+$/);
  });

  it.each<[string, () => unknown]>([
    ["countSessions", () => dsl["countSessions"]!()],
    ["histogram", () => dsl["histogram"]!("x")],
    ["ewma", () => dsl["ewma"]!("x")],
    ["decayedSum", () => dsl["decayedSum"]!("x")],
    ["sequence", () => dsl["sequence"]!(["x"])],
    ["by", () => dsl["sum"]!("x")["by"]!("c")],
    ["clip", () => dsl["clip"]!("x")],
    ["quantileBins", () => dsl["quantileBins"]!("x")],
    ["hashBucket", () => dsl["hashBucket"]!("x")],
    ["cross", () => dsl["cross"]!(["x", "y"])],
  ])("that %s lacks is told with the line", (name, define) => {
    const { code, message, where } = refusal(define);
    expect(code).toBe("DEFINITION_INVALID");
    expect(message).toMatch(new RegExp(`the call of "${name}": it takes an object with`));
    expect(where).toMatch(/options\.test\.ts:\d+$/);
  });
});
