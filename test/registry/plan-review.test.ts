/** What a plan says of readers: what breaks, what is left behind, what has drifted. */
import { describe, expect, it } from "vitest";
import { alert, retrain } from "../../src/define/alert.ts";
import { webhook } from "../../src/define/destination.ts";
import { count, mean } from "../../src/define/aggregation-builder.ts";
import type { Definition, ServiceDefinition } from "../../src/define/definition.ts";
import { service } from "../../src/define/service.ts";
import { standardize } from "../../src/define/transformation.ts";
import { view } from "../../src/define/view.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { planChanges } from "../../src/registry/plan.ts";
import { type PlanReview, type Readers, definitionsDigest, reviewPlan } from "../../src/registry/plan-review.ts";
import { keyOf } from "../../src/registry/definition-set.ts";
import type { AppliedChange } from "../../src/registry/registry.ts";
import { toData } from "../../src/registry/definition-data.ts";
import { all, changedSource, model, payments, spend, user } from "./example-definitions.ts";

const NOBODY: Readers = { fits: [], models: [], aliases: [], experiments: [] };
const APPLIED_AT = "2026-11-01T00:00:00Z";

function review(
  given: readonly Definition[],
  registered: readonly Definition[],
  readers: Readers = NOBODY,
  history: readonly AppliedChange[] = [],
): PlanReview {
  const plan = planChanges(given, new Map(registered.map((one) => [keyOf(one), one])));
  const stored = registered.map((definition) => ({
    definition,
    fingerprint: fingerprint(definition),
    createdAt: APPLIED_AT,
  }));
  return reviewPlan(plan, given, stored, history, readers);
}

const breaksOf = (reviewed: PlanReview, name: string): string[] =>
  reviewed.changes
    .find((one) => one.name === name)!
    .breaks.map(({ kind, name: broken, why }) => `${kind} ${broken}: ${why}`);

function fitOf(definition: ServiceDefinition, version = 1): Readers["fits"][number] {
  return { definition, version, fingerprint: fingerprint(definition) };
}

describe("a service that changes", () => {
  const wide = service("model", { features: [spend] });
  const narrow = service("model", { features: [spend.pick("payments_1h")] });

  it("breaks those who read what its vector loses, and says so by name", () => {
    const hook = webhook("hook", { url: "https://example.com/hook" });
    const watching = alert("drifted", { on: "drift", service: "model", feature: "mean_amount_1h", to: [hook] });
    const other = alert("steady", { on: "drift", service: "model", feature: "payments_1h", to: [hook] });
    const readers: Readers = {
      ...NOBODY,
      fits: [fitOf(wide, 3)],
      models: [
        { service: "model", model: "forest", features: ["payments_1h", "mean_amount_1h"] },
        { service: "model", model: "line", features: ["payments_1h"] },
      ],
    };
    expect(breaksOf(review([narrow], [...all, hook, watching, other], readers), "model")).toEqual([
      "service model: its vector loses mean_amount_1h",
      "fit model fit 3: it is fitted to what the service no longer is, and is not used any more",
      "model forest, which reads model: it uses mean_amount_1h",
      "alert drifted: it watches mean_amount_1h, and would never fire for it",
    ]);
  });

  it("breaks nothing where it gains a value behind the others, and does where values move or are others", () => {
    expect(breaksOf(review([wide], [user, payments, spend, narrow]), "model")).toEqual([]);
    const turned = service("model", { features: [spend.pick("mean_amount_1h", "payments_1h")] });
    expect(breaksOf(review([turned], all), "model")).toEqual([
      "service model: values stand in other places of its vector: whoever reads them by place reads others",
    ]);
    const next = view("spend", {
      version: 2,
      entity: user,
      source: payments,
      features: { payments_1h: count().over("2h"), mean_amount_1h: mean("amount").over("1h") },
    });
    expect(breaksOf(review([next, service("model", { features: [next] })], all), "model")).toEqual([
      "service model: payments_1h is read from spend@2.payments_1h, not from spend@1.payments_1h",
      "service model: mean_amount_1h is read from spend@2.mean_amount_1h, not from spend@1.mean_amount_1h",
    ]);
  });

  it("gives the units of experiments that serve it other values, and says of which", () => {
    const experiments = [
      { name: "trial", serves: ["other@1", "model@1"] },
      { name: "another", serves: ["model@2"] },
    ];
    const reviewed = review([narrow], all, { ...NOBODY, experiments });
    expect(reviewed.changes[0]!.breaks).toContainEqual({
      effect: "differs",
      kind: "experiment",
      name: "trial",
      why: "it serves model@1, so its units are served other values from then on",
    });
    expect(breaksOf(reviewed, "model").filter((text) => text.startsWith("experiment"))).toHaveLength(1);
  });

  it("has vectors refused where it is fitted, until it is fitted again", () => {
    const scaled = (names: object): ServiceDefinition =>
      service("model", { features: [spend], transform: names as never });
    const [before, after] = [
      scaled({ scaled: standardize("payments_1h") }),
      scaled({ scaled: standardize("mean_amount_1h") }),
    ];
    const registered = [user, payments, spend, before];
    const [refused] = breaksOf(review([after], registered, { ...NOBODY, fits: [fitOf(before)] }), "model");
    expect(refused).toContain("vectors are refused until the service is fitted again");
    const [taken] = breaksOf(
      review([after], registered, { ...NOBODY, fits: [fitOf(after), fitOf(before, 2)] }),
      "model",
    );
    expect(taken).toContain("an earlier fit, of the definition as it would be, takes its place");
  });
});

