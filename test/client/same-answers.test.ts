/** Random vectors of every type, and pushes, are the same over HTTP and RESP. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import type { Micros } from "../../src/base/micros.ts";
import { createClient, type OnefoldClient } from "../../src/client/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { definitions, NAMES, randomVisit, REGIONS, START } from "../serve/every-type.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 11);
const ROUNDS = 100;

let folder: string;
let clock: ReplayClock;
let platform: Platform;
let clients: readonly [http: OnefoldClient, resp: OnefoldClient];
const closers: (() => Promise<void>)[] = [];
const random = new SeededRandom(SEED);

beforeAll(async () => {
  console.log(`events and requests are random by seed ${SEED} (ONEFOLD_SEED)`);
  folder = await mkdtemp(join(tmpdir(), "onefold-client-"));
  clock = new ReplayClock(START);
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
  await platform.apply(definitions);
  const [http, resp] = await Promise.all([platform.serve({ port: 0 }), platform.serveResp({ port: 0 })]);
  clients = [createClient({ url: http.url, timeoutMs: 10_000 }), createClient({ url: resp.url, timeoutMs: 10_000 })];
  closers.push(...[...clients, http, resp, platform].map((each) => () => each.close()));
});
afterAll(async () => {
  for (const close of closers) await close();
  await rm(folder, { recursive: true, force: true });
});

/** What the answer to a call is; of an error all that its caller sees. */
async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (answer) => {
      const { features, metadata } = answer as Record<string, Record<string, unknown>>;
      // What one HTTP answer says of itself, and not of a vector.
      const { latency_ms: _latency, timestamp: _timestamp, ...rest } = metadata!;
      return JSON.stringify({ features, metadata: rest });
    },
    (error: unknown) => (error as { toJSON(): unknown }).toJSON(),
  );
}

describe("random vectors", () => {
  it("are the same over both transports, errors too", async () => {
    let [answers, errors] = [0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      clock.advanceTo((clock.now() + random.integer(0, 300_000_000)) as Micros);
      const rows = Array.from({ length: random.integer(1, 4) }, () => randomVisit(random, clock.now()));
      await clients[round % 2]!.push("visits", rows);
      const name = random.pick(NAMES);
      const [region, number] = [random.pick(REGIONS), random.pick([0, 1, -1, "1", 1n])];
      const place = random.pick<unknown>([[region, number], { number, region }]);
      const right: Record<string, unknown>[] = [
        { name, region, number },
        { place, person: name },
        { place, person: [name] },
      ];
      const wrong = [
        { place, nmae: name },
        { place, name: null },
        { place: [region, "half"], name },
      ];
      const entities = random.pick(random.oneIn(5) ? wrong : right);
      const amount = random.oneIn(5) ? random.pick(["much", Number.NaN]) : random.integer(1, 1000) / 7;
      const request = { amount, ...(random.oneIn(2) ? { label: "Grüß\u2028" } : {}) };
      const options = { metadata: random.oneIn(3), token: random.oneIn(3) };

      const [overHttp, overResp] = await Promise.all(
        clients.map((client) => outcomeOf(client.vector("everything", entities, { request, ...options }))),
      );
      expect(overResp, `seed ${SEED}, round ${round}`).toEqual(overHttp);
      if (typeof overHttp === "string") answers++;
      else errors++;
    }
    console.log(`${answers} answers and ${errors} errors compared`);
    expect(Math.min(answers, errors)).toBeGreaterThan(10);
  });

  it("are the same many at a time", async () => {
    const asked = Array.from({ length: 300 }, () => ({
      name: random.pick(NAMES),
      region: random.pick(REGIONS),
      number: random.integer(-1, 2),
    }));
    const [overHttp, overResp] = await Promise.all(clients.map((client) => client.vectors("numbers", asked)));
    expect(overResp!.map(({ features }) => features)).toEqual(overHttp!.map(({ features }) => features));
  });
});

describe("numbers that are not finite", () => {
  it("are numbers, also in lists, and texts of their names are texts", async () => {
    const visit = { name: "zed", region: "north", number: 9, note: "NaN", at: { micros: clock.now() } };
    const ratios = [0.5, "NaN", Number.POSITIVE_INFINITY, "-Infinity"];
    await clients[0].push(
      "visits",
      ratios.map((ratio) => ({ ...visit, ratio })),
    );
    const request = { amount: 1 };
    for (const client of clients) {
      const { features, metadata } = await client.vector("everything", visit, { request });
      expect(features).toMatchObject({
        ratio: Number.NEGATIVE_INFINITY,
        ratios: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
        note: "NaN",
        notes: ["NaN", "NaN", "NaN"],
      });
      expect(metadata["non_finite_features"]).toEqual(["ratio", "ratios"]);
      const [known, unknown] = await client.vectors("numbers", [visit, { ...visit, name: "nobody" }]);
      expect([known!.features["ratio"], unknown!.features["ratio"]]).toEqual([Number.NEGATIVE_INFINITY, null]);
      expect(unknown!.metadata).not.toHaveProperty("non_finite_features");
    }
    // Where the answer is of numbers alone, and where it is a kept one.
    for (let turn = 0; turn < 3; turn++) {
      const [overHttp, overResp] = await Promise.all(clients.map((client) => client.vector("numbers", visit)));
      expect(overHttp!.features).toEqual(overResp!.features);
      expect(overHttp!.features).toMatchObject({ ratio: Number.NEGATIVE_INFINITY });
    }
  });
});

describe("pushes", () => {
  it("have the same outcomes, and take bytes and wide integers as they are in memory", async () => {
    const visit = { name: "ada", region: "north", number: 1, at: { micros: clock.now() }, ratio: Number.NaN };
    const rows = [
      { ...visit, wide: 9223372036854775807n, digest: new Uint8Array([0, 255]), note: "ü" },
      { ...visit, digest: Buffer.from("abc") },
      { ...visit, number: "x" },
    ];
    const [overHttp, overResp] = [await clients[0].push("visits", rows), await clients[1].push("visits", rows)];
    const shapes = [overHttp, overResp].map(({ outcomes, ...counts }) => ({
      ...counts,
      outcomes: outcomes.map(({ offset: _offset, dead_letter_id: _letter, ...rest }) => rest),
    }));
    expect(shapes[1]).toEqual(shapes[0]);
    expect(overResp).toMatchObject({ accepted: 2, rejected: 1 });
    const [http, resp] = await Promise.all(
      clients.map((client) => client.vector("everything", visit, { request: { amount: 1 } })),
    );
    expect(resp!.features).toEqual(http!.features);
    expect(resp!.features).toMatchObject({ digest: Buffer.from("abc").toString("base64") });
  });
});
