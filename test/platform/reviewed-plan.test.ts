/** A plan over a platform with events: what it computes and costs, and what was fitted and reported of what it changes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { col, count, custom, entity, experiment, last, mean, service, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { reviewedPlan } from "../../src/platform/reviewed-plan.ts";
import { loadedProblems } from "../../src/registry/plan-review.ts";

const user = entity("user", { user: t.string() });
const clicks = stream("clicks", { columns: { user: t.string(), at: t.timestamp(), n: t.int64() }, eventTime: "at" });
const totals = view("totals", { entity: user, source: clicks, features: { clicks: count(), mean_n: mean("n") } });
const model = service("model", { features: [totals] });
const base = [user, clicks, totals, model];

let folder: string;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-plan-"));
  platform = await openPlatform({ dataDir: folder, definitions: base });
  await platform.apply(base);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

it("says what new views are computed from, and what that takes; not of what is not computed", async () => {
  const at = "2026-01-01T00:00:00Z";
  await platform.push(
    "clicks",
    Array.from({ length: 30 }, (_, i) => ({ user: `u${i % 3}`, at, n: i })),
  );
  await platform.settle();
  const fresh = view("fresh", { entity: user, source: clicks, features: { newest: last("n") } });
  const dev = view("draft", { version: "dev", entity: user, source: clicks, features: { newest: last("n") } });
  const other = stream("other", { columns: { user: t.string(), at: t.timestamp() }, eventTime: "at" });
  const ofOther = view("of_other", { entity: user, source: other, features: { n: count() } });
  const plan = await reviewedPlan(platform, [...base, fresh, dev, other, ofOther]);
  expect(plan.backfills).toMatchObject([
    { view: "fresh@1", cost: { events: 30, entities: 3 } },
    { view: "draft@dev", cost: { events: 30 } },
    { view: "of_other@1", cost: null, note: expect.stringContaining("source is new") },
  ]);
  expect(plan).toMatchObject({ dirty: true, refused: false, breaking: false, removed: [], drift: [] });
  await platform.apply([dev]);
  const changed = view("draft", {
    version: "dev",
    entity: user,
    source: clicks,
    features: { newest: last("n").over("1h") },
  });
  const again = await reviewedPlan(platform, [changed]);
  expect(again.backfills).toMatchObject([{ view: "draft@dev", why: "the draft changed", cost: { events: 30 } }]);
  expect((await reviewedPlan(platform, [changed], { costs: false })).backfills).toEqual([]);
});

it("knows what models have reported, and is breaking where one uses what is lost", async () => {
  await platform.monitoring.importances!.report("model", {
    version: null,
    model: "forest",
    method: "gain",
    importances: { mean_n: 1 },
  });
  const narrow = service("model", { features: [totals.pick("clicks")] });
  const plan = await reviewedPlan(platform, [narrow]);
  expect(plan.breaking).toBe(true);
  expect(plan.changes[0]!.breaks.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    "service model",
    "model forest, which reads model",
  ]);
  const removed = plan.removed.map(({ kind, name }) => `${kind} ${name}`);
  expect(removed.toSorted()).toEqual(["entity user", "stream clicks", "view totals@1"]);
});

it("names the experiments that serve what changes, and refuses it while one runs", async () => {
  const narrow = service("narrow", { features: [totals.pick("clicks")] });
  const trial = experiment("trial", { service: [model, narrow], weights: [1, 1], unit: user });
  await platform.apply([...base, narrow, trial]);
  const wider = service("narrow", { features: [totals] });
  const refused = await reviewedPlan(platform, [wider]);
  expect(refused).toMatchObject({ refused: true, breaking: false });
  expect(refused.changes[0]!.breaks).toMatchObject([{ effect: "differs", kind: "experiment", name: "trial" }]);
  await platform.experiments.stop("trial", { serve: "narrow@1", by: "ada" });
  const stopped = await reviewedPlan(platform, [wider]);
  expect(stopped).toMatchObject({ refused: false, breaking: false });
  expect(stopped.changes[0]!.breaks).toMatchObject([{ effect: "differs", kind: "experiment", name: "trial" }]);
  const other = service("model", { features: [totals.pick("clicks")] });
  expect((await reviewedPlan(platform, [other])).changes[0]!.breaks).toMatchObject([{ kind: "service" }]);
});

it("applies over the very registry that it was made of, and over no other", async () => {
  const narrow = service("model", { features: [totals.pick("clicks")] });
  const { base: planned } = await reviewedPlan(platform, [narrow]);
  await platform.apply([service("another", { features: [totals] })]);
  await expect(platform.apply([narrow], { onlyOver: planned })).rejects.toMatchObject({
    code: "PLAN_STALE",
    message: expect.stringContaining("service another"),
  });
  expect(platform.registry.service("model").definition.features).toHaveLength(2);
  await platform.apply([narrow], { onlyOver: (await reviewedPlan(platform, [narrow])).base });
  expect(platform.registry.service("model").definition.features).toHaveLength(1);
});

it("says what a server has loaded that is not what is registered", async () => {
  const counting = (by: number): any =>
    custom("counting", {
      output: t.int64(),
      empty: () => 0,
      add: by === 1 ? (n: number) => n + 1 : (n: number) => n + 2,
      read: (n: number) => n,
    });
  const viewOf = (by: number): any =>
    view("counted", { entity: user, source: clicks, features: { n: counting(by)() } as any });
  await platform.apply([viewOf(1)]);
  expect(loadedProblems(platform.registry)).toEqual([]);
  platform.registry.attachCode([viewOf(2)]);
  const drift = loadedProblems(platform.registry);
  expect(drift).toMatchObject([
    { kind: "server", name: "counted@1", message: expect.stringContaining("not the registered") },
  ]);
  expect((await reviewedPlan(platform, base, { loaded: drift })).drift).toEqual(drift);
});

it("says which table is written anew where a column becomes a float64, and what is told of it then", async () => {
  await platform.push("clicks", [{ user: "u", at: "2026-01-01T00:00:00Z", n: 1 }]);
  await platform.settle();
  const wider = stream("clicks", {
    columns: { who: t.string().was("user"), at: t.timestamp(), n: t.float64().widenedFrom(t.int64()) },
    eventTime: "at",
    require: { named: col("who").ne("") },
  });
  const plan = await reviewedPlan(platform, [wider]);
  expect(plan.rewrites).toMatchObject([{ table: "events/clicks", rows: 1, files: 1, bytes: expect.any(Number) }]);
  await platform.apply([wider]);
  expect((await reviewedPlan(platform, [wider])).rewrites).toEqual([]);
  const told = await platform.request("GET", "/registry/sources/clicks");
  expect(told["columns"]).toMatchObject([
    { name: "who", stored_as: "user", former_names: ["user"] },
    { name: "at" },
    { name: "n", type: "float64" },
  ]);
  expect(JSON.stringify(told["constraints"])).toContain("who");
});
