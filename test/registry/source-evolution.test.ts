/** Which changes of a registered source's columns are taken, and that each refusal says what to do instead. */
import { describe, expect, it } from "vitest";
import { col, count, custom, entity, mean, onDemand, stream, sum, t, view } from "../../src/index.ts";
import type { Definition } from "../../src/define/definition.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { planChanges } from "../../src/registry/plan.ts";
import { encodeRegistry } from "../../src/registry/registry-content.ts";
import { keyOf } from "../../src/registry/definition-set.ts";

const user = entity("user", { user: t.string() });
const base = { user: t.string(), at: t.timestamp(), n: t.int64(), x: t.float64(), s: t.string().nullable() };
const sourceOf = (columns: object, more: object = {}): any =>
  stream("rows", { columns: { ...columns }, eventTime: "at", ...more } as any);
const before = sourceOf(base);
const readers = {
  mean: mean("n").over("1h"),
  sum: sum("n"),
  arithmetic: count().where(col("n").multiply(2).gt(3)),
  compared: count().where(col("n").gt(3)),
};
const viewOf = (...names: readonly (keyof typeof readers)[]): any =>
  view("v", {
    entity: user,
    source: before,
    features: Object.fromEntries(names.map((name) => [name, readers[name]])),
  } as any);

function planned(
  after: Definition,
  registered: readonly Definition[] = [before],
  more: readonly Definition[] = [],
): string {
  const known = [user, ...registered];
  const plan = planChanges([after, ...more], new Map(known.map((one) => [keyOf(one), one])));
  const change = plan.changes.find(({ name }) => name === "rows")!;
  return change.change === "refuse" ? change.details.at(-1)! : change.change;
}

const { s: _s, ...withoutS } = base;

