/**
 * Answers that are kept and given again at the doors: at every moment the bits that a read gives.
 *
 * ONEFOLD_SEED=n runs other events, reads and times.
 */
import { Redis } from "ioredis";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import {
  col,
  count,
  decayedSum,
  entity,
  last,
  mean,
  onDemand,
  service,
  standardize,
  stream,
  sum,
  t,
  timeSinceLast,
  view,
} from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { HttpServer } from "../../src/serve/http.ts";
import type { RespServer } from "../../src/serve/resp/server.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 17);
const START = parseMicros("2026-03-01T00:00:00Z");
const SECOND = 1_000_000;

const ASKED = "*4\r\n$4\r\nFGET\r\n$4\r\nboth\r\n$2\r\nu1\r\n$2\r\ns1\r\n";

const user = entity("user", { user_id: t.string() });
const shop = entity("shop", { shop_id: t.string() });
const paymentColumns = {
  payment_id: t.string(),
  user_id: t.string(),
  shop_id: t.string(),
  paid_at: t.timestamp(),
  amount: t.float64(),
};
const payments = stream("payments", { columns: paymentColumns, eventTime: "paid_at", id: "payment_id" });
const users = view("users", {
  entity: user,
  source: payments,
  ttl: "5m",
  exactEvents: 4,
  features: {
    n_10s: count().over("10s"),
    sum_1m: sum("amount").over("1m"),
    large_2m: count().where(col("amount").gt(50)).over("2m"),
    session_sum: sum("amount").over({ session: "7s", max: "10m" }),
    mean_last_5: mean("amount").over({ last: 5 }),
    latest: last("amount"),
  },
});
const shops = view("shops", {
  entity: shop,
  source: payments,
  features: { shop_sum_30s: sum("amount").over("30s"), shop_total: sum("amount") },
});
const moving = view("moving", {
  entity: user,
  source: payments,
  features: { since: timeSinceLast(), decayed: decayedSum("amount", { halfLife: "1m" }) },
});
const toMean = onDemand("to_mean", {
  inputs: [users.pick("sum_1m")],
  request: { amount: t.float64() },
  outputs: { ratio: t.float64() },
  compute: ({ sum_1m, amount }) => ({ ratio: sum_1m === null ? null : amount / sum_1m }),
});
const both = service("both", { features: [users, shops] });
const withTime = service("with_time", { features: [users.pick("n_10s"), moving] });
const computed = service("computed", { features: [toMean] });
const scaled = service("scaled", { features: [users.pick("sum_1m")], transform: { sum_1m: standardize("sum_1m") } });
const definitions = [user, shop, payments, users, shops, moving, toMean, both, withTime, computed, scaled];

let folder: string;
let clock: ReplayClock;
let platform: Platform;
let http: HttpServer;
let resp: RespServer;
let redis: Redis;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  clock = new ReplayClock(START);
  await open();
  await platform.apply(definitions);
});
afterEach(async () => {
  await close();
  await rm(folder, { recursive: true, force: true });
});

async function open(options: { keptVectorsBytes?: number; servingLogSampleRate?: number } = {}): Promise<void> {
  platform = await openPlatform({
    dataDir: join(folder, "data"),
    clock,
    definitions,
    servingLogSampleRate: 0,
    driftSampleRate: 0,
    ...options,
  });
  http = await platform.serve({ port: 0 });
  resp = await platform.serveResp({ port: 0 });
  redis = new Redis({ port: resp.port, host: "127.0.0.1", enableReadyCheck: false, disableClientInfo: true });
}

async function close(): Promise<void> {
  redis.disconnect();
  await Promise.all([http.close(), resp.close()]);
  await platform.close();
}

async function keptCount(): Promise<number> {
  const page = await (await fetch(`${http.url}/metrics`)).text();
  const counts = [...page.matchAll(/^onefold_vectors_kept_total\{.*\} (\d+)$/gm)].map((match) => Number(match[1]));
  return counts.reduce((total, each) => total + each, 0);
}

type Features = Readonly<Record<string, unknown>>;
interface Answer {
  readonly features: Features;
  readonly metadata: Readonly<Record<string, unknown>>;
}

async function overHttp(name: string, entities: Record<string, string>, request?: object): Promise<Answer> {
  const response = await fetch(`${http.url}/services/${name}/vector`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request === undefined ? { entities } : { entities, request }),
  });
  return (await response.json()) as Answer;
}

