/**
 * A service's program: what it reads, what it computes, and what becomes of functions that fail.
 */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { t } from "../../src/define/column-type.ts";
import type { Definition, OnDemandContext, OnDemandDefinition } from "../../src/define/definition.ts";
import { entity } from "../../src/define/entity.ts";
import { count, mean, sum } from "../../src/define/aggregation-builder.ts";
import { onDemand } from "../../src/define/on-demand.ts";
import { service } from "../../src/define/service.ts";
import { stream } from "../../src/define/source.ts";
import { view } from "../../src/define/view.ts";
import { Status, type StatusCode } from "../../src/fold/view-fold.ts";
import { problemsOf } from "../../src/registry/validate.ts";
import type { Row, Value } from "../../src/schema/value.ts";
import { compileServiceProgram, qualifiedName, type ServiceProgram } from "../../src/vector/service-program.ts";

const NOW = 1_772_323_200_000_000 as Micros;
const user = entity("user", { user_id: t.string() });
const payments = stream("payments", {
  columns: { user_id: t.string(), paid_at: t.timestamp(), amount: t.float64(), country: t.string() },
  eventTime: "paid_at",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: {
    payments_1h: count().over("1h"),
    amount_24h: sum("amount").over("24h"),
    mean_7d: mean("amount").over("7d"),
  },
});

const ratio = onDemand("ratio", {
  inputs: [spending.pick("mean_7d")],
  request: { amount: t.float64() },
  outputs: { to_mean: t.float64() },
  compute: ({ mean_7d, amount }) => ({ to_mean: mean_7d === null ? null : amount / mean_7d }),
});
const flags = onDemand("flags", {
  inputs: [ratio, spending.pick("payments_1h")],
  request: { amount: t.float64(), country: t.string().nullable() },
  outputs: { is_odd: t.bool(), seen_at: t.timestamp() },
  compute: ({ to_mean, payments_1h, country }, { asOf }) => ({
    is_odd: (to_mean !== null && to_mean > 3) || payments_1h > 5 || country === "XX",
    seen_at: asOf,
  }),
});

function programOf(
  definition: Parameters<typeof compileServiceProgram>[0],
  all: readonly Definition[],
): ServiceProgram {
  return compileServiceProgram(definition, {
    view: (name) => {
      const found = all.find((one) => one.kind === "view" && one.name === name);
      if (found?.kind !== "view") throw new Error(`no view ${name}`);
      return { definition: found, fingerprint: "", createdAt: "" };
    },
    onDemandViews: () =>
      all.flatMap((one) => (one.kind === "on-demand" ? [{ definition: one, fingerprint: "", createdAt: "" }] : [])),
    codeProblem: () => null,
  });
}

type Answer = Record<string, { readonly value: Value; readonly status: StatusCode; readonly code: string | null }>;

function run(program: ServiceProgram, given: Record<string, Value>, request: Row, asOf: Micros = NOW): Answer {
  for (const [i, input] of program.inputs.entries()) {
    const value = given[input.feature] ?? null;
    program.slots.values[i] = value;
    program.slots.statuses[i] = value === null ? Status.NULL_VALUE : Status.PRESENT;
  }
  program.run(request, asOf);
  const { values, statuses, codes } = program.slots;
  return Object.fromEntries(
    program.outputs.map(({ name, slot }) => [
      name,
      { value: values[slot]!, status: statuses[slot]!, code: codes[slot]! },
    ]),
  );
}

const present = (value: Value): Answer[string] => ({ value, status: Status.PRESENT, code: null });
const failed = (code: string): Answer[string] => ({ value: null, status: Status.ERROR, code });

