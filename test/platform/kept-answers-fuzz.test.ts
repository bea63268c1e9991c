/**
 * Two platforms that are asked and told the same, byte for byte, one of which keeps answers: at both doors the same
 * comes back, whatever stands in one pipeline, however it is cut, and whatever happens in between.
 *
 * ONEFOLD_SEED=n runs other bytes, events and times; ONEFOLD_ROUNDS=n so many rounds.
 */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../../src/base/clock.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import {
  col,
  count,
  decayedSum,
  type Definition,
  entity,
  last,
  max,
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
import { command, cut, PASSWORD, Speaker } from "./pipelined-requests.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const ROUNDS = Number(process.env["ONEFOLD_ROUNDS"] ?? 12);
const START = parseMicros("2026-03-01T00:00:00Z");
const SECOND = 1_000_000;

const user = entity("user", { user_id: t.string() });
const shop = entity("shop", { shop_id: t.string() });
const payments = stream("payments", {
  columns: { user_id: t.string(), shop_id: t.string(), paid_at: t.timestamp(), amount: t.float64(), word: t.string() },
  eventTime: "paid_at",
});
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
  features: { shop_sum_30s: sum("amount").over("30s"), shop_total: sum("amount"), shop_word: last("word") },
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
const draftOf = (features: Parameters<typeof view>[1]["features"]) =>
  view("draft", { version: "dev", entity: user, source: payments, features });
const DRAFTS = [
  draftOf({ d: sum("amount") }),
  draftOf({ d: max("amount").over("20s") }),
  draftOf({ d: count().over("5s") }),
];
const BOTHS = [
  service("both", { features: [users, shops] }),
  service("both", { features: [shops, users.pick("latest")] }),
  service("both", { features: [users.pick("n_10s"), shops.pick("shop_total")] }),
];
const base = [user, shop, payments, users, shops, moving, toMean];
const services = [
  service("with_time", { features: [users.pick("n_10s"), moving] }),
  service("computed", { features: [toMean] }),
  service("scaled", { features: [users.pick("sum_1m")], transform: { sum_1m: standardize("sum_1m") } }),
  service("plain", { features: [users.pick("n_10s", "latest")] }),
];

let now: number;
const clock: Clock = { now: () => now as Micros };

interface House {
  readonly folder: string;
  readonly keptVectorsBytes: number;
  platform: Platform;
  http: HttpServer;
  resp: RespServer;
  guarded: RespServer;
}
let houses: House[] = [];
let definitions: readonly Definition[];

async function openHouse(folder: string, keptVectorsBytes: number): Promise<House> {
  const platform = await openPlatform({
    dataDir: join(folder, "data"),
    clock,
    definitions,
    servingLogSampleRate: 0,
    keptVectorsBytes,
  });
  const http = await platform.serve({ port: 0 });
  const resp = await platform.serveResp({ port: 0 });
  const guarded = await platform.serveResp({ port: 0, password: PASSWORD });
  return { folder, keptVectorsBytes, platform, http, resp, guarded };
}

async function closeHouse({ http, resp, guarded, platform }: House): Promise<void> {
  await Promise.all([http.close(), resp.close(), guarded.close()]);
  await platform.close();
}

beforeEach(() => {
  now = START;
  definitions = [...base, ...services, BOTHS[0]!, DRAFTS[0]!];
});
afterEach(async () => {
  for (const house of houses) {
    await closeHouse(house);
    await rm(house.folder, { recursive: true, force: true });
  }
  houses = [];
});

/** All that comes back for parts that are sent one after another. */
async function said(port: number, parts: readonly string[], pausesMillis: readonly number[]): Promise<string> {
  const socket = connect(port, "127.0.0.1").setNoDelay(true);
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => (received += text));
  socket.on("error", () => {});
  const closed = once(socket, "close");
  for (let i = 0; i < parts.length; i++) {
    socket.write(parts[i]!, "latin1");
    if (pausesMillis[i]! >= 0) await sleep(pausesMillis[i]);
  }
  socket.end();
  await closed;
  return received;
}

