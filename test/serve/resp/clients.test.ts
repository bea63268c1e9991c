/** Real clients, as their users have them: `ioredis` and `redis` for Node, in both protocols. */
import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterEach, describe, expect, it, vi } from "vitest";
import { useRespDoor } from "./resp-in-test.ts";

const resp = useRespDoor({ password: "secret" });
const PUSHES = 200;

/** Whatever a client warns of when it connects is a defect of the door. */
const warnings = vi.spyOn(console, "warn");
afterEach(() => {
  const found = [...warnings.mock.calls, ...resp.failures];
  if (found.length > 0) throw new Error(`warnings or failures: ${JSON.stringify(found)}`);
});

describe.each([2, 3] as const)("ioredis over RESP%i", (protocol) => {
  async function withClient(work: (redis: Redis) => Promise<void>): Promise<void> {
    const redis = new Redis({
      port: resp.door.port,
      password: "secret",
      connectionName: "trainer",
      protocol,
      enableAutoPipelining: true,
      ...(protocol === 3 ? { replyMapping: "resp3" as const } : {}),
    });
    const errors: unknown[] = [];
    redis.on("error", (error) => errors.push(error));
    try {
      await work(redis);
    } finally {
      await redis.quit();
    }
    expect(errors).toEqual([]);
  }
  const values = protocol === 2 ? ["2", "5.5", "3", "2"] : [2, 5.5, 3, 2];

  it("reads vectors, many at a time in one pipeline", () =>
    withClient(async (redis) => {
      resp.world.arrive({ delay: 8 });
      resp.world.arrive({ delay: 3 });
      const asked = Array.from({ length: 500 }, () => redis.call("FGET", "delay_model", "JFK", "JFK|LAX"));
      expect(redis.autoPipelineQueueSize).toBe(500);
      for (const answer of await Promise.all(asked)) expect(answer).toEqual(values);
      expect(await redis.call("FGET", "delay_model", "BOS", "A|B")).toEqual(
        protocol === 2 ? ["0", null, null, "0"] : [0, null, null, 0],
      );
      expect(await redis.client("GETNAME")).toBe("trainer");
      expect(JSON.parse((await redis.call("FGETJSON", "delay_model", "JFK", "JFK|LAX")) as string)).toEqual({
        arrivals_1h: 2,
        mean_delay_1h: 5.5,
        last_delay: 3,
        route_arrivals_1h: 2,
      });
    }));

  it("reads vectors behind their age", () =>
    withClient(async (redis) => {
      resp.world.arrive({ delay: 8 });
      resp.world.arrive({ delay: 3 });
      const keys = ["JFK", "JFK|LAX"];
      expect(await redis.call("FGET", "delay_model", ...keys, "WITHAGE")).toEqual([null, values]);
      Object.assign(resp.world.view("origin_delays", 2), { snapshotTime: resp.world.clock.now() - 12_345 });
      const age = protocol === 2 ? "12.345" : 12.345;
      expect(await redis.call("FGET", "delay_model", ...keys, "WITHAGE")).toEqual([age, values]);
      expect(await redis.call("FMGET", "delay_model", "1", ...keys, "WITHAGE")).toEqual([[age, values]]);
    }));

  it("reads packed vectors as buffers", () =>
    withClient(async (auto) => {
      resp.world.arrive({ delay: 8 });
      // ioredis 6.0 loses the command's name where callBuffer meets auto-pipelining.
      const redis = auto.duplicate({ enableAutoPipelining: false });
      const packed = (await redis.callBuffer("FGETPACKED", "delay_model", "JFK", "A|B")) as Buffer;
      await redis.quit();
      expect([0, 1, 2, 3].map((i) => packed.readDoubleLE(8 * i))).toEqual([1, 8, 8, 0]);
      expect(packed[32]).toBe(0);
    }));

  it("sees what is wrong with one of many, and with the whole", () =>
    withClient(async (redis) => {
      const [good, bad] = (await redis.call("FMGET", "delay_model", "2", "JFK", "A|B", "JFK", "A")) as unknown[];
      expect(good).toHaveLength(4);
      expect(bad).toBeInstanceOf(Error);
      expect((bad as Error).message).toMatch(/^REQUEST_INVALID a key of 1 parts/);
      await expect(redis.call("FGET", "delay_mode", "JFK", "A|B")).rejects.toThrow(/^SERVICE_UNKNOWN /);
      await expect(redis.call("FGETT", "x")).rejects.toThrow("ERR unknown command 'FGETT'");
    }));

  it("pushes events in one pipeline, and then counts them", () =>
    withClient(async (redis) => {
      const pushes = Array.from({ length: PUSHES }, (_, delay) =>
        redis.call("FPUSH", "arrivals", JSON.stringify({ delay })),
      );
      const read = redis.call("FGET", "delay_model", "JFK", "JFK|LAX");
      const reports = await Promise.all(pushes);
      expect(reports).toHaveLength(PUSHES);
      const accepted = reports.map((report) =>
        report instanceof Map
          ? report.get("accepted")
          : ((report as { accepted?: 1 }).accepted ?? (report as unknown[])[1]),
      );
      expect(new Set(accepted)).toEqual(new Set([1]));
      expect(Number(((await read) as unknown[])[0])).toBe(PUSHES);
    }));

  it("is told that the password is wrong", async () => {
    const redis = new Redis({ port: resp.door.port, password: "guess", protocol, retryStrategy: () => null });
    const error = await new Promise<Error>((resolve) => redis.once("error", resolve));
    expect(error.message).toMatch(/^WRONGPASS /);
    redis.disconnect();
  });
});