describe("a program", () => {
  it("reads each feature of a view once, and computes on-demand views after their inputs", () => {
    const model = service("model", { features: [flags, spending.pick("amount_24h"), ratio] });
    const program = programOf(model, [user, payments, spending, ratio, flags, model]);
    expect(program.inputs.map(qualifiedName)).toEqual([
      "spending@1:mean_7d",
      "spending@1:payments_1h",
      "spending@1:amount_24h",
    ]);
    expect(program.request.map((column) => [column.name, column.nullable])).toEqual([
      ["amount", false],
      ["country", true],
    ]);
    expect(program.isPlain).toBe(false);
    expect(program.onDemand.map((one) => one.name)).toEqual(["ratio", "flags"]);
    expect(run(program, { mean_7d: 10, payments_1h: 2, amount_24h: 30 }, [40, null])).toEqual({
      is_odd: present(true),
      seen_at: present(NOW),
      amount_24h: present(30),
      to_mean: present(4),
    });
    expect(run(program, { mean_7d: null, payments_1h: 2 }, [40, null])).toEqual({
      is_odd: present(false),
      seen_at: present(NOW),
      amount_24h: { value: null, status: Status.NULL_VALUE, code: null },
      to_mean: { value: null, status: Status.NULL_VALUE, code: null },
    });
  });

  it("is plain where the vector is what is read", () => {
    const model = service("model", { features: [spending] });
    expect(programOf(model, [spending]).isPlain).toBe(true);
    const twice = service("twice", { features: [spending.pick("mean_7d"), spending.pick("mean_7d").prefix("again_")] });
    const program = programOf(twice, [spending]);
    expect(program.isPlain).toBe(false);
    expect(run(program, { mean_7d: 1.5 }, [])).toEqual({ mean_7d: present(1.5), again_mean_7d: present(1.5) });
  });

  it("says which features of views a computed one stands on", () => {
    const model = service("model", { features: [spending.pick("amount_24h"), flags.pick("is_odd")] });
    const [amount, odd] = programOf(model, [spending, ratio, flags]).outputs;
    expect(amount).toMatchObject({ from: "spending@1", inputs: [0] });
    expect(odd).toMatchObject({ from: "flags@1", inputs: [1, 2] });
  });

  it("refuses two on-demand views that want one request column in two types", () => {
    const other = onDemand("other", {
      inputs: [],
      request: { amount: t.string() },
      outputs: { length: t.int64() },
      compute: ({ amount }) => ({ length: amount.length }),
    });
    const model = service("model", { features: [ratio, other] });
    const definitions = [user, payments, spending, ratio, other, model];
    const message = 'request column "amount" is float64 for ratio@1 and string for other@1';
    expect(() => programOf(model, definitions)).toThrow(message);
    expect(problemsOf(definitions, []).map((problem) => problem.message)).toEqual([message]);
  });

  it("refuses a numbered on-demand view over a draft", () => {
    const draft = view("draft", { version: "dev", entity: user, source: payments, features: { n: count() } });
    const over = (version: 1 | "dev"): OnDemandDefinition =>
      onDemand("over", { version, inputs: [draft], outputs: { m: t.int64() }, compute: ({ n }) => ({ m: n }) });
    expect(problemsOf([user, payments, draft, over("dev")], [])).toEqual([]);
    expect(problemsOf([user, payments, draft, over(1)], [])[0]?.message).toMatch(/is of a draft/);
  });
});