/** What the doors say of the values alone, and what a read in full gives at that moment. */
async function compare(name: string, entities: Record<string, string>, request?: object): Promise<void> {
  const options = request === undefined ? {} : { request: request as Record<string, unknown> };
  const whole = await platform.vector(name, entities, { ...options, token: true });
  const { missing_features, as_of } = whole.metadata;
  const context = request === undefined ? [] : ["CONTEXT", JSON.stringify(request)];
  const question = [name, ...Object.values(entities), ...context];
  const values = Object.values(whole.features) as (number | null)[];
  const shown = `${name} of ${JSON.stringify(entities)}`;
  const replies = (await redis.call("FGET", ...question)) as readonly (string | number | null)[];
  expect(
    replies.map((each) => (each === null ? null : Number(each))),
    shown,
  ).toEqual(values);
  expect(JSON.parse((await redis.call("FGETJSON", ...question)) as string), shown).toEqual(whole.features);
  const packed = (await redis.callBuffer("FGETPACKED", ...question)) as Buffer;
  expect(
    values.map((_, i) => (packed[8 * values.length + (i >> 3)]! & (1 << (i & 7)) ? null : packed.readDoubleLE(8 * i))),
    shown,
  ).toEqual(values);
  const answer = await overHttp(name, entities, request);
  const expected = {
    features: whole.features,
    metadata: expect.objectContaining({ missing_features, as_of }) as unknown,
  };
  expect(answer, shown).toMatchObject(expected);
  if (request !== undefined) return;
  const keys = Object.values(entities);
  const [many] = (await redis.call("FMGET", name, "1", ...keys)) as (string | number | null)[][];
  expect(
    many!.map((each) => (each === null ? null : Number(each))),
    shown,
  ).toEqual(values);
  const body = JSON.stringify({ entities: [entities] });
  const headers = { "content-type": "application/json" };
  const batch = await fetch(`${http.url}/services/${name}/vectors`, { method: "POST", headers, body });
  const { results } = (await batch.json()) as { readonly results: readonly Answer[] };
  expect(results, shown).toEqual([{ entities, ...expected }].map((each) => expect.objectContaining(each)));
}

