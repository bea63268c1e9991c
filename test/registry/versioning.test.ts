import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { OnefoldError } from "../../src/base/errors.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import type { Definition, ServiceDefinition } from "../../src/define/definition.ts";
import { t } from "../../src/define/column-type.ts";
import { custom } from "../../src/define/custom.ts";
import { customTransformation } from "../../src/define/custom-transformation.ts";
import { entity } from "../../src/define/entity.ts";
import { http, type HttpPollOptions } from "../../src/define/http-poll.ts";
import { col } from "../../src/define/expression-builder.ts";
import { onDemand } from "../../src/define/on-demand.ts";
import { service } from "../../src/define/service.ts";
import { stream } from "../../src/define/source.ts";
import { clip, impute, log1p, minMax, standardize } from "../../src/define/transformation.ts";
import type { AnyTransformation } from "../../src/define/transformation-typing.ts";
import { view } from "../../src/define/view.ts";
import { openFileRegistry } from "../../src/registry/file-registry.ts";
import { keyOf } from "../../src/registry/definition-set.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { planChanges } from "../../src/registry/plan.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { describeOnEach } from "./backends.ts";
import { all, changedSource, changedView, payments, spend, user } from "./example-definitions.ts";

async function refusal(work: () => unknown): Promise<OnefoldError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof OnefoldError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

function longer(features: typeof spend.features): typeof spend.features {
  return features.map((feature) =>
    feature.name === "mean_amount_1h"
      ? { ...feature, aggregation: { ...feature.aggregation, over: { kind: "time", micros: 7_200_000_000 } } }
      : feature,
  );
}