it("says of what would be refused all that is computed from it", () => {
  const reviewed = review([changedSource({ allowNonFinite: true })], all);
  expect(breaksOf(reviewed, "payments").map((text) => text.split(":")[0])).toEqual(
    expect.arrayContaining(["view spend@1", "service model"]),
  );
});

it("lists what is registered and not in the code, with who reads it, and changes nothing of it", () => {
  const hook = webhook("hook", { url: "https://example.com/hook" });
  const again = retrain("again", {
    on: "drift",
    service: "model",
    to: [hook],
    labels: { every: "1h", range: "30d" },
  } as never);
  const registered = [...all, hook, again];
  const { removed, changes } = review([user, payments], registered, {
    ...NOBODY,
    models: [{ service: "model", model: "forest", features: [] }],
  });
  expect(removed.map(({ kind, name, readBy }) => [`${kind} ${name}`, ...readBy])).toEqual(
    expect.arrayContaining([
      ["view spend@1", "service model", "model forest (reads model)"],
      ["service model", "retrain again", "model forest (reads model)"],
      ["webhook hook", "retrain again"],
      ["retrain again"],
    ]),
  );
  expect(removed).toHaveLength(4);
  expect(changes.every(({ change }) => change === "unchanged")).toBe(true);
});

it("tells code that was registered once and has been replaced since", () => {
  const newer = service("model", { features: [spend.pick("payments_1h")] });
  const replaced = { name: "model", fingerprint: fingerprint(model), definition: toData(model) };
  const history = [{ at: APPLIED_AT, changes: [], replaced: [replaced] }];
  expect(review([model], [user, payments, spend, newer], NOBODY, history).drift).toMatchObject([
    { kind: "behind", name: "service model", message: expect.stringContaining(APPLIED_AT) },
  ]);
  expect(review([newer], [user, payments, spend, newer], NOBODY, history).drift).toEqual([]);
  expect(review([newer], [user, payments, spend, model], NOBODY, history).drift).toEqual([]);
});

it("has one digest for definitions of one meaning and text, whatever their order", () => {
  expect(definitionsDigest([...all])).toBe(definitionsDigest([...all].toReversed()));
  expect(definitionsDigest(all)).not.toBe(definitionsDigest(all.slice(1)));
  const described = { ...spend, description: "other" } as Definition;
  expect(definitionsDigest([described])).not.toBe(definitionsDigest([spend]));
});

it("says who a new version moves, where no alias says what the name means", () => {
  const second = service("model", { version: 2, features: [spend] });
  const [moved] = review([second], all).changes[0]!.breaks;
  expect(moved).toMatchObject({ effect: "differs", kind: "service", name: "model" });
  expect(moved!.why).toContain("first onefold promote model@1");
  const prod = { kind: "service", name: "model", alias: "prod", version: 1 } as const;
  const readers = { ...NOBODY, aliases: [prod] };
  expect(review([second], all, readers).changes[0]!.breaks).toEqual([]);
  expect(review([service("other", { features: [spend] })], all).changes[0]!.breaks).toEqual([]);
  const { removed } = review([user, payments, spend, second], all, readers);
  expect(removed).toMatchObject([{ kind: "service", name: "model", readBy: ["alias model@prod"] }]);
});
