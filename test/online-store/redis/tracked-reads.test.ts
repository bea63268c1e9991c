/** Values that are there without asking, on a real Redis: they are what it has, whatever happens to it and to the connection. */
import { randomUUID } from "node:crypto";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { parseRedisAddress } from "../../../src/online-store/redis/redis-address.ts";
import { openRedisStore, type RedisOnlineStore } from "../../../src/online-store/redis/redis-store.ts";
import type { StateWrite } from "../../../src/online-store/online-store.ts";
import { TrackedReads } from "../../../src/online-store/redis/tracked-reads.ts";
import { BytesUnderWay } from "../../../src/serve/request-body.ts";
import { RequestParser } from "../../../src/serve/resp/request-parser.ts";
import { SeededRandom } from "../../../src/testing/random.ts";
import { promised } from "../../promised.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { type RedisServer, startRedis } from "../../services/redis.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 31);
const describeWithRedis = await describeWhere("redis");
const describeWithOurs = await describeWhere("redis", { ours: true });
const describeWithValkey = await describeWhere("valkey");
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface World {
  /** Writes; another process as far as Redis knows. */
  readonly writer: RedisOnlineStore;
  readonly reader: RedisOnlineStore;
  readonly client: Redis;
  readonly prefix: string;
}

async function open(url: string, keptBytesMax = 10_000_000, isOn = true, readerUrl = url): Promise<World> {
  const prefix = `${randomUUID()}:`;
  const settings = `/?prefix=${prefix}&timeout_ms=5000`;
  const writer = await openRedisStore({ url: `${url}${settings}` });
  const reader = await openRedisStore({ url: `${readerUrl}${settings}`, keptBytesMax });
  const client = new Redis(url, { lazyConnect: true });
  client.on("error", () => undefined);
  await client.connect();
  closers.push(
    () => writer.close(),
    () => reader.close(),
    async () => client.disconnect(),
  );
  await reader.ping();
  await expect.poll(() => reader.tracking!.isOn, { timeout: 20_000 }).toBe(isOn);
  return { writer, reader, client, prefix };
}

