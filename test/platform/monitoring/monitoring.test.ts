/** Monitoring of a whole platform over HTTP: alerts, silences, importances, and what the registry tells of rules. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  alert,
  command,
  count,
  type Definition,
  entity,
  onDemand,
  openPlatform,
  type Platform,
  type PlatformOptions,
  service,
  standardize,
  stream,
  sum,
  t,
  view,
  webhook,
} from "../../../src/index.ts";
import { AlertStore } from "../../../src/monitor/alerts/alert-store.ts";
import { testNotice } from "../../../src/monitor/alerts/notice.ts";
import { featureImportances } from "../../../src/platform/monitoring/feature-importance.ts";
import { until } from "../../monitor/alerts/receiver.ts";

const shop = entity("shop", { shop: t.string() });
const orders = stream("orders", {
  columns: { shop: t.string(), at: t.timestamp(), amount: t.float64() },
  eventTime: "at",
});
const sales = view("sales", {
  entity: shop,
  source: orders,
  version: 1,
  features: { orders_1h: count().over("1h"), amount_1h: sum("amount").over("1h") },
});
const mean = onDemand("mean", {
  inputs: [sales],
  version: 1,
  outputs: { mean_1h: t.float64() },
  compute: ({ amount_1h, orders_1h }) => ({ mean_1h: orders_1h === 0 ? null : Number(amount_1h) / Number(orders_1h) }),
});
const model = service("model", {
  features: [sales, mean],
  transform: { scaled: standardize("amount_1h") },
});

let dataDir: string;
let platform: Platform;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "onefold-monitoring-"));
});
afterEach(async () => {
  await platform.close();
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
});

async function open(definitions: readonly Definition[], options: Partial<PlatformOptions> = {}): Promise<string> {
  const all = [shop, orders, sales, mean, model, ...definitions];
  platform = await openPlatform({ dataDir, definitions: all, ...options });
  await platform.apply(all);
  return (await platform.serve({ port: 0 })).url;
}

async function call(method: string, url: string, body?: object): Promise<{ status: number; body: any }> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers }) });
  return { status: response.status, body: await response.json() };
}

describe("monitoring over HTTP", () => {
  it("lists alerts, takes silences and ends them, and leaves no file while nothing happens", async () => {
    const url = await open([], { alerts: { everyMicros: 20_000 } });
    const evaluatedAt = async (): Promise<unknown> => (await call("GET", `${url}/alerts`)).body.evaluated_at;
    await until(async () => (await evaluatedAt()) !== null, "the first round");
    expect((await call("GET", `${url}/alerts`)).body).toMatchObject({
      alerts: [],
      silences: [],
      undelivered: [],
      trainings: [],
    });
    expect(await readdir(dataDir)).not.toContain("monitor");
    const asked = { rule: "default_drift", view: "sales@1", until: "2h", by: "me" };
    const made = await call("POST", `${url}/alerts/silences`, asked);
    expect(made).toMatchObject({
      status: 201,
      body: { rule: "default_drift", subject: { view: "sales@1" }, by: "me" },
    });
    expect((await call("GET", `${url}/alerts`)).body.silences).toEqual([made.body]);
    expect(await call("DELETE", `${url}/alerts/silences/${made.body.id}`)).toMatchObject({ status: 200 });
    expect(await call("DELETE", `${url}/alerts/silences/${made.body.id}`)).toMatchObject({
      status: 404,
      body: { error: { code: "SILENCE_UNKNOWN" } },
    });
    expect(await call("POST", `${url}/alerts/silences`, { until: "2h" })).toMatchObject({ status: 400 });
    const { body } = await call("GET", `${url}/alerts/history?limit=1&event=unsilenced`);
    expect(body.events).toMatchObject([{ sequence: 2, event: "unsilenced", rule: "default_drift" }]);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('onefold_alerts_firing{rule="default_drift",severity="warning"} 0');
  });

  it("judges none where it is told so", async () => {
    const url = await open([], { alerts: false });
    expect(await call("GET", `${url}/alerts`)).toMatchObject({
      status: 409,
      body: { error: { code: "ALERTS_NOT_OFFERED" } },
    });
  });

  it("shows rules and destinations, and no address that may be a secret", async () => {
    const slack = webhook("slack", { url: "https://hooks.example.com/T0/B0/secret", secret: { env: "SIGN" } });
    const page = command("page", { run: ["/bin/page"] });
    const url = await open([
      slack,
      page,
      alert("moves", { on: "drift", service: model, above: 0.3, to: [slack, page] }),
    ]);
    const { body } = await call("GET", `${url}/registry`);
    expect(body.destinations).toMatchObject([
      { kind: "webhook", name: "slack", host: "hooks.example.com", secret_env: "SIGN" },
      { kind: "command", name: "page", run: ["/bin/page"] },
    ]);
    expect(JSON.stringify(body)).not.toContain("B0/secret");
    expect((await call("GET", `${url}/registry/alert_rules/moves`)).body).toMatchObject({
      on: ["drift"],
      services: ["model"],
      bound: { side: "above", value: 0.3 },
      windows: 2,
      cooldown: "1h",
      is_off: false,
      to: ["slack", "page"],
    });
    expect(await call("GET", `${url}/registry/destinations/slak`)).toMatchObject({
      status: 404,
      body: { error: { code: "DEFINITION_UNKNOWN", candidates: ["slack"] } },
    });
  });
});

describe("an entity that is forgotten", () => {
  const KEPT = { kind: "skew" as const, subject: { view: "sales@1" }, measure: "mismatches", value: 1, threshold: 0 };
  const FOUND = { ...KEPT, samples: 1, detail: { worst: ["the-corner-shop"] } };
  const measured = { ...FOUND, pValue: null, adjustedPValue: null };

  /** As a server leaves it that was told of the entity by a part of monitoring. */
  async function fill(): Promise<void> {
    const store = await AlertStore.open(dataDir, 0);
    const fires = { rule: "default_skew", key: "k", phase: "firing" as const, isTold: true, measured };
    const times = { sinceMicros: 1, seenMicros: Date.now() * 1000, toldMicros: 1, beyondSinceMicros: 1, windows: 1 };
    const state = { ...fires, ...times, countedEndMicros: 1, wellSinceMicros: null };
    const found = [{ ...FOUND, p_value: null, adjusted_p_value: null }];
    const notice = { ...testNotice("1", 0), count: 1, found };
    const nextMicros = (Date.now() + 30 * 60_000) * 1000;
    const waiting = { notice, destination: "gone", chain: "x", createdMicros: 0, attempts: 0, nextMicros };
    await store.change(1, (content) => ({
      content: {
        ...content,
        memory: { ...content.memory, states: [state] },
        outbox: [{ ...waiting, lastError: null }],
      },
      events: [
        { event: "firing", rule: "default_skew", detail: { ...FOUND } },
        { event: "undelivered", rule: "default_skew", detail: { to: "gone", notice } },
      ],
    }));
  }

  /** Files of the folder in which its name stands; but for pages that LMDB has freed, as docs/forgetting.md says. */
  async function traces(): Promise<string[]> {
    const names = await readdir(dataDir, { recursive: true, withFileTypes: true });
    const files = names
      .filter((one) => one.isFile() && one.name !== "data.mdb")
      .map((one) => join(one.parentPath, one.name));
    const texts = await Promise.all(files.map((file) => readFile(file, "latin1")));
    return files.filter((_, i) => texts[i]!.includes("the-corner-shop"));
  }

  it("is in no detail of an alert any more, which stays as it was otherwise", async () => {
    await fill();
    const url = await open([]);
    await platform.push("orders", [{ shop: "the-corner-shop", at: new Date().toISOString(), amount: 1 }]);
    expect(await traces()).not.toEqual([]);
    await platform.forget("shop", ["the-corner-shop"]);
    await platform.settle();
    expect(await traces()).toEqual([]);
    expect((await call("GET", `${url}/alerts`)).body).toMatchObject({
      alerts: [{ rule: "default_skew", phase: "firing", found: { ...KEPT, detail: {} } }],
      undelivered: [{ notice_id: "1" }],
    });
    expect((await call("GET", `${url}/alerts/history`)).body.events).toMatchObject([
      { event: "undelivered", detail: { notice: { found: [{ ...KEPT, detail: {} }] } } },
      { event: "firing", detail: { ...KEPT, detail: {} } },
    ]);
  });

  it("is gone from there, too, where the forgetting was cut short before", async () => {
    await open([]);
    await platform.close();
    await fill();
    await writeFile(join(dataDir, "forget.json"), JSON.stringify({ entity: "shop", key: "the-corner-shop" }));
    await open([]);
    expect(await traces()).toEqual([]);
    expect(await readdir(dataDir)).not.toContain("forget.json");
  });
});

