import { AssertionError } from "node:assert";
import { describe, expect, it } from "vitest";
import { payments, spending, user } from "../../examples/shop/features.ts";
import { compileServiceProgram } from "../../src/vector/service-program.ts";
import { entity, lastK, last, onDemand, service, t, view } from "../../src/index.ts";
import { expectOnDemand, expectView, inputError } from "../../src/testing/index.ts";

const AT = "2026-01-01T11:00:00Z";
const recent = view("recent", {
  entity: user,
  source: payments,
  features: { paid: last("paid_at"), times: lastK("paid_at", 2) },
});

const unusual = onDemand("unusual", {
  inputs: [spending.pick("mean_amount_7d", "payments_1h"), recent],
  request: { amount: t.float64(), until: t.timestamp().nullable() },
  outputs: { to_mean: t.float64(), idle_s: t.float64(), times: t.int64(), left_s: t.float64(), chance: t.float64() },
  compute: ({ mean_amount_7d, amount, paid, times, until }, { asOf, random }) => {
    if (amount === 13) throw new Error("thirteen");
    return {
      to_mean: mean_amount_7d === null ? null : amount / mean_amount_7d,
      idle_s: paid === null ? null : (asOf - paid) / 1e6,
      times: amount === 14 ? 0.5 : (times?.length ?? 0),
      left_s: until === null ? null : (until - asOf) / 1e6,
      chance: random(),
    };
  },
});

describe("expectOnDemand", () => {
  it("computes outputs from inputs, request data and time", () => {
    const reading = expectOnDemand(unusual)
      .given({
        inputs: { mean_amount_7d: 10, paid: "2026-01-01T10:59:00Z", times: [new Date(AT), null] },
        request: { amount: 25, until: "2026-01-01T11:00:30Z" },
      })
      .at(AT)
      .toEqual({ to_mean: 2.5, idle_s: 60, times: 2, left_s: 30 })
      .toHaveStatus({ to_mean: "PRESENT" });
    reading.at("2026-01-01T11:01:00Z").toEqual({ idle_s: 120, left_s: -30 });
    // the same inputs draw the same number, others another
    expect(reading.at(AT).values()).toEqual(reading.values());
    expect(reading.at("2026-01-01T11:01:00Z").values().chance).not.toBe(reading.values().chance);
  });

  it("takes what is not given for null, and values of another reading as they are", () => {
    expectOnDemand(unusual)
      .given({ request: { amount: 1 } })
      .at(AT)
      .toEqual({ to_mean: null, idle_s: null, times: 0 });
    const row = { payment_id: "p", user_id: "ada", paid_at: "2026-01-01T10:00:00Z", amount: 5 };
    const inputs = expectView(recent).after([row]).at(AT).values();
    expectOnDemand(unusual)
      .given({ inputs, request: { amount: 1 } })
      .at(AT)
      .toEqual({ idle_s: 3600, times: 1 });
  });

  it("gives the very bits of the program that serving runs", () => {
    const both = service("both", { features: [unusual] });
    const views = [spending, recent];
    const program = compileServiceProgram(both, {
      view: (name: string) => ({ definition: views.find((one) => one.name === name)! }),
      onDemandViews: () => [{ definition: unusual }],
      codeProblem: () => null,
    } as unknown as Parameters<typeof compileServiceProgram>[1]);
    const given = { mean_amount_7d: 0.1, payments_1h: 3 };
    const reading = expectOnDemand(unusual)
      .given({ inputs: given, request: { amount: 0.3 } })
      .at(AT);
    program.inputs.forEach(({ feature }, slot) => {
      program.slots.values[slot] = (given as Record<string, number>)[feature] ?? null;
      program.slots.statuses[slot] = feature in given ? 0 : 1;
    });
    program.run(
      program.request.map(({ name }) => (name === "amount" ? 0.3 : null)),
      (Date.UTC(2026, 0, 1, 11) * 1000) as never,
    );
    expect(reading.values()).toEqual(
      Object.fromEntries(program.outputs.map(({ name, slot }) => [name, program.slots.values[slot]])),
    );
  });

  it("has the status of what fails, and says what was given where an expectation fails", () => {
    const with13 = expectOnDemand(unusual)
      .given({ inputs: { mean_amount_7d: 2 }, request: { amount: 13 } })
      .at(AT);
    with13.toHaveStatus({ to_mean: "ERROR", times: "ERROR" }).toEqual({ to_mean: null });
    expectOnDemand(unusual)
      .given({ request: { amount: 14 } })
      .at(AT)
      .toHaveStatus({ times: "ERROR", to_mean: "NULL_VALUE" });
    const failed = expectOnDemand(unusual)
      .given({ inputs: { paid: inputError }, request: { amount: 1 } })
      .at(AT);
    failed.toHaveStatus({ to_mean: "ERROR", idle_s: "ERROR" });
    try {
      with13.toEqual({ to_mean: 6.5 });
    } catch (error) {
      expect(error).toBeInstanceOf(AssertionError);
      expect((error as Error).message).toBe(`unusual@1 at ${AT}:
  to_mean: expected 6.5, got null (ERROR)
    because: ON_DEMAND_FAILED
    given: mean_amount_7d = 2, payments_1h = null, paid = null, times = null, amount = 13, until = null`);
      return;
    }
    throw new Error("it passed");
  });

  it("throws what request data and inputs are refused with, and what fails a whole vector", () => {
    const code = (expected: string): unknown => expect.objectContaining({ code: expected });
    const expectation = expectOnDemand(unusual);
    expect(() => expectation.at(AT)).toThrow(code("NULL_NOT_ALLOWED"));
    // @ts-expect-error: a number is needed
    expect(() => expectation.given({ request: { amount: "1" } }).at(AT)).toThrow(code("TYPE_MISMATCH"));
    // @ts-expect-error: there is no such input
    const misspelt = expectation.given({ inputs: { mean: 1 }, request: { amount: 1 } });
    expect(() => misspelt.at(AT)).toThrow(code("FEATURE_UNKNOWN"));
    // @ts-expect-error: a number is needed
    const mistyped = expectation.given({ inputs: { mean_amount_7d: "1" }, request: { amount: 1 } });
    expect(() => mistyped.at(AT)).toThrow(code("TYPE_MISMATCH"));
    const reading = expectation.given({ request: { amount: 1 } }).at(AT);
    // @ts-expect-error: there is no such output
    expect(() => reading.toEqual({ mean: 1 })).toThrow(code("FEATURE_UNKNOWN"));
    const strict = onDemand("strict", {
      inputs: [],
      outputs: { r: t.float64() },
      onError: "fail",
      compute: () => {
        throw new Error("always");
      },
    });
    expect(() => expectOnDemand(strict).at(AT)).toThrow(code("ON_DEMAND_FAILED"));
    for (const wrong of [{ ...unusual }, spending, entity("user", { user_id: t.string() })]) {
      expect(() => expectOnDemand(wrong as unknown as typeof unusual)).toThrow(code("DEFINITION_INVALID"));
    }
  });
});