/** A way to a Redis on which all that it sends over connections that speak RESP3 comes so much later; its URL. */
async function delaying(url: string, lateMs: number): Promise<string> {
  const { hostname, port } = new URL(url);
  const server = createServer((client) => {
    const redis = connect({ host: hostname, port: Number(port) });
    let isLate: boolean | null = null;
    client.on("data", (bytes) => {
      isLate ??= bytes.includes("HELLO");
      redis.write(bytes);
    });
    redis.on("data", (bytes) => {
      if (isLate !== true) client.write(bytes);
      else setTimeout(() => client.write(bytes), lateMs);
    });
    for (const [one, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => new Promise((resolve) => server.close(() => resolve())));
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const read = (key: string) => ({ space: "v@1#0", key });
const write = (key: string, offset: number, more: Partial<StateWrite> = {}): StateWrite => {
  return { ...read(key), epoch: 0, offset, bytes: new Uint8Array(8).fill(offset), ...more };
};
const text = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString("hex");
/** As Redis holds them. */
const stored = async ({ writer }: World, keys: readonly string[]) =>
  (await writer.readStored(keys.map(read))).map(text);
const here = ({ reader }: World, keys: readonly string[]) => reader.readHere(keys.map(read))?.map(text) ?? null;

for (const [name, describeIt] of [
  ["redis", describeWithRedis],
  ["valkey", describeWithValkey],
] as const) {
  describeIt(`what was read of a ${name}`, () => {
    it("is here until it changes, whoever changes it and however", async () => {
      const world = await open(await shared(name));
      const { writer, reader, client, prefix } = world;
      const keys = ["a", "b", "none", "ö}%", ""];
      await writer.commit([write("a", 1), write("b", 1), write("ö}%", 1), write("", 1)], []);
      expect(here(world, ["a"])).toBeNull();
      const right = await stored(world, keys);
      expect((await reader.readStored(keys.map(read))).map(text)).toEqual(right);
      expect(here(world, keys)).toEqual(right);
      expect(here(world, ["a", "never-asked"])).toBeNull();
      const again = async (change: () => Promise<unknown>, changed: readonly string[]): Promise<void> => {
        await change();
        const others = keys.filter((key) => !changed.includes(key));
        const [right, rightOthers] = [await stored(world, keys), await stored(world, others)];
        // The change was answered for; once a place is read all of it was told, and Redis was heard from.
        await reader.read([], ["place"]);
        for (const key of changed) expect(here(world, [key]), key).toBeNull();
        expect(here(world, others)).toEqual(rightOthers);
        expect((await reader.readStored(keys.map(read))).map(text)).toEqual(right);
        expect(here(world, keys)).toEqual(right);
      };
      await again(() => writer.commit([write("a", 2)], []), ["a"]);
      await again(() => writer.commit([write("none", 1), write("ö}%", 3), write("", 2)], []), ["none", "ö}%", ""]);
      // As of an entity that was forgotten: a version stands, and no state.
      await again(() => writer.commit([write("a", 3, { bytes: new Uint8Array() })], []), ["a"]);
      await reader.readStored([read("a")]);
      expect(reader.readHere([read("a")])).toEqual([null]);
      await again(() => writer.commit([write("a", 4)], []), ["a"]);
      await again(() => client.del(`${prefix}{b}v@1#0`), ["b"]);
      // Gone once its time is up and somebody looks.
      await writer.commit([write("b", 5, { keptMs: 2000 })], []);
      await expect.poll(() => here(world, ["b"]), { interval: 1 }).toBeNull();
      await reader.readStored([read("b")]);
      await sleep(2100);
      await client.exists(`${prefix}{b}v@1#0`);
      await expect.poll(() => here(world, ["b"])?.[0] ?? null, { interval: 1 }).toBeNull();
      await reader.readStored([read("b")]);
      await again(() => writer.dropSpace("v@1#0"), ["a", "none", "ö}%", ""]);
    });

    it.each([
      ["", 0],
      [", though what is told of changes is late", 20],
    ])(
      "is never older than a place that was read, while states and places are written and connections break%s",
      async (_late, lateMs) => {
        const url = await shared(name);
        const world = await open(url, 10_000_000, true, lateMs === 0 ? url : await delaying(url, lateMs));
        const { writer, reader, client } = world;
        const random = new SeededRandom(SEED);
        const keys = Array.from({ length: lateMs === 0 ? 40 : 3 }, (_, i) => `k${i}`);
        const over = new AbortController();
        let written = 0;
        const writing = (async () => {
          while (!over.signal.aborted) {
            written++;
            const states = keys.map((key) => write(key, written, { bytes: new Uint8Array(random.integer(8, 300)) }));
            await writer.commit(states, [{ name: "place", bytes: Buffer.from(String(written)) }]);
            await sleep(random.integer(0, 5 + 5 * lateMs));
          }
        })();
        let [known, asked] = [0, 0];
        const breaking = (async () => {
          let before = 0;
          while (!over.signal.aborted) {
            await sleep(200);
            // On a busy machine, a connection would else be broken before anything was kept of it.
            if (known < before + 20) continue;
            before = known;
            const list = String(await client.call("CLIENT", "LIST"));
            const tracking = list.split("\n").filter((line) => / flags=\S*t/.test(line));
            const ids = tracking.map((line) => /^id=(\d+)/.exec(line)![1]!);
            if (ids.length > 0 && lateMs === 0)
              await client.call("CLIENT", "KILL", "ID", ids[random.integer(0, ids.length - 1)]!);
          }
        })();
        closers.push(async () => {
          over.abort();
          await Promise.all([writing, breaking]);
        });
        const waysMin = lateMs === 0 ? 5 : 1;
        for (const end = Date.now() + 4000; Date.now() < end || known < 100 || reader.way < waysMin;) {
          const [place] = (await reader.read([], ["place"])).metas;
          const position = place === null ? -1 : Number(Buffer.from(place!).toString());
          for (let n = 0; n < 20; n++) {
            const { way } = reader;
            const some = [read(random.pick(keys)), read(random.pick(keys))];
            const found = reader.readHere(some);
            if (found === null) asked++;
            else known++;
            const values = found ?? (await reader.readStored(some));
            // By another connection, they may be of another server, and places are read again.
            if (reader.way !== way) break;
            for (const value of values) {
              const offset = value === null ? -1 : Buffer.from(value).readDoubleBE(4);
              if (offset < position)
                throw new Error(`seed ${SEED}: a state of ${offset} behind a place of ${position}`);
            }
            if (n % 5 === 0) await sleep(0);
          }
          if (Date.now() > end + 60_000) break;
        }
        expect({ known, asked, way: reader.way }).toEqual({
          known: expect.toSatisfy((count: number) => count >= 100),
          asked: expect.toSatisfy((count: number) => count >= (lateMs === 0 ? 100 : 30)),
          way: expect.toSatisfy((count: number) => count >= waysMin),
        });
      },
    );
  });
}

const READER = "~of:* +mget +hmget +ping";

describeWithOurs("a Redis that tells of no changes", () => {
  const servedAnyway = async (world: World): Promise<void> => {
    const { writer, reader } = world;
    await writer.commit([write("a", 1)], [{ name: "m", bytes: Uint8Array.of(7) }]);
    expect((await reader.readStored([read("a"), read("b")])).map(text)).toEqual(await stored(world, ["a", "b"]));
    expect((await reader.read([], ["m"])).metas).toEqual([Uint8Array.of(7)]);
  };

  it("as the user may not ask for it is asked each time, and says so", async () => {
    const users = [
      { name: "owner", password: "o", rules: "~* +@all" },
      { name: "reader", password: "r", rules: READER },
      { name: "tracker", password: "t", rules: `${READER} +client|tracking` },
    ];
    const server = await startRedis({ users });
    closers.push(() => server.close());
    const host = server.url.slice("redis://".length);
    const writer = await openRedisStore({ url: `redis://owner:o@${host}` });
    const client = new Redis(`redis://owner:o@${host}`);
    closers.push(
      () => writer.close(),
      async () => client.disconnect(),
    );
    for (const [user, isOn] of [
      ["reader:r", false],
      ["tracker:t", true],
    ] as const) {
      const reader = await openRedisStore({ url: `redis://${user}@${host}`, keptBytesMax: 1_000_000 });
      closers.push(() => reader.close());
      await expect.poll(() => reader.tracking!.reason ?? "on", { timeout: 20_000 }).toMatch(isOn ? /^on$/ : /NOPERM/);
      await writer.commit([write("a", 1)], [{ name: "m", bytes: Uint8Array.of(7) }]);
      expect((await reader.readStored([read("a")])).map(text)).toEqual(
        (await writer.readStored([read("a")])).map(text),
      );
      expect((await reader.read([], ["m"])).metas).toEqual([Uint8Array.of(7)]);
      expect(reader.readHere([read("a")]) !== null).toBe(isOn);
    }
  });

  it("as it forgets what was read, or is emptied, is asked again", async () => {
    const server = await startRedis({ config: ["tracking-table-max-keys 10"] });
    closers.push(() => server.close());
    const world = await open(server.url);
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
    await world.writer.commit(
      keys.map((key) => write(key, 1)),
      [],
    );
    await world.reader.readStored(keys.map(read));
    await expect.poll(() => keys.filter((key) => here(world, [key]) !== null).length).toBeLessThanOrEqual(20);
    await world.reader.readStored(keys.slice(0, 5).map(read));
    await expect.poll(() => here(world, keys.slice(0, 5)) !== null).toBe(true);
    await world.client.flushall();
    await expect.poll(() => keys.some((key) => here(world, [key]) !== null)).toBe(false);
    await servedAnyway(world);
  });

  it("as it is silent is not believed for longer than a second, and believed again once it is back", async () => {
    const server: RedisServer = await startRedis();
    closers.push(() => server.close());
    const world = await open(server.url);
    await world.writer.commit([write("a", 1)], []);
    await world.reader.readStored([read("a")]);
    expect(here(world, ["a"])).not.toBeNull();
    await server.pause();
    await expect.poll(() => here(world, ["a"]), { timeout: 1800, interval: 10 }).toBeNull();
    await server.resume();
    await world.reader.read([], ["m"]);
    await world.reader.readStored([read("a")]);
    expect(here(world, ["a"])).toEqual(await stored(world, ["a"]));
  });

  it("as it was started again without what it had is read anew, another way", async () => {
    const server = await startRedis();
    closers.push(() => server.close());
    const world = await open(server.url);
    await world.writer.commit([write("a", 1)], []);
    await world.reader.readStored([read("a")]);
    const { way } = world.reader;
    await server.kill();
    // Either connection may be the first to be seen to break.
    await expect.poll(() => world.reader.way !== way, { timeout: 10_000 }).toBe(true);
    await expect.poll(() => here(world, ["a"]), { timeout: 10_000 }).toBeNull();
    await server.restart();
    await expect.poll(() => world.reader.tracking!.isOn, { timeout: 20_000 }).toBe(true);
    expect(await world.reader.readStored([read("a")])).toEqual([null]);
    await servedAnyway(world);
  }, 60_000);
});

/** Answers as a Redis that is asked for nothing else: `reply` says what to MGET and HMGET, by their arguments. */
async function scripted(reply: (args: readonly string[]) => string): Promise<{ url: string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    const parser = new RequestParser(LIMITS, new BytesUnderWay(100_000_000));
    socket.on("data", (bytes: Buffer) => {
      parser.write(bytes, bytes.length);
      for (let request = parser.next(LIMITS); request !== null; request = parser.next(LIMITS)) {
        const [name = "", ...args] = request.args;
        if (/^m?get$|^hmget$/i.test(name)) socket.write(reply([name.toLowerCase(), ...args]));
        else socket.write(/^hello$/i.test(name) ? "%0\r\n" : "+OK\r\n");
      }
      parser.keep();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

const LIMITS = { inlineBytesMax: 1000, argumentsMax: 10_000, requestBytesMax: 10_000_000 };

const bulks = (values: readonly string[]): string =>
  `*${values.length}\r\n${values.map((value) => `$${value.length}\r\n${value}\r\n`).join("")}`;

describe("a connection that tells of changes", () => {
  const opened = async (url: string, timeoutMs = 1000): Promise<TrackedReads> => {
    const tracked = new TrackedReads({
      address: parseRedisAddress(`${url}/?timeout_ms=${timeoutMs}`),
      keptBytesMax: 10_000_000,
    });
    closers.push(async () => tracked.close());
    await expect.poll(() => tracked.isOn, { timeout: 20_000, interval: 5 }).toBe(true);
    return tracked;
  };
  const names = Array.from({ length: 6 }, (_, i) => `k${i}`);

  it("is over once a reply is an error, and nothing is kept under the name of another", async () => {
    const { url } = await scripted(([, ...keys]) => (keys.includes("k0") ? "-BUSY script\r\n" : bulks(keys)));
    const tracked = await opened(url);
    const { turns } = tracked;
    expect(await tracked.read(names, 2)).toBeNull();
    expect(tracked.here(["k0"])).toBeNull();
    expect(tracked.turns).toBe(turns + 1);
    expect(tracked.reason ?? "").toMatch(/BUSY|^$/);
    await expect.poll(() => tracked.isOn, { timeout: 20_000, interval: 5 }).toBe(true);
    expect((await tracked.read(names.slice(2), 2))!.map(String)).toHaveLength(4);
    for (const name of names.slice(2)) expect(Buffer.from(tracked.here([name])![0]!).toString()).toBe(name);
  });

  it("is over once a reply has fewer values than were asked for", async () => {
    const { url } = await scripted(([, ...keys]) => bulks(keys.slice(1)));
    const tracked = await opened(url);
    const { turns } = tracked;
    expect(await tracked.read(["k0", "k1"], 500)).toBeNull();
    expect([tracked.here(["k0"]), tracked.turns]).toEqual([null, turns + 1]);
  });

  it("refuses what would wait behind too much, though nothing else is wrong", async () => {
    const { url } = await scripted(() => "");
    const tracked = await opened(url, 5000);
    const { turns } = tracked;
    const waiting = Array.from({ length: 2000 }, () => tracked.read(["a"], 1).catch(() => null));
    await expect(tracked.read(["a"], 1)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(tracked.turns).toBe(turns);
    tracked.close();
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => null));
  });

  it("answers or fails within its time limit, whenever it was asked", async () => {
    const { url } = await scripted(() => "");
    const tracked = await opened(url, 400);
    const took = await Promise.all(
      [0, 100, 200, 300].map(async (afterMs) => {
        await sleep(afterMs);
        const beganMs = performance.now();
        await tracked.read(["a"], 1).catch(() => null);
        return performance.now() - beganMs;
      }),
    );
    expect(Math.max(...took)).toBeLessThan(promised(600));
  });

  it("resolves at once where nothing is asked for", async () => {
    const { url } = await scripted(() => "");
    expect(await (await opened(url)).read([], 500)).toEqual([]);
  });
});