describe("columns of a registered source", () => {
  it.each([
    ["a nullable column behind", { ...base, more: t.string().nullable() }],
    ["becoming nullable", { ...base, n: t.int64().nullable() }],
    ["int64 to float64", { ...base, n: t.float64().widenedFrom(t.int64()) }],
    ["int64 to wide int64", { ...base, n: t.int64({ wide: true }).widenedFrom(t.int64()) }],
    ["renamed in its place", { user: base.user, at: base.at, m: t.int64().was("n"), x: base.x, s: base.s }],
    ["dropped", { ...base, s: t.string().dropped() }],
  ])("take %s", (_, columns) => {
    expect(planned(sourceOf(columns))).toBe("change");
  });

  it.each([
    ["a required column", { ...base, more: t.string() }, /"more" is added and not nullable.*declare it nullable/],
    ["a column in between", { more: t.string().nullable(), ...base }, /stands at another place/],
    ["no more null", { ...base, s: t.string() }, /may be null in stored rows.*require/],
    ["narrower", { ...base, x: t.int64() }, /cannot hold every stored value.*add a nullable column/],
    ["wider without a word", { ...base, n: t.float64() }, /write t\.float64\(\)\.widenedFrom\(t\.int64\(\)\)/],
    ["gone", withoutS, /is stored, and is gone.*\.dropped\(\)/],
    [
      "renamed without a word",
      { user: base.user, at: base.at, m: t.int64(), x: base.x, s: base.s },
      /write \.was\("n"\)/,
    ],
  ])("refuse %s, and say what to do", (_, columns, why) => {
    expect(planned(sourceOf(columns))).toMatch(why);
  });

  it("keep every name that they were ever sent under", () => {
    const renamed = sourceOf({ user: base.user, at: base.at, m: t.int64().was("n"), x: base.x, s: base.s });
    const again = (names: readonly [string, ...string[]]): any =>
      sourceOf({ user: base.user, at: base.at, k: t.int64().was(...names), x: base.x, s: base.s });
    expect(planned(again(["n", "m"]), [renamed])).toBe("change");
    expect(planned(again(["n"]), [renamed])).toMatch(/under "m".*\.was\("n", "m"\)/);
    expect(planned(before, [renamed])).toMatch(/under "m"/);
    expect(() => sourceOf({ user: base.user, at: base.at, m: t.int64().was("x"), x: base.x })).toThrow(
      /two columns "x"/,
    );
  });

  it("go back to a name that they had, and forth again, as often as one likes", () => {
    const called = (name: string, ...names: readonly [] | readonly [string, ...string[]]): any => {
      const type = names.length === 0 ? t.int64() : t.int64().was(...(names as [string]));
      return sourceOf({ user: base.user, at: base.at, [name]: type, x: base.x, s: base.s });
    };
    const [forth, back] = [called("m", "n"), called("n", "n", "m")];
    expect(planned(called("n", "m"), [forth])).toMatch(/write \.was\("n", "m"\) behind that/);
    expect(planned(back, [forth])).toBe("change");
    expect(planned(back, [called("m", "n")])).toBe("change");
    expect(planned(called("n"), [back])).toMatch(/no longer be taken under "m".*\.was\("n", "m"\)/);
    expect(planned(called("m", "n"), [back])).toBe("change");
    expect(planned(called("m"), [back])).toMatch(/if "m" is it under another name, write \.was\("n"\)/);
    expect(planned(called("k", "n", "m"), [back])).toBe("change");
    expect(planned(called("k", "n"), [back])).toMatch(/under "m".*\.was\("n", "m"\)/);
    expect(() => called("k", "n", "n")).toThrow(/two columns "n"/);
  });

  it("do not come back narrower, or as what they never were", () => {
    const wider = sourceOf({ ...base, n: t.float64().widenedFrom(t.int64()) });
    expect(planned(before, [wider])).toMatch(/cannot hold every stored value/);
    expect(planned(sourceOf({ ...base, n: t.float64() }), [wider])).toMatch(/first registered as int64/);
    expect(() => sourceOf({ ...base, n: t.string().widenedFrom(t.int64()) })).toThrow(/does not widen/);
    const dropped = sourceOf({ ...base, x: t.float64().dropped() });
    expect(planned(before, [dropped])).toMatch(/was dropped.*declare it nullable/);
    expect(planned(sourceOf({ ...base, x: t.float64().nullable() }), [dropped])).toBe("change");
  });

  it("are widened where what reads them stays what it is, and nowhere else", () => {
    const wider = sourceOf({ ...base, n: t.float64().widenedFrom(t.int64()) });
    expect(planned(wider, [before, viewOf("mean", "compared")])).toBe("change");
    expect(planned(wider, [before, viewOf("sum")])).toMatch(
      /view v@1 reads it: feature "sum": its type is int64, it computes float64/,
    );
    expect(planned(wider, [before, viewOf("arithmetic")])).toMatch(
      /feature v@1\.arithmetic compute with it as a whole number/,
    );
    const text = sourceOf({ ...base, n: t.int64({ wide: true }).widenedFrom(t.int64()) });
    expect(planned(text, [before, viewOf("compared")])).toMatch(/view v@1 keep numbers/);
    const kafka = sourceOf(base, { kafka: "rows" });
    const widerKafka = sourceOf({ ...base, n: t.float64().widenedFrom(t.int64()) }, { kafka: "rows" });
    expect(planned(widerKafka, [kafka])).toMatch(/workers of a Kafka source/);
  });

  it("are dropped where nobody reads them, and whole rows count as reading", () => {
    const dropped = sourceOf({ ...base, n: t.int64().dropped() });
    expect(planned(dropped, [before, viewOf("mean")])).toMatch(
      /view v@1 reads it: feature "mean": .*there is no column "n"/,
    );
    const rows = custom("rows", {
      output: t.int64(),
      empty: () => 0,
      add: (n: number) => n + 1,
      read: (n: number) => n,
    });
    const whole = view("v", { entity: user, source: before, features: { whole: rows() } } as any);
    expect(planned(dropped, [before, whole])).toMatch(/aggregation of whole rows, "whole"/);
    expect(() => sourceOf({ ...base, at: t.timestamp().dropped() })).toThrow(/eventTime/);
  });

  it("renamed, leave every definition that names them what it was", () => {
    const columns = {
      who: t.string().was("user"),
      when: t.timestamp().was("at"),
      m: t.int64().was("n"),
      x: base.x,
      s: base.s,
    };
    const renamed = stream("rows", {
      columns,
      eventTime: "when",
      derive: { late: col("m").gt(3) },
      require: { positive: col("m").gte(0) },
    } as any) as any;
    const old = sourceOf(base, { derive: { late: col("n").gt(3) }, require: { positive: col("n").gte(0) } });
    const features = (name: string): object => ({
      mean: mean(name).over("1h").where(col("late").eq(true)),
      by: sum("x")
        .over("1h")
        .by(name, { groups: { one: 1 } }),
    });
    const [a, b] = [
      view("v", { entity: user, source: old, features: features("n") } as any),
      view("v", { entity: user, source: renamed, key: { user: "who" }, features: features("m") } as any),
    ];
    expect(fingerprint(b as Definition)).toBe(fingerprint(a as Definition));
    expect({ derived: renamed.derived, constraints: renamed.constraints, eventTime: renamed.eventTime }).toEqual({
      derived: old.derived,
      constraints: old.constraints,
      eventTime: "at",
    });
    expect(planned(renamed, [old, a as Definition], [b as Definition])).toBe("change");
  });

  it("alone have a past: keys and what a request carries are not stored", () => {
    expect(() => entity("other", { id: t.string().was("key") })).toThrow(
      /key column "id": was, widenedFrom and dropped/,
    );
    const request = { amount: t.float64().dropped() };
    expect(() => onDemand("x", { inputs: [], request, outputs: { y: t.int64() }, compute: () => ({ y: 1 }) })).toThrow(
      /request column "amount"/,
    );
  });

  it("are refused, with their past, by versions of Onefold that do not know of it", () => {
    const formatOf = (definition: Definition): unknown => {
      const registered = { definition, fingerprint: fingerprint(definition), createdAt: "2026-01-01T00:00:00Z" };
      return (JSON.parse(encodeRegistry({ definitions: [registered], history: [] })) as { format: unknown }).format;
    };
    expect(formatOf(before)).toBe(1);
    expect(formatOf(sourceOf({ ...base, more: t.string().nullable() }))).toBe(1);
    expect(formatOf(sourceOf({ ...base, s: t.string().dropped() }))).toBe(2);
    expect(formatOf(sourceOf({ ...base, n: t.float64().widenedFrom(t.int64()) }))).toBe(2);
    expect(formatOf(sourceOf({ user: base.user, at: base.at, m: t.int64().was("n"), x: base.x }))).toBe(2);
  });
});
