/** A Redis that several versions share says in which format it is, to who reads and who writes there. */
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, it } from "vitest";
import { packageVersion } from "../../../src/base/version.ts";
import type { MetaWrite, StateWrite } from "../../../src/online-store/online-store.ts";
import { openRedisStore, type RedisOnlineStore } from "../../../src/online-store/redis/redis-store.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const describeWithRedis = await describeWhere("redis");
const PLACE: MetaWrite = { name: "view/v@1", bytes: new Uint8Array(1) };
const STATE: StateWrite = { space: "v@1#0", key: "a", epoch: 0, offset: 1, bytes: new Uint8Array([1]) };
const OTHER = JSON.stringify({ format: 2, onefold: "9.1.0" });

let prefix: string;
let client: Redis;
const closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  prefix = `${randomUUID()}:`;
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function opened(): Promise<RedisOnlineStore> {
  const url = await shared("redis");
  client = new Redis(url);
  closers.push(async () => client.disconnect());
  const store = await openRedisStore({ url: `${url}/?prefix=${prefix}&timeout_ms=20000` });
  closers.push(() => store.close());
  return store;
}

const markNow = (): Promise<string | null> => client.hget(`${prefix}metas`, "format");
const setMark = (text: string): Promise<number> => client.hset(`${prefix}metas`, "format", text);

describeWithRedis("the format of a store on Redis", () => {
  it("is marked before the first state, with the version that wrote it, and is no meta", async () => {
    const store = await opened();
    await store.ping();
    expect((await store.read([STATE], [PLACE.name])).states).toEqual([null]);
    expect(await markNow()).toBeNull();
    await store.commit([STATE], []);
    expect(JSON.parse((await markNow())!)).toEqual({ format: 1, onefold: packageVersion() });
    await store.commit([], [PLACE]);
    const names: string[] = [];
    for await (const { name } of store.scanMetas("")) names.push(name);
    expect(names).toEqual([PLACE.name]);
  });

  it("is marked again with the first place in a store that came back empty", async () => {
    const store = await opened();
    await store.commit([STATE], [PLACE]);
    await client.del(`${prefix}metas`);
    await store.commit([STATE], [PLACE]);
    expect(JSON.parse((await markNow())!)).toMatchObject({ format: 1 });
  });

  it.each([
    [OTHER, /format 2, written by Onefold 9\.1\.0; this is Onefold .*, which reads format 1/],
    ["{}", /cannot be read/],
    ["", /cannot be read/],
  ])("of %s is refused to who reads and who writes, and nothing is written", async (text, message) => {
    const store = await opened();
    await setMark(text);
    const refused = { code: "STORE_FORMAT", message: expect.stringMatching(message) as string };
    await expect(store.ping()).rejects.toMatchObject(refused);
    await expect(store.read([STATE], [PLACE.name])).rejects.toMatchObject(refused);
    await expect(store.commit([STATE], [])).rejects.toMatchObject(refused);
    await expect(store.commit([], [PLACE])).rejects.toMatchObject(refused);
    expect(await client.keys(`${prefix}*`)).toEqual([`${prefix}metas`]);
    expect(await client.hgetall(`${prefix}metas`)).toEqual({ format: text });
  });

  it("is held against with each place that is read, whatever it was when the store was opened", async () => {
    const store = await opened();
    await store.commit([STATE], [PLACE]);
    await setMark(OTHER);
    await expect(store.read([], [PLACE.name])).rejects.toMatchObject({ code: "STORE_FORMAT" });
  });
});
