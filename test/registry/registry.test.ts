/** What holds of every registry, wherever it is kept. */
import { beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type ErrorCode, OnefoldError } from "../../src/base/errors.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { count, mean, sum } from "../../src/define/aggregation-builder.ts";
import { t } from "../../src/define/column-type.ts";
import { col } from "../../src/define/expression-builder.ts";
import { onDemand } from "../../src/define/on-demand.ts";
import { service } from "../../src/define/service.ts";
import { view } from "../../src/define/view.ts";
import type { SharedRegistry } from "../../src/registry/stored-registry.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { describeOnEach } from "./backends.ts";
import { all, changedService, changedView, model, payments, spend, user } from "./example-definitions.ts";

const clock = new ReplayClock(parseMicros("2026-01-01T00:00:00Z"));

async function refusal(work: () => unknown): Promise<OnefoldError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof OnefoldError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describeOnEach("feature registration", (backend) => {
  let registry: SharedRegistry;
  beforeEach(async () => {
    registry = await backend.open(clock);
  });
  const reopened = (): Promise<SharedRegistry> => backend.open(clock);

  it("is read anew where another process has written it, with the code that is given then", async () => {
    const reader = await reopened();
    await registry.apply(all);
    expect(reader.services()).toEqual([]);
    await reader.reload(all);
    expect(reader.service("model").fingerprint).toBe(registry.service("model").fingerprint);
    expect(reader.view("spend").definition).toBe(spend);
    const redefined = changedService({ features: model.features.slice(0, 1) });
    await registry.apply([redefined]);
    await reader.reload([]);
    expect(reader.service("model").fingerprint).toBe(fingerprint(redefined));
  });

  it("gives the same objects for what another process has not changed", async () => {
    await registry.apply(all);
    const reader = await reopened();
    const before = [reader.source("payments"), reader.view("spend"), reader.service("model")];
    await registry.apply([changedView({ version: 2 }), changedService({ description: "better" })]);
    await reader.reload(null);
    expect(reader.source("payments")).toBe(before[0]);
    expect(reader.view("spend", 1)).toBe(before[1]);
    expect(reader.service("model")).not.toBe(before[2]);
    expect(reader.service("model").definition.description).toBe("better");
  });

  it("plans, applies and finds definitions again after reopening", async () => {
    const plan = registry.plan(all);
    expect(plan).toMatchObject({ dirty: true, refused: false });
    expect(plan.changes.map(({ change, kind, name }) => `${change} ${kind} ${name}`)).toEqual([
      "add entity user",
      "add stream payments",
      "add view spend@1",
      "add service model",
    ]);
    expect(plan.changes[2]!.where).toMatch(/example-definitions\.ts:\d+$/);
    expect(registry.views()).toEqual([]);
    expect(await registry.apply(all)).toEqual(plan);
    for (const one of [registry, await reopened()]) {
      expect(one.entity("user").definition).toEqual({ ...user });
      expect(one.source("payments").definition).toEqual({ ...payments });
      expect(one.view("spend").definition).toEqual({ ...spend });
      expect(one.view("spend", 1).createdAt).toBe("2026-01-01T00:00:00Z");
      expect(one.service("model").definition).toEqual({ ...model });
      expect(one.plan(all)).toMatchObject({ dirty: false, refused: false });
      expect(one.view("spend").fingerprint).toBe(fingerprint(spend));
    }
  });

  it("looks up by name, version, entity, tag and owner", async () => {
    await registry.apply([...all, changedView({ version: 2, owner: "other" })]);
    const names = (query: Parameters<Registry["find"]>[0]): string[] =>
      registry
        .find(query)
        .map(({ definition }) =>
          "version" in definition ? `${definition.name}@${definition.version}` : definition.name,
        );
    expect(names({ kind: "view" })).toEqual(["spend@1", "spend@2"]);
    expect(names({ name: "spend", version: 2 })).toEqual(["spend@2"]);
    expect(names({ entity: "user", kind: "view" })).toEqual(["spend@1", "spend@2"]);
    expect(names({ entity: "user" })).toEqual(expect.arrayContaining(["spend@1", "user", "payments", "model"]));
    expect(() => names({ entity: "nobody" })).toThrow(expect.objectContaining({ code: "ENTITY_UNKNOWN" }));
    expect(names({ tag: "core" })).toEqual(["spend@1", "spend@2"]);
    expect(names({ tag: "money", owner: "risk" })).toEqual(["spend@1"]);
    expect(names({ owner: "growth" })).toEqual(["user"]);
    expect(names({ owner: "nobody" })).toEqual([]);
  });

  it.each<[ErrorCode, (registry: Registry) => unknown, string[]]>([
    ["ENTITY_UNKNOWN", (one) => one.entity("usr"), ["user"]],
    ["SOURCE_UNKNOWN", (one) => one.source("payment"), ["payments"]],
    ["VIEW_UNKNOWN", (one) => one.view("spent"), ["spend"]],
    ["VIEW_UNKNOWN", (one) => one.view("spend", 7), ["spend@1"]],
    ["SERVICE_UNKNOWN", (one) => one.service("modle"), ["model"]],
  ])("says %s with the nearest names", async (code, look, candidates) => {
    await registry.apply(all);
    const error = await refusal(() => look(registry));
    expect(error.code).toBe(code);
    expect(error.candidates).toEqual(candidates);
  });

  it("draws the lineage from source to service", async () => {
    const ratio = onDemand("ratio", {
      inputs: [spend.pick("mean_amount_1h")],
      outputs: { ratio: t.float64() },
      compute: () => ({ ratio: 1 }),
    });
    await registry.apply([...all, ratio, service("with_ratio", { features: [ratio, spend.pick("payments_1h")] })]);
    expect(
      (await reopened())
        .lineage()
        .map(({ from, to }) => `${from} -> ${to}`)
        .sort(),
    ).toEqual([
      "entity:user -> view:spend@1",
      "on-demand:ratio@1 -> service:with_ratio",
      "source:payments -> view:spend@1",
      "view:spend@1 -> on-demand:ratio@1",
      "view:spend@1 -> service:model",
      "view:spend@1 -> service:with_ratio",
    ]);
  });

  it("refuses definitions that do not hold together, naming every problem and its place, and registers none", async () => {
    const stray = {
      ...spend,
      name: "stray",
      source: "paymants",
      definedAt: { file: "/a/stray.ts", line: 3, column: 1 },
    };
    const lost = changedService({
      name: "lost",
      features: [
        { view: "spend", version: 1, feature: "payments_2h", as: "x" },
        { view: "spent", version: 1, feature: "a", as: "y" },
      ],
    });
    const error = await refusal(() => registry.apply([...all, stray, lost, { ...user, name: "bad name" }]));
    expect(error.code).toBe("DEFINITION_INVALID");
    expect(error.where).toBe("/a/stray.ts:3");
    expect(error.message).toMatch(/^4 problems/);
    expect(error.message).toContain(
      '/a/stray.ts:3: view "stray@1": there is no source "paymants"; did you mean "payments"?',
    );
    expect(error.message).toContain('there is no feature of spend@1 "payments_2h"; did you mean "payments_1h"');
    expect(error.message).toContain('there is no view "spent@1"; did you mean "spend@1"');
    expect(error.message).toContain('"bad name" is not a name');
    expect(registry.entities()).toEqual([]);
    expect(await backend.text()).toBe("");
  });

  it("refuses a definition that is written twice, and a service of a draft", async () => {
    const twin = await refusal(() => registry.apply([...all, changedView({})]));
    expect(twin.message).toMatch(/view "spend@1": it is defined twice, the first time at .*example-definitions/);
    const draft = changedView({ version: "dev" });
    const pinned = changedService({ features: [{ view: "spend", version: "dev", feature: "payments_1h", as: "a" }] });
    expect((await refusal(() => registry.apply([...all.slice(1), draft, pinned]))).message).toContain(
      "services and numbered versions read numbered versions",
    );
  });

  it("checks definitions that no DSL wrote, as data", async () => {
    const wrong = changedView({ key: ["amount"], features: [{ ...spend.features[0]!, type: { name: "string" } }] });
    const { message } = await refusal(() => registry.apply([user, payments, wrong]));
    expect(message).toContain('key column "user" is string, column "amount" is float64');
    expect(message).toContain("its type is string, it computes int64");
  });

  it("holds a new definition against what is registered, and leaves what is not given alone", async () => {
    await registry.apply([user, payments]);
    await registry.apply([spend]);
    expect(registry.entities()).toHaveLength(1);
    expect(registry.plan([model]).changes).toHaveLength(1);
    expect((await registry.apply([])).changes).toEqual([]);
    expect(registry.views()).toHaveLength(1);
  });

  it("keeps bytes, -Infinity free data and every literal through a round trip", async () => {
    const odd = view("odd", {
      entity: user,
      source: payments,
      features: {
        a: sum("amount")
          .where(col("user").in(["ü", "\u0000", "|"]))
          .default(0.1),
        b: count().where(col("amount").gt(5e-324).or(col("amount").lt(-1.7976931348623157e308))),
        c: mean("amount").where(col("at").gt(new Date(8.64e15 / 1000))),
      },
    });
    await registry.apply([user, payments, odd]);
    expect((await reopened()).view("odd").definition).toEqual({ ...odd });
    expect((await reopened()).plan([odd]).dirty).toBe(false);
  });

  it("takes applies one after another", async () => {
    await Promise.all([
      registry.apply([user]),
      registry.apply([payments]),
      registry.apply([spend]),
      registry.apply([model]),
    ]);
    expect((await reopened()).services()).toHaveLength(1);
    expect(registry.history()).toHaveLength(4);
  });

  it("goes on after an apply that was refused", async () => {
    const refused = registry.apply([spend]);
    const taken = registry.apply([user]);
    await expect(refused).rejects.toHaveProperty("code", "DEFINITION_INVALID");
    expect((await taken).dirty).toBe(true);
  });
});
