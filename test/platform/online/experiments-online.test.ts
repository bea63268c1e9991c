/** Experiments on servers that read from Redis: shadows are computed there, too, and their readers are readers. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  count,
  entity,
  experiment,
  type OnlineServer,
  openOnlineServer,
  openPlatform,
  type Platform,
  service,
  stream,
  sum,
  t,
  view,
} from "../../../src/index.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const describeWithRedis = await describeWhere("redis");

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), spent: t.float64() },
  eventTime: "at",
});
const totals = view("totals", { entity: user, source: visits, features: { visits: count(), spent: sum("spent") } });
const control = service("visitor", { features: [totals.pick("visits")] });
const candidate = service("visitor", { version: 2, features: [totals] });
const trial = experiment("trial", {
  service: [control],
  weights: [1],
  unit: user,
  shadow: { service: candidate, share: 1 },
});
const definitions = [user, visits, totals, control, candidate, trial];

let folder: string;
let online: string;
let owner: Platform;
const servers: OnlineServer[] = [];
let answered: number;

describeWithRedis("an experiment on servers that read from Redis", () => {
  beforeEach(async () => {
    answered = 0;
    folder = await mkdtemp(join(tmpdir(), "onefold-"));
    online = `${await shared("redis")}/?prefix=${randomUUID()}:&timeout_ms=10000`;
    owner = await openPlatform({ dataDir: folder, definitions, publish: online });
    await owner.apply(definitions);
    await owner.push("visits", [{ user_id: "ada", at: new Date(Date.now() - 1000).toISOString(), spent: 2 }]);
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
    await owner.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function open(): Promise<OnlineServer> {
    const server = await openOnlineServer({ dataDir: folder, online });
    servers.push(server);
    await expect.poll(() => ask(server).catch(() => null)).toBe(1);
    return server;
  }

  async function ask(server: OnlineServer): Promise<unknown> {
    const answer = await server.request("POST", "/services/trial/vector", { entities: { user_id: "ada" } });
    answered++;
    return (answer as { readonly features: Readonly<Record<string, unknown>> }).features["visits"];
  }

  async function compared(of: { request: OnlineServer["request"] }): Promise<number> {
    const { comparisons } = (await of.request("GET", "/experiments/trial/compare")) as {
      readonly comparisons: readonly { readonly compared: number; readonly dropped: number }[];
    };
    return comparisons.reduce((all, one) => all + one.compared + one.dropped, 0);
  }

  it("has a shadow that is compared, told by any of them of all together, and kept when they end", async () => {
    const [one, two] = [await open(), await open()];
    for (let i = 0; i < 10; i++) await ask(one);
    for (let i = 0; i < 5; i++) await ask(two);
    await expect
      .poll(async () => {
        await Promise.all([one.settle(), two.settle()]);
        return compared(two);
      })
      .toBe(answered);
    const before = answered;
    await servers.shift()!.close();
    expect(await compared(two)).toBe(before);
    expect(await compared(owner)).toBe(before);
    const { comparisons } = (await two.request("GET", "/experiments/trial/compare")) as never as {
      readonly comparisons: readonly object[];
    };
    expect(comparisons).toMatchObject([
      {
        served: "visitor@1",
        shadow: "visitor@2",
        failed: {},
        features: [{ feature: "visits", mismatched: 0, only_served: 0, only_in_shadow: 0 }],
        shadow_alone: [{ feature: "spent" }],
      },
    ]);
  });

  it("is read elsewhere, and who reads it is not taken for nobody", async () => {
    const asked = { by: "ada", dry_run: true };
    const reads = async (): Promise<unknown> => (await owner.versions.retire("visitor@1", asked)).recent_reads;
    expect(await reads()).toBeNull();
    const stopping = { serve: "visitor@1", by: "ada" };
    await owner.experiments.stop("trial", stopping);
    await expect(owner.versions.retire("trial", { by: "ada" })).resolves.toMatchObject({ retired: true });
    await expect(owner.versions.retire("visitor@1", { by: "ada" })).rejects.toThrow(/is not known here/);
    const server = await openOnlineServer({ dataDir: folder, online });
    servers.push(server);
    await server.serve({ port: 0 });
    const ask = { entities: { user_id: "ada" } };
    await expect.poll(() => server.request("POST", "/services/visitor@1/vector", ask).catch(() => null)).not.toBeNull();
    await server.settle();
    expect(await reads()).toMatchObject([{ consumer: "", reads: expect.any(Number) }]);
    await expect(owner.versions.retire("visitor@1", { by: "ada" })).rejects.toThrow(
      /somebody without a name has read it/,
    );
  });

  it("is shown with its experiment, which such a server does not step", async () => {
    const server = await open();
    const shown = await server.request("GET", "/experiments/trial");
    expect(shown).toMatchObject({ name: "trial", shadow: { service: "visitor@2", share: 1 } });
    const refused = server.request("POST", "/experiments/trial/stop", { serve: "visitor@1", by: "ada" });
    await expect(refused).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
  });
});