it("ioredis without a protocol gives int64 as numbers and float64 as text, as the page says", async () => {
  resp.world.arrive({ delay: 8 });
  resp.world.arrive({ delay: 3 });
  const redis = new Redis({ port: resp.door.port, password: "secret" });
  expect(await redis.call("FGET", "delay_model", "JFK", "JFK|LAX")).toEqual([2, "5.5", 3, 2]);
  expect(await redis.call("FGET", "delay_model", "BOS", "A|B")).toEqual([0, null, null, 0]);
  await redis.quit();
});

describe.each([2, 3] as const)("redis for Node over RESP%i", (RESP) => {
  it("connects, reads, describes and pushes", async () => {
    resp.world.arrive({ delay: 8 });
    resp.world.arrive({ delay: 3 });
    const redis = createClient({ url: resp.door.url, password: "secret", name: "trainer", RESP });
    const errors: unknown[] = [];
    redis.on("error", (error) => errors.push(error));
    await redis.connect();
    try {
      // Calls of one turn go out as one pipeline.
      const asked = Array.from({ length: 500 }, () => redis.sendCommand(["FGET", "delay_model", "JFK", "JFK|LAX"]));
      for (const answer of await Promise.all(asked)) {
        expect(answer).toEqual(RESP === 2 ? ["2", "5.5", "3", "2"] : [2, 5.5, 3, 2]);
      }
      expect(await redis.sendCommand(["FGET", "delay_model", "JFK", "JFK|LAX", "WITHAGE"])).toEqual([
        null,
        RESP === 2 ? ["2", "5.5", "3", "2"] : [2, 5.5, 3, 2],
      ]);
      expect(await redis.clientGetName()).toBe("trainer");
      const described = await redis.sendCommand(["FDESCRIBE", "delay_model"]);
      if (RESP === 2) expect((described as unknown as unknown[]).slice(0, 2)).toEqual(["service", "delay_model"]);
      else
        expect(described).toMatchObject({ service: "delay_model", entities: [{ name: "airport" }, { name: "route" }] });
      await redis.sendCommand(["FPUSH", "arrivals", '{"delay": 1}']);
      const [count] = (await redis.sendCommand(["FGET", "delay_model", "JFK", "JFK|LAX"])) as unknown as unknown[];
      expect(Number(count)).toBe(3);
      await expect(redis.sendCommand(["FGET", "delay_mode", "JFK", "A|B"])).rejects.toThrow(/^SERVICE_UNKNOWN /);
      expect(await redis.ping()).toBe("PONG");
    } finally {
      await redis.close();
    }
    expect(errors).toEqual([]);
  });
});
