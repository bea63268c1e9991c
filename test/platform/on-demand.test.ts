/**
 * On-demand views through the whole house: the same function at request time, in a training row and in the
 * audit, to the bit.
 */
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { entity } from "../../src/define/entity.ts";
import { count, mean, onDemand, service, stream, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 3);
const START = parseMicros("2026-03-01T00:00:00Z");
const MINUTE = 60_000_000;

const user = entity("user", { user_id: t.string() });
const merchant = entity("merchant", { merchant_id: t.string() });
const payments = stream("payments", {
  columns: {
    payment_id: t.string(),
    user_id: t.string(),
    merchant_id: t.string(),
    paid_at: t.timestamp(),
    amount: t.float64(),
  },
  eventTime: "paid_at",
  id: "payment_id",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: { payments_1h: count().over("1h"), mean_1d: mean("amount").over("1d") },
});
const takings = view("takings", {
  entity: merchant,
  source: payments,
  features: { usual: mean("amount").over({ last: 5 }) },
});
const unusual = onDemand("unusual", {
  inputs: [spending, takings],
  request: { amount: t.float64(), channel: t.string().nullable(), at_hour: t.int64().nullable() },
  outputs: {
    ratio: t.float64(),
    label: t.string(),
    hours: t.float64(),
    noise: t.float64(),
    parts: t.array(t.float64()),
  },
  compute: ({ mean_1d, usual, payments_1h, amount, channel, at_hour }, { asOf, random }) => {
    if (channel === "boom") throw new Error("no such channel");
    return {
      ratio: mean_1d === null || usual === null ? null : (amount / mean_1d) * Math.sqrt(usual) + payments_1h / 3,
      label: channel === null ? null : channel.toUpperCase(),
      hours: (asOf / 3_600_000_000) % 24,
      noise: random(),
      parts: [amount / 7, mean_1d, at_hour],
    };
  },
});
const fraud = service("fraud", { features: [spending.pick("payments_1h"), unusual] });
const definitions = [user, merchant, payments, spending, takings, unusual, fraud];

let folder: string;
let clock: ReplayClock;
let platform: Platform;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  clock = new ReplayClock(START);
  platform = await open();
  await platform.apply(definitions);
});

afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

function open(): Promise<Platform> {
  return openPlatform({ dataDir: join(folder, "data"), clock, definitions, servingLogSampleRate: 1 });
}

function at(minutes: number): Micros {
  return (START + minutes * MINUTE) as Micros;
}

interface Asked {
  readonly entities: { readonly user_id: string; readonly merchant_id: string };
  readonly request: { readonly amount: number; readonly channel: string | null; readonly at_hour: number | null };
  readonly asOf: Micros;
  readonly features: Readonly<Record<string, unknown>>;
  readonly token: string;
}

/** Random payments, and vectors in between. */
async function serveRandomly(steps: number): Promise<Asked[]> {
  console.log(`payments and requests are random by seed ${SEED} (ONEFOLD_SEED)`);
  const random = new SeededRandom(SEED);
  const asked: Asked[] = [];
  const person = (): string => `u${random.integer(1, 4)}`;
  const shop = (): string => `m${random.integer(1, 3)}`;
  for (let step = 0; step < steps; step++) {
    clock.advanceTo(at(step * 7));
    const amount = random.integer(1, 100_000) / 97;
    const late = random.oneIn(4) ? random.integer(1, 90) : 0;
    await platform.push("payments", [
      {
        payment_id: `p${step}`,
        user_id: person(),
        merchant_id: shop(),
        paid_at: { micros: at(step * 7 - late) },
        amount,
      },
    ]);
    clock.advanceTo((at(step * 7) + random.integer(1, 400_000_000)) as Micros);
    const entities = { user_id: person(), merchant_id: shop() };
    const request = {
      amount: random.integer(1, 100_000) / 91,
      channel: random.pick([null, "", "web", "007", "boom"]),
      at_hour: random.oneIn(3) ? null : random.integer(0, 23),
    };
    const { features, metadata } = await platform.vector("fraud", entities, { request, token: true });
    const asOf = parseMicros(String(metadata["as_of"]));
    asked.push({ entities, request, asOf, features, token: String(metadata["token"]) });
  }
  return asked;
}

async function writeLabels(asked: readonly Asked[]): Promise<string> {
  const path = join(folder, "labels.csv");
  const cell = (value: unknown): string => (value === null ? "" : `"${String(value)}"`);
  const rows = asked.map(({ entities, request, asOf, token }) =>
    [
      entities.user_id,
      entities.merchant_id,
      formatMicros(asOf),
      token,
      request.amount,
      cell(request.channel),
      request.at_hour ?? "",
    ].join(","),
  );
  await writeFile(path, ["user_id,merchant_id,t,token,amount,channel,at_hour", ...rows, ""].join("\n"));
  return path;
}