describe("kept answers", () => {
  it("are what a read gives, whatever events come and however time passes", { timeout: 240_000 }, async () => {
    console.log(`events, reads and times are random by seed ${SEED} (ONEFOLD_SEED)`);
    const random = new SeededRandom(SEED);
    const labels = join(folder, "labels.csv");
    const person = (): string => `u${random.integer(1, 3)}`;
    const place = (): string => `s${random.integer(1, 2)}`;
    let now: number = START;
    let isFitted = false;
    for (let step = 0; step < 200; step++) {
      now += random.pick([
        0,
        1,
        1000,
        random.integer(0, SECOND),
        random.integer(0, 12 * SECOND),
        random.oneIn(40) ? 400 * SECOND : 0,
      ]);
      clock.advanceTo(now as Micros);
      if (random.oneIn(3)) {
        const late = random.oneIn(3) ? random.integer(0, 90 * SECOND) : 0;
        await platform.push("payments", [
          {
            payment_id: `p${step}`,
            user_id: person(),
            shop_id: place(),
            paid_at: { micros: now - late },
            amount: random.integer(1, 10_000) / 97,
          },
        ]);
      }
      for (let read = 0; read < 2; read++) {
        await compare("both", { user_id: person(), shop_id: place() });
        await compare("with_time", { user_id: person() });
        await compare("computed", { user_id: person() }, { amount: random.integer(1, 99) });
        if (isFitted) await compare("scaled", { user_id: person() });
      }
      if (step === 80) {
        await platform.settle();
        await writeFile(
          labels,
          `user_id,t\n${["u1", "u2", "u3"].map((id) => `${id},${new Date(START / 1000 + 60_000).toISOString()}`).join("\n")}\n`,
        );
        await platform.fit({ service: "scaled", labels, split: { share: 1 } });
        isFitted = true;
      }
      if (step === 150) {
        await close();
        await open();
      }
    }
    expect(await keptCount()).toBeGreaterThan(100);
  });

  it("change with an import that opens an epoch", async () => {
    const ask = async (): Promise<unknown> =>
      (await overHttp("both", { user_id: "u1", shop_id: "s1" })).features["latest"];
    await platform.push("payments", [
      { payment_id: "live", user_id: "u1", shop_id: "s1", paid_at: { micros: START }, amount: 5 },
    ]);
    expect([await ask(), await ask()]).toEqual([5, 5]);
    const total = async (): Promise<unknown> =>
      (await overHttp("both", { user_id: "u1", shop_id: "s1" })).features["shop_total"];
    expect(await total()).toBe(5);
    const file = join(folder, "history.csv");
    await writeFile(file, "payment_id,user_id,shop_id,paid_at,amount\nold,u1,s1,2026-02-28T23:00:00Z,7\n");
    await platform.importHistory("payments", [file]);
    expect(await total()).toBe(12);
    expect(await ask()).toBe(5);
  });

  it("see each event behind its push, also while definitions are applied", async () => {
    const visits = stream("visits", { columns: { user_id: t.string(), at: t.timestamp() }, eventTime: "at" });
    await platform.apply([user, visits]);
    const visit = (i: number): object => ({ user_id: `u${i}`, at: { micros: START } });
    await platform.push(
      "visits",
      Array.from({ length: 2000 }, (_, i) => visit(i)),
    );
    await platform.settle();
    const wider = stream("payments", {
      columns: { ...paymentColumns, note: t.string().nullable() },
      eventTime: "paid_at",
      id: "payment_id",
    });
    const visitors = view("visitors", { entity: user, source: visits, features: { visits: count() } });
    const under = { way: true };
    const applied = platform.apply([wider, visitors]).finally(() => (under.way = false));
    let pushed = 0;
    while (under.way) {
      await platform.push("payments", [
        { payment_id: `p${++pushed}`, user_id: "u1", shop_id: "s1", paid_at: { micros: START }, amount: 1 },
      ]);
      const { features } = await overHttp("both", { user_id: "u1", shop_id: "s1" });
      expect(features["shop_total"]).toBe(pushed);
    }
    await applied;
    expect(pushed).toBeGreaterThan(3);
  });

  it("are recorded each time where they are sampled, and audited", async () => {
    await close();
    await open({ servingLogSampleRate: 1 });
    await platform.push("payments", [
      { payment_id: "a", user_id: "u1", shop_id: "s1", paid_at: { micros: START }, amount: 5 },
    ]);
    for (let i = 0; i < 5; i++) {
      await overHttp("both", { user_id: "u1", shop_id: "s1" });
      await redis.call("FGET", "both", "u1", "s1");
    }
    expect(await platform.audit()).toMatchObject({ vectors: 10, clean: true });
  });

  it("are the same for clients whose heads differ, each of them counted as who it is", async () => {
    const body = JSON.stringify({ entities: { user_id: "u1", shop_id: "s1" } });
    const requests = Array.from({ length: 6 }, (_, i) => {
      const own = `traceparent: 00-${i}\r\nx-onefold-consumer: team-${i % 2}`;
      return `POST /services/both/vector HTTP/1.1\r\nHost: x\r\n${own}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    });
    const before = await keptCount();
    const answers = await said(http.port, requests.join(""));
    const features = [...answers.matchAll(/"features":(\{.*?\})/g)].map(([, each]) => each);
    expect(features).toHaveLength(6);
    expect(new Set(features).size).toBe(1);
    // The first shows that the target is asked for, and the answer to the second is kept.
    expect(await keptCount()).toBe(before + 4);
    const page = await (await fetch(`${http.url}/metrics`)).text();
    for (const consumer of ["team-0", "team-1"])
      expect(page).toContain(`onefold_consumer_vectors_total{service="both",consumer="${consumer}"} 3`);
  });

  it("take no more room than they may, and none where there is none", async () => {
    for (const keptVectorsBytes of [0, 20_000]) {
      await close();
      await open({ keptVectorsBytes });
      const before = await keptCount();
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 300; i++) await redis.call("FGET", "both", `x${i}`, "s1");
      }
      // 300 answers do not fit into 20 kB, so the round finds none of the round before
      expect(await keptCount()).toBe(before);
      if (keptVectorsBytes === 0) continue;
      for (let i = 0; i < 5; i++) await redis.call("FGET", "both", "x1", "s1");
      expect(await keptCount()).toBe(before + 4);
    }
  });

  it("are not given to those who have not said the password", async () => {
    const guarded = await platform.serveResp({ port: 0, password: "sesame" });
    try {
      const known = await said(resp.port, ASKED.repeat(3));
      expect(await said(guarded.port, ASKED)).toMatch(/^-NOAUTH /);
      const auth = "*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n";
      expect(await said(guarded.port, auth + ASKED.repeat(3))).toBe(`+OK\r\n${known}`);
    } finally {
      await guarded.close();
    }
  });

  it("are none where the answer could not be written", async () => {
    // Its entities are sent back, and nested so deeply they have no text.
    const body = `{"entities":{"user_id":"u1","shop_id":"s1","x":${"[".repeat(60_000)}${"]".repeat(60_000)}}}`;
    const headers = { "content-type": "application/json" };
    const answers: string[] = [];
    for (let i = 0; i < 3; i++) {
      const response = await fetch(`${http.url}/services/both/vector`, { method: "POST", headers, body });
      answers.push(`${response.status} ${await response.text()}`);
    }
    expect(answers[0]).toMatch(/^400 .*nested too deep/);
    expect(new Set(answers).size).toBe(1);
  });

  it("are those of the protocol that is spoken", async () => {
    await platform.push("payments", [
      { payment_id: "a", user_id: "u1", shop_id: "s1", paid_at: { micros: START }, amount: 5 },
    ]);
    const two = await said(resp.port, ASKED.repeat(2));
    const three = await said(resp.port, `*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n${ASKED.repeat(2)}`);
    expect(two.match(/\$1\r\n5\r\n/g)).not.toBeNull();
    expect(three.slice(three.indexOf("*8\r\n"))).not.toContain("$1");
    expect(three.split("*8\r\n").slice(1)).toHaveLength(2);
    expect(new Set(three.split("*8\r\n").slice(1)).size).toBe(1);
  });
});

/** All that comes back until the server has nothing more to say. */
async function said(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => (received += text));
  socket.end(bytes);
  await once(socket, "close");
  return received;
}
