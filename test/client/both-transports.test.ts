/**
 * What a client does, over either transport: against the real doors, behind a relay that counts round trips
 * and fails as networks do.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OnefoldError } from "../../src/base/errors.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { createClient, type OnefoldClient } from "../../src/client/index.ts";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { openHttpServer } from "../../src/serve/http.ts";
import { openRespServer } from "../../src/serve/resp/server.ts";
import { createWorld, type World } from "../serve/served-world.ts";
import { Relay } from "./relay.ts";

interface Door {
  readonly port: number;
  close(): Promise<void>;
}

const transports = [
  { scheme: "http", openDoor: (world: World) => openHttpServer(createFeatureReader(world), world, { port: 0 }) },
  {
    scheme: "redis",
    openDoor: (world: World) => openRespServer(createFeatureReader(world), world, "1.2.3", { port: 0 }),
  },
];

const JFK = { airport: "JFK", route: ["JFK", "LAX"] };

describe.each(transports)("a client over $scheme", ({ scheme, openDoor }) => {
  let world: World;
  let door: Door;
  let relay: Relay;
  let clients: OnefoldClient[];
  beforeEach(async () => {
    world = await createWorld();
    door = await openDoor(world);
    relay = await Relay.open(door.port);
    clients = [];
  });
  afterEach(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await relay.close();
    await door.close();
  });

  function open(options: Partial<Parameters<typeof createClient>[0]> = {}): OnefoldClient {
    const client = createClient({
      url: `${scheme}://127.0.0.1:${relay.port}`,
      timeoutMs: 5000,
      random: () => 0,
      ...options,
    });
    clients.push(client);
    return client;
  }

  /** Makes the world count its pushes. */
  function countPushes(): { count: number } {
    const pushes = { count: 0 };
    world.pushInstead = async (_source, rows) => {
      pushes.count++;
      return {
        accepted: rows.length,
        duplicates: 0,
        rejected: 0,
        outcomes: rows.map((_, offset) => ({ status: "accepted", offset })),
      };
    };
    return pushes;
  }

  describe("answers", () => {
    it("vectors with request data, metadata and tokens, and outcomes of pushes", async () => {
      const client = open();
      const arrival = { origin: "JFK", destination: "LAX", arrived_at: "2001-06-01T11:59:00Z" };
      const pushed = await client.push("arrivals", [
        { ...arrival, account: 12345678901234567n, delay: 8 },
        { ...arrival, account: "1", arrived_at: "never" },
      ]);
      expect(pushed).toMatchObject({ accepted: 1, rejected: 1 });
      expect(pushed.outcomes).toMatchObject([
        { status: "accepted", offset: 0 },
        { status: "rejected", code: "TIME_INVALID", dead_letter_id: "d1" },
      ]);
      const [first, second] = await client.vectors("delay_model", [JFK, { airport: "BOS", route: ["BOS", "LAX"] }]);
      expect(first!.features).toEqual({ arrivals_1h: 1, mean_delay_1h: 8, last_delay: 8, route_arrivals_1h: 1 });
      expect(first!.metadata).toMatchObject({ as_of: "2001-06-01T12:00:00Z", missing_features: [] });
      expect(second!.features).toMatchObject({ arrivals_1h: 0, mean_delay_1h: null });
      const full = await client.vector("delay_model", JFK, { metadata: true, token: true });
      expect(full.metadata).toMatchObject({
        token: expect.any(String),
        features: { arrivals_1h: { status: "PRESENT", exact: true } },
      });
    });

    it("a push of which all rows are rejected, with why", async () => {
      const pushed = await open().push("arrivals", [{ delay: "late" }, { delay: "later" }]);
      expect(pushed).toMatchObject({ accepted: 0, rejected: 2, outcomes: [{ code: "TYPE_MISMATCH" }, {}] });
    });

    it("keys of several columns by column, in any order, with every character", async () => {
      const place = { origin: "a|b\\", destination: "Zürich \u{1f680}\r\n" };
      world.arrive(place);
      const client = open();
      const routes = [place, { route: place }, { route: [place.origin, place.destination] }];
      const entities = routes.map((route) => ({ ...route, airport: place.origin }));
      for (const { features } of await client.vectors("delay_model", entities)) {
        expect(features).toMatchObject({ arrivals_1h: 1, route_arrivals_1h: 1 });
      }
      const other = { destination: "b\\|Zürich \u{1f680}\r\n", origin: "a" };
      const [{ features } = { features: {} }] = await client.vectors("delay_model", [{ ...other, airport: "BOS" }]);
      expect(features).toMatchObject({ route_arrivals_1h: 0 });
    });

    it("one wrong key of many with its own error, and the others with their vectors", async () => {
      world.arrive({ delay: 3 });
      const client = open();
      const ask = (airport: unknown): Promise<unknown> =>
        client.vector("delay_model", { airport, route: ["JFK", "LAX"] }).then(
          ({ features }) => features["mean_delay_1h" as never],
          (error: { code: string }) => error.code,
        );
      expect(await Promise.all([ask("JFK"), ask(null), ask("JFK"), ask([1, 2]), ask("BOS")])).toEqual([
        3,
        "KEY_MISSING",
        3,
        "REQUEST_INVALID",
        null,
      ]);
    });

    it("with the server's own errors, hints and candidates", async () => {
      const client = open();
      const wrong = { code: "SERVICE_UNKNOWN", candidates: ["delay_model"] };
      await expect(client.vector("delay_modle", {})).rejects.toMatchObject(wrong);
      await expect(client.vectors("delay_modle", [{}, {}])).rejects.toMatchObject(wrong);
      await expect(client.vector("delay_model", { airport: "JFK" })).rejects.toMatchObject({
        code: "KEY_MISSING",
        where: "route",
        hint: 'give "route" itself, or "origin", "destination"',
      });
      await expect(client.push("nope", [{}])).rejects.toMatchObject({ code: "SOURCE_UNKNOWN" });
    });
  });

  describe("says which is wrong", () => {
    const wrong = { airport: [1, 2], route: ["JFK", "LAX"] };
    const errorOf = (call: Promise<unknown>): Promise<OnefoldError> =>
      call.then(
        () => Promise.reject(new Error("it was answered")),
        (error: OnefoldError) => error,
      );

    it("by its place in the caller's list, however the list was cut", async () => {
      const client = open();
      const many: Readonly<Record<string, unknown>>[] = Array.from({ length: 1200 }, () => JFK);
      many[777] = { ...JFK, airport: 5 };
      const { code, where } = await errorOf(client.vectors("delay_model", many));
      expect([code, where]).toEqual(["TYPE_MISMATCH", "entities[777] airport.airport"]);
      // The last of a part of its own.
      const lonely = await errorOf(client.vectors("delay_model", [...many.slice(0, 500), { ...JFK, airport: null }]));
      expect([lonely.code, lonely.where]).toEqual(["KEY_MISSING", "entities[500] airport.airport"]);
      expect(await errorOf(client.vectors("delay_model", [JFK, wrong]))).toMatchObject({ where: "entities[1]" });
      expect(await errorOf(client.vectors("delay_model", [JFK, {}]))).toMatchObject({ where: "entities[1] airport" });
    });

    it("and no place where it was a call by itself, or where all are", async () => {
      const client = open();
      const [, error, , last] = await Promise.allSettled([
        client.vector("delay_model", JFK),
        client.vector("delay_model", { ...JFK, airport: 5 }),
        client.vector("delay_model", JFK),
        client.vector("delay_model", wrong),
      ]);
      const alone = (await errorOf(client.vector("delay_model", { ...JFK, airport: 5 }))).toJSON();
      expect((error as PromiseRejectedResult).reason.toJSON()).toEqual(alone);
      expect(alone["where"]).toBe("airport.airport");
      const aloneToo = (await errorOf(client.vector("delay_model", wrong))).toJSON();
      expect((last as PromiseRejectedResult).reason.toJSON()).toEqual(aloneToo);
      const unknown = await errorOf(client.vectors("delay_modle", [JFK, JFK]));
      expect(unknown.toJSON()).toEqual((await errorOf(client.vector("delay_modle", JFK))).toJSON());
    });
  });

  describe("of one turn", () => {
    it("asks in one round trip", async () => {
      world.arrive({ delay: 3 });
      const client = open();
      await client.vector("delay_model", JFK);
      relay.roundTrips = 0;
      const airports = Array.from({ length: 400 }, (_, i) => (i % 3 === 0 ? "JFK" : `A${i}`));
      const answers = await client.vectors(
        "delay_model",
        airports.map((airport) => ({ ...JFK, airport })),
      );
      expect(answers.map(({ features }) => features["arrivals_1h"])).toEqual(
        airports.map((airport) => (airport === "JFK" ? 1 : 0)),
      );
      expect(relay.roundTrips).toBe(1);
    });

    it("asks each by itself where that is wanted, over connections that stay open", async () => {
      const client = open({ batchMax: 1, connections: 2 });
      const many = (): Promise<unknown> =>
        Promise.all(Array.from({ length: 10 }, () => client.vector("delay_model", JFK)));
      await many();
      await many();
      expect(relay.connections).toBeLessThanOrEqual(2);
    });
  });

  describe("that fails in passing", () => {
    it("tries a push again that was refused for now, as often as allowed", async () => {
      let refusals = 0;
      world.pushInstead = async (_source, rows) => {
        if (refusals++ < 2) throw new OnefoldError("BACKPRESSURE", "later");
        return { accepted: rows.length, duplicates: 0, rejected: 0, outcomes: [] };
      };
      expect(await open({ retries: 2 }).push("arrivals", [{}])).toMatchObject({ accepted: 1 });
      expect(refusals).toBe(3);
      refusals = 0;
      await expect(open({ retries: 1 }).push("arrivals", [{}])).rejects.toMatchObject({ code: "BACKPRESSURE" });
      expect(refusals).toBe(2);
    });

    it("asks again while the server's clock is behind its events", async () => {
      world.arrive({});
      const now = world.clock.now;
      let turns = 0;
      world.clock.now = () => (turns++ < 2 ? parseMicros("2001-06-01T11:00:00Z") : now.call(world.clock));
      expect((await open({ retries: 2 }).vector("delay_model", JFK)).features).toMatchObject({ arrivals_1h: 1 });
      turns = 0;
      const both = open({ retries: 0 }).vectors("delay_model", [JFK, JFK]);
      await expect(both).rejects.toMatchObject({ code: "CLOCK_BEHIND" });
    });

    it("asks again where the connection broke in place of the answer", async () => {
      const client = open();
      await client.vector("delay_model", JFK);
      relay.mode = "cut";
      expect((await client.vector("delay_model", JFK)).features).toMatchObject({ arrivals_1h: 0 });
      relay.mode = "cut";
      expect(await client.vectors("delay_model", [JFK, JFK])).toHaveLength(2);
    });

    it("pushes again only where that counts once", async () => {
      const pushes = countPushes();
      const client = open();
      await client.push("arrivals", [{}]);
      relay.mode = "cut";
      await expect(client.push("arrivals", [{}])).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
      expect(pushes.count).toBe(2);
      await client.push("arrivals", [{}]);
      relay.mode = "cut";
      expect(await client.push("arrivals", [{}], { idempotent: true })).toMatchObject({ accepted: 1 });
      expect(pushes.count).toBe(5);
    });

    it("finds the server again after it restarted, and says so while it is gone", async () => {
      const client = open({ retries: 0 });
      await client.vector("delay_model", JFK);
      await client.push("arrivals", [{}]);
      await door.close();
      await expect(client.vector("delay_model", JFK)).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
      await expect(client.push("arrivals", [{}])).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
      door = await openDoor(world);
      relay.targetPort = door.port;
      expect((await client.vector("delay_model", JFK)).features).toHaveProperty("last_delay");
      expect(await client.push("arrivals", [{ delay: 1 }])).toMatchObject({ accepted: 1 });
    });

    it("says so where there is no server", async () => {
      const client = open({ url: `${scheme}://127.0.0.1:1`, retries: 0 });
      await expect(client.vector("delay_model", JFK)).rejects.toMatchObject({
        code: "SERVER_UNREACHABLE",
        message: expect.stringContaining("ECONNREFUSED"),
        hint: expect.stringContaining("onefold serve"),
      });
    });
  });

  describe("that is not answered", () => {
    it("ends each call at its own time, and is well once the server answers again", async () => {
      const client = open();
      await client.vector("delay_model", JFK);
      relay.mode = "silent";
      const short = client.vector("delay_model", JFK, { timeoutMs: 50 });
      const long = client.vector("delay_model", JFK, { timeoutMs: 250 });
      const push = client.push("arrivals", [{}], { timeoutMs: 100 });
      await expect(short).rejects.toMatchObject({
        code: "CALL_TIMED_OUT",
        message: expect.stringContaining("50 ms"),
      });
      await expect(push).rejects.toMatchObject({ code: "CALL_TIMED_OUT" });
      await expect(long).rejects.toMatchObject({ code: "CALL_TIMED_OUT" });
      relay.mode = "open";
      // What was lost on the silent connection is not waited for.
      expect((await client.vector("delay_model", JFK)).features).toHaveProperty("last_delay");
      expect(await client.push("arrivals", [{}], { timeoutMs: 5000 })).toMatchObject({ accepted: 1 });
    });

    it("keeps no connection to a server that is silent from the start", async () => {
      relay.mode = "silent";
      const client = open({ timeoutMs: 40 });
      for (let i = 0; i < 5; i++) {
        await expect(client.vector("delay_model", JFK)).rejects.toMatchObject({ code: "CALL_TIMED_OUT" });
      }
      await expect.poll(() => relay.openConnections).toBe(0);
    });

    it("ends a call when its caller wants, and the others go on", async () => {
      const client = open();
      await client.vector("delay_model", JFK);
      relay.mode = "silent";
      const ends = new AbortController();
      const asked = client.vector("delay_model", JFK, { signal: ends.signal });
      const pushed = client.push("arrivals", [{}], { signal: ends.signal });
      setTimeout(() => ends.abort(new Error("no longer wanted")), 20);
      await expect(asked).rejects.toThrow("no longer wanted");
      await expect(pushed).rejects.toThrow("no longer wanted");
    });

    it("fails when the client is closed", async () => {
      const client = open({ retries: 0 });
      await client.vector("delay_model", JFK);
      relay.mode = "silent";
      const asked = client.vector("delay_model", JFK);
      setTimeout(() => void client.close(), 20);
      await expect(asked).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
    });

    it("is not tried again once the client is closed, nor begun", async () => {
      const client = open();
      await client.vector("delay_model", JFK);
      relay.mode = "silent";
      const pushes = countPushes();
      const asked = client.vector("delay_model", JFK).catch((error: unknown) => error);
      await sleep(20);
      await client.close();
      relay.mode = "open";
      const { connections } = relay;
      expect(await asked).toMatchObject({ code: "CANCELLED" });
      await expect(client.vector("delay_model", JFK)).rejects.toMatchObject({ code: "CANCELLED" });
      await expect(client.push("arrivals", [{}])).rejects.toMatchObject({ code: "CANCELLED" });
      expect(pushes.count).toBe(0);
      expect(relay.connections).toBe(connections);
    });
  });
});