describe("a function that fails", () => {
  const failing = (compute: (context: OnDemandContext) => unknown, onError: "status" | "fail" = "status") => {
    const definition = onDemand("failing", {
      inputs: [spending.pick("mean_7d")],
      outputs: { a: t.int64(), b: t.string(), c: t.array(t.float64()) },
      onError,
      compute: (_, context) => compute(context) as { a: number; b: string; c: number[] },
    });
    const model = service("model", { features: [spending.pick("mean_7d"), definition] });
    return programOf(model, [spending, definition]);
  };
  const right = { a: 1, b: "x", c: [1, null, 2] };

  it.each<[string, () => unknown, Record<string, string>]>([
    [
      "throws",
      () => {
        throw new Error("no");
      },
      { a: "ON_DEMAND_FAILED", b: "ON_DEMAND_FAILED", c: "ON_DEMAND_FAILED" },
    ],
    [
      "throws what has no text",
      () => {
        throw Object.create(null);
      },
      { a: "ON_DEMAND_FAILED", b: "ON_DEMAND_FAILED", c: "ON_DEMAND_FAILED" },
    ],
    [
      "throws an error whose message throws",
      () => {
        throw Object.defineProperty(new Error("x"), "message", {
          get: () => {
            throw new Error("again");
          },
        });
      },
      { a: "ON_DEMAND_FAILED", b: "ON_DEMAND_FAILED", c: "ON_DEMAND_FAILED" },
    ],
    [
      "throws nothing in particular",
      () => {
        throw undefined;
      },
      { a: "ON_DEMAND_FAILED", b: "ON_DEMAND_FAILED", c: "ON_DEMAND_FAILED" },
    ],
    [
      "gives nothing",
      () => undefined,
      { a: "ON_DEMAND_OUTPUT_INVALID", b: "ON_DEMAND_OUTPUT_INVALID", c: "ON_DEMAND_OUTPUT_INVALID" },
    ],
    [
      "gives a promise",
      async () => right,
      { a: "ON_DEMAND_OUTPUT_INVALID", b: "ON_DEMAND_OUTPUT_INVALID", c: "ON_DEMAND_OUTPUT_INVALID" },
    ],
    ["gives half a number for an int64", () => ({ ...right, a: 0.5 }), { a: "ON_DEMAND_OUTPUT_INVALID" }],
    ["gives an int64 past the safe range", () => ({ ...right, a: 2 ** 53 }), { a: "ON_DEMAND_OUTPUT_INVALID" }],
    ["gives text for a number", () => ({ ...right, a: "1" }), { a: "ON_DEMAND_OUTPUT_INVALID" }],
    ["gives half a surrogate pair", () => ({ ...right, b: "\ud800" }), { b: "ON_DEMAND_OUTPUT_INVALID" }],
    ["leaves an output out", () => ({ a: 1, c: [] }), { b: "ON_DEMAND_OUTPUT_INVALID" }],
    ["gives NaN in a list", () => ({ ...right, c: [Number.NaN] }), { c: "ON_DEMAND_OUTPUT_INVALID" }],
    [
      "has a getter that throws",
      () => ({
        ...right,
        get b() {
          throw new Error("no");
        },
      }),
      { a: "ON_DEMAND_FAILED", b: "ON_DEMAND_FAILED", c: "ON_DEMAND_FAILED" },
    ],
  ])("that %s gives ERROR with a code, and the rest of the vector stands", (_, compute, codes) => {
    const answer = run(failing(compute), { mean_7d: 3 }, []);
    expect(answer["mean_7d"]).toEqual(present(3));
    for (const [name, value] of Object.entries(right)) {
      expect(answer[name], name).toEqual(
        codes[name] === undefined ? present(answer[name]!.value) : failed(codes[name]),
      );
      if (codes[name] === undefined && name !== "c") expect(answer[name]!.value).toEqual(value);
    }
    expect(() => run(failing(compute, "fail"), { mean_7d: 3 }, [])).toThrow(/on-demand view failing@1: /);
  });

  it("gives ERROR without being called where an input is an error", () => {
    let calls = 0;
    const program = failing(() => ((calls += 1), right));
    run(program, { mean_7d: 3 }, []);
    program.slots.values[0] = null;
    program.slots.statuses[0] = Status.ERROR;
    program.run([], NOW);
    const { slot } = program.outputs[1]!;
    expect([program.slots.statuses[slot], program.slots.codes[slot], calls]).toEqual([
      Status.ERROR,
      "ON_DEMAND_INPUT_ERROR",
      1,
    ]);
  });

  it("leaves no value of the vector before", () => {
    let fails = false;
    const program = failing(() => {
      if (fails) throw new Error("now");
      return right;
    });
    expect(run(program, { mean_7d: 3 }, [])["b"]).toEqual(present("x"));
    fails = true;
    expect(run(program, { mean_7d: 3 }, [])["b"]).toEqual(failed("ON_DEMAND_FAILED"));
    fails = false;
    expect(run(program, { mean_7d: 3 }, [])["b"]).toEqual(present("x"));
  });

  it("cannot change what the vector carries, nor keep hold of it", () => {
    const list = [1, 2];
    const bytes = Uint8Array.of(1, 2);
    const greedy = onDemand("greedy", {
      inputs: [],
      request: { given: t.array(t.int64()), raw: t.bytes() },
      outputs: { seen: t.array(t.float64()), copy: t.bytes(), frozen: t.bool() },
      compute: ({ given, raw }) => {
        raw[0] = 99;
        let frozen = false;
        try {
          (given as number[]).push(3);
        } catch {
          frozen = true;
        }
        return { seen: list, copy: bytes, frozen };
      },
    });
    const model = service("model", { features: [greedy] });
    const raw = Uint8Array.of(5, 6);
    const answer = run(programOf(model, [greedy]), {}, [[1, 2], raw]);
    list.push(3);
    bytes[0] = 7;
    expect(answer["frozen"]).toEqual(present(true));
    expect(answer["seen"]).toEqual(present([1, 2]));
    expect(answer["copy"]).toEqual(present(Uint8Array.of(1, 2)));
    expect([...raw]).toEqual([5, 6]);
  });

  it("has -0 made 0, as at the door", () => {
    const zero = onDemand("zero", { inputs: [], outputs: { z: t.float64() }, compute: () => ({ z: -0 }) });
    const model = service("model", { features: [zero] });
    expect(Object.is(run(programOf(model, [zero]), {}, [])["z"]!.value, 0)).toBe(true);
  });
});

describe("chance", () => {
  const drawing = onDemand("drawing", {
    inputs: [spending.pick("mean_7d")],
    request: { salt: t.string() },
    outputs: { first: t.float64(), second: t.float64() },
    compute: (_, { random }) => ({ first: random(), second: random() }),
  });
  const program = programOf(service("model", { features: [drawing] }), [spending, drawing]);
  const draw = (mean_7d: number, salt: string, asOf: Micros = NOW): number[] => {
    const { first, second } = run(program, { mean_7d }, [salt], asOf);
    return [first!.value as number, second!.value as number];
  };

  it("follows from inputs, request data and asOf alone", () => {
    expect(draw(1, "a")).toEqual(draw(1, "a"));
    expect(draw(1, "a")).not.toEqual(draw(2, "a"));
    expect(draw(1, "a")).not.toEqual(draw(1, "b"));
    expect(draw(1, "a")).not.toEqual(draw(1, "a", (NOW + 1) as Micros));
    // the same on every machine, for ever
    expect(draw(1, "a")).toEqual([0.262917841908029, 0.2601187177169003]);
  });

  it("is uniform", () => {
    const drawn = Array.from({ length: 4000 }, (_, i) => draw(i, "a")).flat();
    const average = drawn.reduce((total, one) => total + one, 0) / drawn.length;
    // five standard errors of a mean of 8000 uniform numbers
    expect(Math.abs(average - 0.5)).toBeLessThan((5 * Math.sqrt(1 / 12)) / Math.sqrt(drawn.length));
    expect(drawn.every((one) => one >= 0 && one < 1)).toBe(true);
    expect(new Set(drawn).size).toBe(drawn.length);
  });
});