/** Without what differs from run to run; a length that hangs on it is left out, too. */
const comparable = (text: string): string =>
  text
    .replaceAll(/"latency_ms":[\d.e-]+/g, '"latency_ms":0')
    .replaceAll(/content-length: \d+/g, "")
    .replaceAll(/\$\d+\r\n(\{[^\r]*"(?:dead_letter_id|offset)":)/gi, "$1")
    .replaceAll(/"offset":\d+/g, '"offset":0')
    .replaceAll(/Date: [^\r]*/g, "");

async function keptCount({ http }: House): Promise<number> {
  const page = await (await fetch(`${http.url}/metrics`)).text();
  return [...page.matchAll(/^onefold_vectors_kept_total\{.*\} (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
}

/** A step on both, and what came of it. */
async function onBoth(step: (house: House) => Promise<unknown>): Promise<void> {
  const outcomes: string[] = [];
  for (const house of houses) {
    outcomes.push(
      await step(house).then(
        () => "done",
        (error: unknown) => String((error as { code?: unknown }).code ?? error),
      ),
    );
  }
  expect(outcomes[1]).toBe(outcomes[0]);
}

describe("answers with and without those that are kept", () => {
  it("are the same bytes, whatever is sent in one pipeline", { timeout: 60_000 + ROUNDS * 2000 }, async () => {
    console.log(`requests, events and changes are random by seed ${SEED} (ONEFOLD_SEED)`);
    const random = new SeededRandom(SEED);
    for (const bytes of [random.pick([3000, 30_000, 8_000_000]), 0]) {
      houses.push(await openHouse(await mkdtemp(join(tmpdir(), "onefold-")), bytes));
    }
    await onBoth(({ platform }) => platform.apply(definitions));
    let imports = 0;
    for (let round = 0; round < ROUNDS; round++) {
      now += random.pick([0, 0, 1, 1000, random.integer(0, SECOND), random.integer(0, 12 * SECOND)]);
      // Never back: how far ticks have taken a log's known time by then is a matter of chance.
      if (random.oneIn(15)) now += 400 * SECOND;
      const change = random.integer(0, 24);
      if (change === 0) {
        const draft = random.pick(DRAFTS);
        definitions = [...base, ...services, random.pick(BOTHS), draft];
        await onBoth(({ platform }) => platform.apply(definitions));
      } else if (change === 1) {
        const both = random.pick(BOTHS);
        await onBoth(({ platform }) => platform.apply([...base, both]));
      } else if (change === 2) {
        const labels = join(houses[0]!.folder, "labels.csv");
        const t = new Date(START / 1000 + 60_000).toISOString();
        await writeFile(labels, `user_id,t\n${["0a", "1a", "2a", "0u"].map((id) => `${id},${t}`).join("\n")}\n`);
        await onBoth(async ({ platform }) => {
          await platform.settle();
          await platform.fit({ service: "scaled", labels, split: { share: 1 } });
        });
      } else if (change === 3 && imports < 4) {
        const file = join(houses[0]!.folder, `history${imports++}.csv`);
        await writeFile(
          file,
          `user_id,shop_id,paid_at,amount,word\n0a,0s,2026-02-28T2${imports % 4}:00:00Z,${imports},w\n1a,1s,2026-02-28T23:00:00Z,7,w\n`,
        );
        await onBoth(({ platform }) => platform.importHistory("payments", [file]));
      } else if (change === 4 && round < ROUNDS - 1) {
        for (let i = 0; i < houses.length; i++) {
          const { folder, keptVectorsBytes } = houses[i]!;
          await closeHouse(houses[i]!);
          houses[i] = await openHouse(folder, keptVectorsBytes);
        }
      }
      const streams = ["0", "1", "2", "3"].slice(0, random.integer(1, 4)).map((name) => {
        const speaker = new Speaker(random, name, now);
        const door = random.pick(["resp", "resp", "guarded", "http"] as const);
        let bytes = door === "guarded" && !random.oneIn(4) ? command("AUTH", PASSWORD) : "";
        for (let i = random.integer(1, 40); i > 0; i--) {
          bytes += door === "http" ? speaker.http() : speaker.resp(door === "guarded");
        }
        return { door, bytes, ...cut(random, bytes) };
      });
      const answers: string[][] = [];
      for (const house of houses) {
        answers.push(
          await Promise.all(
            streams.map(({ door, parts, pausesMillis }) => said(house[door].port, parts, pausesMillis)),
          ),
        );
      }
      for (const [i, { door, bytes }] of streams.entries()) {
        const shown = `seed ${SEED} round ${round} ${door}: ${JSON.stringify(bytes.slice(0, 3000))}`;
        expect(comparable(answers[0]![i]!), shown).toBe(comparable(answers[1]![i]!));
      }
      expect(new Map(houses[0]!.resp.commandCounts), `round ${round}`).toEqual(new Map(houses[1]!.resp.commandCounts));
      expect(new Map(houses[0]!.guarded.commandCounts)).toEqual(new Map(houses[1]!.guarded.commandCounts));
    }
    // Both count what happens in this process, of which the second keeps nothing.
    expect(await keptCount(houses[0]!)).toBeGreaterThan(0);
  });
});