describe("on-demand views", () => {
  it("give a training row the very bits that were served, as known and as served, and the audit agrees", async () => {
    const asked = await serveRandomly(120);
    const labels = await writeLabels(asked);
    await platform.settle();
    for (const knowledge of ["as-known", "as-served"] as const) {
      const set = await platform.train({
        service: "fraud",
        labels,
        knowledge,
        boundary: "inclusive",
        allowAfterLog: true,
      });
      expect(set.columns.map((column) => column.name)).toEqual(Object.keys(asked[0]!.features));
      asked.forEach(({ features }, row) => {
        const trained = Object.fromEntries(set.columns.map((column) => [column.name, column.value(row)]));
        expect(trained, `row ${row}, ${knowledge}`).toEqual(features);
      });
      expect(set.manifest.onDemandViews).toEqual([
        { name: "unusual", version: 1, fingerprint: platform.registry.onDemandViews()[0]!.fingerprint },
      ]);
      expect(set.manifest.spine.requestColumns).toEqual(["amount", "channel", "at_hour"]);
      const failures = set.manifest.features.find((one) => one.name === "noise")!.statuses["ERROR"];
      expect(failures).toBe(asked.filter(({ request }) => request.channel === "boom").length);
    }
    const report = await platform.audit();
    // three features are read for every vector, six values are answered
    expect(report).toMatchObject({ vectors: asked.length, compared: asked.length * 9, mismatched: 0, clean: true });
  });

  it("are found out by the audit where a logged value is not what its function gives", async () => {
    await serveRandomly(20);
    await platform.close();
    const log = join(folder, "data", "serving-log");
    const [segment] = await readdir(log);
    const lines = (await readFile(join(log, segment!), "utf8")).trim().split("\n");
    const changed = JSON.parse(lines[7]!) as { computed: { values: number[]; statuses: number[] } };
    changed.computed.values[3] = 12.25;
    changed.computed.statuses[3] = 0;
    await writeFile(
      join(log, segment!),
      `${[...lines.slice(0, 7), JSON.stringify(changed), ...lines.slice(8)].join("\n")}\n`,
    );
    platform = await open();
    const report = await platform.audit();
    expect(report).toMatchObject({ mismatched: 1, missing: 0, clean: false });
    expect(report.firstMismatches[0]).toMatchObject({
      kind: "computed",
      view: "unusual@1",
      feature: "hours",
      served: 12.25,
      explanation: expect.stringContaining("not pure"),
    });
  });

  it("are audited by the service as it was when it served", async () => {
    await serveRandomly(10);
    const narrower = service("fraud", { features: [unusual.pick("ratio")] });
    await platform.apply([...definitions.slice(0, -1), narrower]);
    const { features } = await platform.vector(
      "fraud",
      { user_id: "u1", merchant_id: "m1" },
      { request: { amount: 1 } },
    );
    expect(Object.keys(features)).toEqual(["ratio"]);
    expect(await platform.audit()).toMatchObject({ vectors: 11, missing: 0, clean: true });
  });

  it("say in the metadata where a value comes from, how old it is, and why there is none", async () => {
    clock.advanceTo(at(10));
    await platform.push("payments", [
      { payment_id: "a", user_id: "ana", merchant_id: "m", paid_at: { micros: at(2) }, amount: 10 },
      { payment_id: "b", user_id: "ben", merchant_id: "m", paid_at: { micros: at(9) }, amount: 30 },
    ]);
    const entities = { user_id: "ana", merchant_id: "m" };
    const answer = await platform.vector("fraud", entities, {
      request: { amount: 5, channel: "boom" },
      metadata: "full",
    });
    expect(answer.features).toMatchObject({ payments_1h: 1, ratio: null, noise: null });
    expect(answer.metadata).toMatchObject({
      missing_features: ["ratio", "label", "hours", "noise", "parts"],
      features: {
        payments_1h: { status: "PRESENT", view: "spending@1", exact: true, error: 0 },
        ratio: {
          status: "ERROR",
          code: "ON_DEMAND_FAILED",
          message: "no such channel",
          view: "unusual@1",
          event_time: "2026-03-01T00:02:00Z",
          exact: false,
          error: null,
        },
      },
    });
  });

  it("tell the operator what they throw, once for each message, and count it all", async () => {
    const strict = onDemand("strict", {
      inputs: [],
      request: { amount: t.float64() },
      outputs: { left: t.float64() },
      onError: "fail",
      compute: () => {
        throw new Error("never works");
      },
    });
    await platform.apply([...definitions, strict, service("careful", { features: [strict] })]);
    const told: unknown[] = [];
    const server = await platform.serve({ port: 0, onError: (error) => told.push(error) });
    try {
      const ask = async (name: string, body: object): Promise<Response> =>
        fetch(`${server.url}/services/${name}/vector`, { method: "POST", body: JSON.stringify(body) });
      const entities = { user_id: "u1", merchant_id: "m1" };
      for (let i = 0; i < 5; i++) {
        expect((await ask("fraud", { entities, request: { amount: 1, channel: "boom" } })).status).toBe(200);
        expect((await ask("careful", { entities: {}, request: { amount: 1 } })).status).toBe(500);
      }
      await ask("fraud", { entities, request: { amount: 1, channel: "web" } });
      expect(told).toMatchObject([
        {
          code: "ON_DEMAND_FAILED",
          message: "on-demand view unusual@1: no such channel",
          where: expect.stringMatching(/on-demand\.test\.ts:\d+$/) as string,
        },
        { code: "ON_DEMAND_FAILED", message: "on-demand view strict@1: never works" },
      ]);
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      expect(metrics).toContain('onefold_on_demand_errors_total{view="unusual@1",code="ON_DEMAND_FAILED"} 5\n');
      expect(metrics).toContain('onefold_on_demand_errors_total{view="strict@1",code="ON_DEMAND_FAILED"} 5\n');
    } finally {
      await server.close();
    }
  });

  it("take one request for many entities, or one each", async () => {
    const entities = ["u1", "u2"].map((user_id) => ({ user_id, merchant_id: "m1" }));
    const ask = async (request: unknown): Promise<unknown[]> => {
      const answer = await platform.request("POST", "/services/fraud/vectors", { entities, request });
      return (answer["results"] as { features: Record<string, unknown> }[]).map(({ features }) => features["label"]);
    };
    expect(await ask({ amount: 1, channel: "web" })).toEqual(["WEB", "WEB"]);
    expect(await ask([{ amount: 1, channel: "web" }, { amount: 1 }])).toEqual(["WEB", null]);
    await expect(ask([{ amount: 1 }])).rejects.toMatchObject({ code: "REQUEST_INVALID", where: "request" });
    await expect(ask([{ amount: 1 }, {}])).rejects.toMatchObject({
      code: "NULL_NOT_ALLOWED",
      where: "entities[1] request.amount",
    });
  });

  it.each([
    ["data that is missing", {}, "NULL_NOT_ALLOWED", "request.amount"],
    ["data of another type", { amount: "much" }, "TYPE_MISMATCH", "request.amount"],
    ["a number that is not finite", { amount: Number.NaN }, "NUMBER_NOT_FINITE", "request.amount"],
    ["data that nothing reads", { amount: 1, chanel: "web" }, "REQUEST_INVALID", "request.chanel"],
    ["what is no object", [1], "REQUEST_INVALID", "request"],
  ])("refuse %s", async (_, request, code, where) => {
    const asked = platform.vector("fraud", { user_id: "u1", merchant_id: "m1" }, { request: request as never });
    await expect(asked).rejects.toMatchObject({ code, where });
  });

  it("says of data that is not finite what to send, and of no source", async () => {
    const amount = platform.vector("fraud", { user_id: "u1", merchant_id: "m1" }, { request: { amount: "NaN" } });
    await expect(amount).rejects.toMatchObject({
      hint: "request data is finite: send a number, as it may not be null",
    });
  });

  it("of no view at all need no entity, in training either", async () => {
    const hour = onDemand("hour", {
      inputs: [],
      request: { zone_minutes: t.int64() },
      outputs: { local_hour: t.int64() },
      compute: ({ zone_minutes }, { asOf }) => ({
        local_hour: Math.floor((asOf / 60_000_000 + zone_minutes) / 60) % 24,
      }),
    });
    const clockService = service("clock", { features: [hour] });
    await platform.apply([...definitions, hour, clockService]);
    clock.advanceTo(at(90));
    const { features } = await platform.vector("clock", {}, { request: { zone_minutes: 120 } });
    expect(features).toEqual({ local_hour: 3 });
    const labels = join(folder, "hours.csv");
    await writeFile(labels, `t,zone_minutes\n${formatMicros(at(90))},120\n`);
    const set = await platform.train({ service: "clock", labels });
    expect(set.columns[0]!.value(0)).toBe(3);
    expect((await platform.audit()).clean).toBe(true);
  });

  it("train on label rows whose request data is right, and on no others", async () => {
    await serveRandomly(3);
    await platform.settle();
    const train = async (header: string, row: string): Promise<unknown> => {
      const path = join(folder, "bad.csv");
      await writeFile(path, `user_id,merchant_id,t,${header}\nu1,m1,${formatMicros(START)},${row}\n`);
      return platform.train({ service: "fraud", labels: path, boundary: "inclusive" });
    };
    await expect(train("amount,channel", "1,web")).rejects.toMatchObject({
      code: "SPINE_INVALID",
      message: expect.stringContaining("lack at_hour"),
    });
    await expect(train("amount,channel,at_hour", ",web,1")).rejects.toMatchObject({
      code: "SPINE_INVALID",
      where: expect.stringContaining("row 1"),
    });
    await expect(train("amount,channel,at_hour", "1,web,1.5")).rejects.toMatchObject({ code: "SPINE_INVALID" });
    await expect(train("amount,channel,at_hour", "much,web,1")).rejects.toMatchObject({ code: "SPINE_INVALID" });
    const set = (await train("amount,channel,at_hour", "1,007,")) as Awaited<ReturnType<Platform["train"]>>;
    expect(set.columns.find((column) => column.name === "label")!.value(0)).toBe("007");
  });

  it("fail the vector, and the training set with its row, where they say so", async () => {
    const strict = onDemand("strict", {
      inputs: [spending.pick("payments_1h")],
      request: { amount: t.float64() },
      outputs: { left: t.float64() },
      onError: "fail",
      compute: ({ amount }) => {
        if (amount < 0) throw new Error("an amount below zero");
        return { left: amount };
      },
    });
    const careful = service("careful", { features: [strict] });
    await platform.apply([...definitions, strict, careful]);
    await serveRandomly(2);
    await platform.settle();
    const ask = (amount: number): Promise<unknown> =>
      platform.vector("careful", { user_id: "u1" }, { request: { amount } });
    await ask(1);
    await expect(ask(-1)).rejects.toMatchObject({
      code: "ON_DEMAND_FAILED",
      message: expect.stringContaining("an amount below zero"),
      where: expect.stringMatching(/on-demand\.test\.ts:\d+$/),
    });
    const labels = join(folder, "careful.csv");
    await writeFile(labels, `user_id,t,amount\nu1,${formatMicros(START)},1\nu1,${formatMicros(START)},-1\n`);
    await expect(platform.train({ service: "careful", labels })).rejects.toMatchObject({
      code: "ON_DEMAND_FAILED",
      where: expect.stringContaining("label row 2"),
    });
    expect((await platform.audit()).clean).toBe(true);
  });

  it("are neither previewed nor explained: what to do instead is said", async () => {
    const said = {
      code: "VIEW_UNKNOWN",
      message: expect.stringMatching(/^unusual@1 is an on-demand view/) as string,
      where: expect.stringMatching(/on-demand\.test\.ts:\d+$/) as string,
      hint: expect.stringMatching(/expectOnDemand.*onefold get.*spending@1, takings@1/) as string,
    };
    await expect(async () => platform.preview({ view: "unusual" })).rejects.toMatchObject(said);
    await expect(async () => platform.preview({ view: "unusual", definitions })).rejects.toMatchObject(said);
    await expect(async () => platform.preview({ view: "unusual", version: 1 })).rejects.toMatchObject(said);
    await expect(async () => platform.explain({ view: "unusual", feature: "ratio", key: "u1" })).rejects.toMatchObject(
      said,
    );
    await expect(async () => platform.preview({ view: "unusuall" })).rejects.toMatchObject({
      message: 'there is no view "unusuall"',
    });
  });

  it("refuse to be served by code that is not what was registered", async () => {
    await platform.close();
    platform = await openPlatform({
      dataDir: join(folder, "data"),
      clock,
      definitions: [user],
      servingLogSampleRate: 1,
    });
    await expect(
      platform.vector("fraud", { user_id: "u1", merchant_id: "m1" }, { request: { amount: 1 } }),
    ).rejects.toMatchObject({ code: "FINGERPRINT_MISMATCH" });
  });

  it("are left out of a serving log line that was torn", async () => {
    await serveRandomly(3);
    await platform.close();
    const log = join(folder, "data", "serving-log");
    const [segment] = await readdir(log);
    await appendFile(join(log, segment!), '{"service":"fraud","keys":{');
    platform = await open();
    expect(await platform.audit()).toMatchObject({ vectors: 3, clean: true });
  });
});