describe("importances", () => {
  it("are kept by model and version, the newest first, and refused for names that the vector has not", async () => {
    const url = `${await open([])}/services/model/importances`;
    const report = (version: number, importances: object, name = "trees"): Promise<{ status: number; body: any }> =>
      call("POST", url, { version, model: name, method: "gain", importances });
    expect(await report(1, { orders_1h: 1 })).toMatchObject({ status: 201, body: { service: "model", version: 1 } });
    await report(2, { orders_1h: 2, scaled: 1 });
    await report(1, { orders_1h: 3 });
    const { body } = await call("GET", url);
    expect(body.reports.map((one: any) => [one.version, one.importances])).toEqual([
      [1, { orders_1h: 3 }],
      [2, { orders_1h: 2, scaled: 1 }],
    ]);
    expect(await report(1, { ordrs_1h: 1 })).toMatchObject({
      status: 400,
      body: { error: { code: "REQUEST_INVALID", where: "body/importances/ordrs_1h", candidates: ["orders_1h"] } },
    });
    expect(await report(1, {})).toMatchObject({ status: 400 });
    expect(await call("GET", url.replace("model", "modle"))).toMatchObject({ status: 404 });
  });

  it("count for the features that a transformation or an on-demand view is made of", async () => {
    const url = `${await open([])}/services/model/importances`;
    await call("POST", url, { importances: { orders_1h: 2, scaled: 4, mean_1h: 2 } });
    const importances = (): Promise<ReadonlyMap<string, number>> => featureImportances(dataDir, platform.registry);
    // scaled is amount_1h, mean_1h is half of each.
    expect(Object.fromEntries(await importances())).toEqual({
      "sales@1.orders_1h": 0.25 + 0.125,
      "sales@1.amount_1h": 0.5 + 0.125,
    });
    // Of several models the largest share counts, of each model the newest report.
    await call("POST", url, { model: "other", version: 1, importances: { orders_1h: 1, amount_1h: 0 } });
    expect((await importances()).get("sales@1.orders_1h")).toBe(1);
    await call("POST", url, { model: "other", version: 2, importances: { orders_1h: 0, amount_1h: -1 } });
    expect(Object.fromEntries(await importances())).toEqual({ "sales@1.orders_1h": 0.375, "sales@1.amount_1h": 1 });
  });
});