describeOnEach("a registry", (backend) => {
  let clock: ReplayClock;
  let registry: Registry;
  beforeEach(async () => {
    clock = new ReplayClock(parseMicros("2026-01-01T00:00:00Z"));
    registry = await backend.open(clock);
  });
  const reopened = (): Promise<Registry> => backend.open(clock);

  describe("versioning", () => {
    beforeEach(async () => {
      await registry.apply(all);
    });

    it("applies over the state that was planned on alone, whoever has changed it, and back", async () => {
      const planned = registry.state();
      const other = await reopened();
      expect(other.state()).toBe(planned);
      const bettered = (description: string): Definition => changedView({ description });
      await other.apply([bettered("other")]);
      const later = await reopened();
      const late = await refusal(() => later.apply([changedView({ owner: "me" })], { onlyOver: planned }));
      expect(late.code).toBe("PLAN_STALE");
      // What was changed and changed back is not what was planned on: somebody has said something meanwhile.
      await other.apply([spend]);
      expect(other.state()).not.toBe(planned);
      const error = await refusal(() => other.apply([bettered("mine")], { onlyOver: planned }));
      expect(error.message).toContain("view spend@1");
      await other.apply([bettered("mine")], { onlyOver: other.state() });
      expect((await reopened()).view("spend").definition.description).toBe("mine");
    });

    it("refuses a version that would change its meaning, and shows the difference", async () => {
      const before = await backend.text();
      const changed = changedView({ features: longer(spend.features) });
      expect(registry.plan([changed])).toMatchObject({ dirty: true, refused: true });
      const error = await refusal(() => registry.apply([changed]));
      expect(error.code).toBe("DEFINITION_CHANGED");
      expect(error.message).toContain("features.mean_amount_1h.aggregation.over: 1h -> 2h");
      expect(error.message).toContain("give it version 2");
      expect(registry.view("spend").fingerprint).toBe(fingerprint(spend));
      expect(await backend.text()).toBe(before);
    });

    it("takes the change under the next version, and keeps the old one", async () => {
      await registry.apply([changedView({ version: 2, features: longer(spend.features) })]);
      expect(registry.view("spend").definition.version).toBe(2);
      expect(registry.view("spend", 1).fingerprint).toBe(fingerprint(spend));
      const again = changedView({ features: longer(spend.features) });
      expect((await refusal(() => registry.apply([again]))).message).toContain("give it version 3");
    });

    it("shows a source that is polled, and lets the poll change, come and go", async () => {
      const url = "https://api.example.com/quotes";
      const quotes = (poll?: Pick<HttpPollOptions, "every" | "query">): Definition =>
        stream("quotes", {
          columns: { quote_id: t.string(), quoted_at: t.timestamp() },
          eventTime: "quoted_at",
          id: "quote_id",
          ...(poll === undefined ? {} : { poll: http({ url, ...poll }) }),
        });
      const polled = quotes({ every: "5s", query: { owner: "a" } });
      expect((await registry.apply([polled])).changes[0]!.details).toContain(`polled from ${url} every 5s`);
      const plan = await registry.apply([quotes({ every: "10s", query: { owner: "b" } })]);
      expect(plan.changes).toMatchObject([
        { change: "change", details: ["poll.everyMicros: 5s -> 10s", "poll.query.owner.value: a -> b"] },
      ]);
      expect((await registry.apply([quotes()])).changes).toMatchObject([{ change: "change" }]);
      expect((await (await reopened()).apply([polled])).changes).toMatchObject([{ change: "change" }]);
      expect((await (await reopened()).apply([polled])).dirty).toBe(false);
    });

    it("lets the draft change, and never takes it for the highest version", async () => {
      await registry.apply([changedView({ version: "dev" })]);
      const plan = await registry.apply([changedView({ version: "dev", features: longer(spend.features) })]);
      expect(plan.changes.map(({ change, details }) => ({ change, details }))).toEqual([
        { change: "change", details: ["features.mean_amount_1h.aggregation.over: 1h -> 2h"] },
      ]);
      expect(registry.view("spend").definition.version).toBe(1);
      expect(registry.view("spend", "dev").fingerprint).not.toBe(fingerprint(spend));
    });

    it("orders versions by number", async () => {
      for (const version of [10, 9, 2]) await registry.apply([changedView({ version })]);
      expect(registry.views().map(({ definition }) => definition.version)).toEqual([1, 2, 9, 10]);
      expect(registry.view("spend").definition.version).toBe(10);
    });

    it("lets description, owner and tags be bettered under the same fingerprint", async () => {
      const better = changedView({ description: "What a user spends", owner: "risk-2", tags: ["money", "core"] });
      expect(fingerprint(better)).toBe(fingerprint(spend));
      const plan = await registry.apply([better]);
      expect(plan.changes[0]).toMatchObject({
        change: "change",
        details: [
          "owner: risk -> risk-2",
          'tags: ["money"] -> ["money","core"]',
          "description: added What a user spends",
        ].sort(),
      });
      expect((await reopened()).view("spend").definition.description).toBe("What a user spends");
      expect(registry.view("spend").createdAt).toBe("2026-01-01T00:00:00Z");
    });

    it("takes no notice of where a definition stands in a file", () => {
      const moved = changedView({ definedAt: { file: "/elsewhere.ts", line: 1, column: 1 } });
      expect(registry.plan([moved]).dirty).toBe(false);
    });

    it.each<[string, object]>([
      [
        "a nullable column added behind",
        { columns: [...payments.columns, { name: "note", type: { name: "string" }, nullable: true }] },
      ],
      [
        "a derived column added behind",
        {
          derived: [
            ...payments.derived,
            { name: "huge", type: { name: "bool" }, expression: col("amount").gt(1e6).expression },
          ],
        },
      ],
      ["another constraint", { constraints: [{ name: "positive", predicate: col("amount").gt(0).expression }] }],
      ["another maxFuture", { maxFutureMicros: 1_000_000 }],
      ["a column's description", { columns: payments.columns.map((column) => ({ ...column, description: "x" })) }],
    ])("lets a source take %s", async (_, parts) => {
      const plan = await registry.apply([changedSource(parts)]);
      expect(plan.changes[0]!.change).toBe("change");
      expect((await reopened()).source("payments").fingerprint).toBe(fingerprint(changedSource(parts)));
      expect((await reopened()).plan([spend]).dirty).toBe(false);
    });

    it.each<[string, object, RegExp]>([
      ["lose a column", { columns: payments.columns.slice(0, 2), derived: [] }, /"amount" is stored, and is gone/],
      [
        "take another type for a column",
        {
          columns: payments.columns.map((column) =>
            column.name === "amount" ? { ...column, type: { name: "int64" } } : column,
          ),
        },
        /columns.amount.type: float64 -> int64/,
      ],
      [
        "take a column in front",
        { columns: [{ name: "note", type: { name: "string" }, nullable: true }, ...payments.columns] },
        /stand behind them/,
      ],
      [
        "take a column that is not nullable",
        { columns: [...payments.columns, { name: "note", type: { name: "string" }, nullable: false }] },
        /declare it nullable/,
      ],
      [
        "take another derived column under the same name",
        { derived: [{ ...payments.derived[0]!, expression: col("amount").gt(5).expression }] },
        /derived.big.expression: amount > 100 -> amount > 5/,
      ],
      ["let non-finite numbers in", { allowNonFinite: true }, /allowNonFinite never changes/],
      ["get an id", { id: "user" }, /id never changes/],
    ])("does not let a source %s", async (_, parts, message) => {
      const error = await refusal(() => registry.apply([changedSource(parts)]));
      expect(error.code).toBe("DEFINITION_CHANGED");
      expect(error.message).toMatch(message);
    });

    it("does not let an entity take another key", async () => {
      const error = await refusal(() =>
        registry.apply([entity("user", { user: t.string(), country: t.string() }), changedView({})]),
      );
      expect(error.code).toBe("DEFINITION_INVALID");
      const alone = await refusal(async () => {
        const folder = await mkdtemp(join(tmpdir(), "registry-"));
        try {
          const other = await openFileRegistry(folder, { clock });
          await other.apply([user]);
          await other.apply([entity("user", { user: t.int64() })]);
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      });
      expect(alone.code).toBe("DEFINITION_CHANGED");
      expect(alone.message).toContain("keys.user.type: string -> int64");
    });

    it("lets a service change, and keeps what it was", async () => {
      const before = registry.service("model").fingerprint;
      clock.advanceTo(parseMicros("2026-02-01T00:00:00Z"));
      const plan = await registry.apply([service("model", { features: [spend.pick("payments_1h").prefix("user_")] })]);
      expect(plan.changes[0]).toMatchObject({
        change: "change",
        details: [
          "features.user_payments_1h: added spend@1.payments_1h",
          "features.payments_1h: removed spend@1.payments_1h",
          "features.mean_amount_1h: removed spend@1.mean_amount_1h",
        ],
      });
      const [first, second] = (await reopened()).history();
      expect(first!.changes).toHaveLength(4);
      expect(second).toMatchObject({ at: "2026-02-01T00:00:00Z", replaced: [{ name: "model", fingerprint: before }] });
      expect(registry.service("model").createdAt).not.toBe("2026-02-01T00:00:00Z");
    });
  });

  describe("code of functions", () => {
    const scored = (weight: number, codeFingerprint?: string): Definition => {
      const score = custom("score", {
        output: t.float64(),
        empty: () => 0,
        add:
          weight === 1
            ? (state: number, amount: number) => state + amount
            : (state: number, amount: number) => state + 2 * amount,
        merge: (earlier, later) => earlier + later,
        read: (state) => state,
      });
      const definition = view("scored", {
        entity: user,
        source: payments,
        features: { score: score("amount").over("1h") },
      });
      if (codeFingerprint === undefined) return definition;
      const [feature] = definition.features;
      const aggregation = { ...feature!.aggregation, custom: { ...feature!.aggregation.custom!, codeFingerprint } };
      return { ...definition, features: [{ ...feature!, aggregation }] };
    };

    it("is part of the fingerprint: the functions' own text, or the loader's hash", () => {
      expect(fingerprint(scored(1))).toBe(fingerprint(scored(1)));
      expect(fingerprint(scored(1))).not.toBe(fingerprint(scored(2)));
      expect(fingerprint(scored(1, "a"))).toBe(fingerprint(scored(2, "a")));
      expect(fingerprint(scored(1, "a"))).not.toBe(fingerprint(scored(1, "b")));
    });

    it("refuses other code under a registered version", async () => {
      await registry.apply([user, payments, scored(1)]);
      const error = await refusal(() => registry.apply([scored(2)]));
      expect(error.code).toBe("DEFINITION_CHANGED");
      expect(error.message).toMatch(/custom\.codeFingerprint: the code of its functions changed/);
    });

    it("is attached when loaded, and a view without its code or with other code is known", async () => {
      await registry.apply([user, payments, scored(1), spend]);
      const { definition } = registry.view("scored");
      expect(registry.codeProblem(definition)).toBeNull();
      expect(definition.features[0]!.aggregation.custom!.add(1, 2, 0)).toBe(3);

      const later = await reopened();
      expect(later.codeProblem(later.view("spend").definition)).toBeNull();
      expect(later.codeProblem(later.view("scored").definition)?.code).toBe("FINGERPRINT_MISMATCH");
      const { custom: unloaded } = later.view("scored").definition.features[0]!.aggregation;
      expect(await refusal(() => unloaded!.add(1, 2, 0))).toHaveProperty("code", "FINGERPRINT_MISMATCH");
      expect(later.view("scored").fingerprint).toBe(fingerprint(later.view("scored").definition));

      later.attachCode([scored(2)]);
      expect(later.codeProblem(later.view("scored").definition)?.message).toMatch(/is not the registered one/);
      later.attachCode([scored(1)]);
      expect(later.codeProblem(later.view("scored").definition)).toBeNull();
      expect(later.view("scored").definition.features[0]!.aggregation.custom!.add(1, 2, 0)).toBe(3);
    });

    it("of an on-demand view is kept the same way", async () => {
      const ratio = (factor: number): Definition =>
        onDemand("ratio", {
          inputs: [spend.pick("payments_1h")],
          outputs: { ratio: t.float64() },
          compute: factor === 1 ? () => ({ ratio: 1 }) : () => ({ ratio: 2 }),
        });
      await registry.apply([...all, ratio(1)]);
      const later = await reopened();
      const [registered] = later.onDemandViews();
      expect(later.codeProblem(registered!.definition)?.code).toBe("FINGERPRINT_MISMATCH");
      expect(registered!.fingerprint).toBe(fingerprint(ratio(1)));
      expect((await refusal(() => later.apply([ratio(2)]))).code).toBe("DEFINITION_CHANGED");
      later.attachCode([ratio(1)]);
      expect(later.onDemandViews()[0]!.definition.compute({}, { asOf: 0 as Micros, random: () => 0 })).toEqual({
        ratio: 1,
      });
    });

    it("says when loaded definitions without functions are not those that are registered", async () => {
      await registry.apply(all);
      registry.attachCode([changedView({ features: longer(spend.features) })]);
      expect(registry.codeProblem(registry.view("spend").definition)?.code).toBe("FINGERPRINT_MISMATCH");
      expect(registry.view("spend").definition).toEqual({ ...spend });
    });
  });

  describe("transformations of a service", () => {
    const halved = (by: number): AnyTransformation =>
      customTransformation("halved", {
        output: t.float64(),
        apply: by === 2 ? (value: number) => value / 2 : (value: number) => value / 3,
      })("payments_1h");
    const transformed = (transform: Readonly<Record<string, AnyTransformation>>): ServiceDefinition =>
      service("model", { features: [spend], transform });
    const linesOf = (before: ServiceDefinition, after: ServiceDefinition): readonly string[] =>
      planChanges([after], new Map([user, payments, spend, before].map((one) => [keyOf(one), one]))).changes.at(-1)!
        .details;

    it("differ in lines a person reads", () => {
      const before = transformed({ a: standardize("mean_amount_1h"), b: log1p("payments_1h") });
      const after = transformed({
        a: standardize(impute("mean_amount_1h", "median")),
        c: clip("payments_1h", { high: 9 }),
      });
      expect(linesOf(before, after)).toEqual([
        "transform.a.node: standardize(mean_amount_1h) -> standardize(impute(mean_amount_1h, median))",
        "transform.c: added clip(payments_1h, at most 9)",
        "transform.b: removed log1p(payments_1h)",
      ]);
      expect(linesOf(transformed({ a: halved(2) }), transformed({ a: halved(3) }))).toEqual([
        expect.stringMatching(/^transform\.a\.node: the code of its functions changed/),
      ]);
    });

    it("need their code loaded where they have some", async () => {
      await registry.apply([user, payments, spend, transformed({ a: minMax(halved(2)) })]);
      const later = await reopened();
      expect(later.codeProblem(later.service("model").definition)?.code).toBe("FINGERPRINT_MISMATCH");
      later.attachCode([transformed({ a: minMax(halved(3)) })]);
      expect(later.codeProblem(later.service("model").definition)?.message).toMatch(/is not the registered one/);
      later.attachCode([transformed({ a: minMax(halved(2)) })]);
      expect(later.codeProblem(later.service("model").definition)).toBeNull();
    });
  });
});
