import { afterAll, beforeAll, expect, it } from "vitest";
import { hashSlot, tagInSlot } from "../../../src/online-store/redis/hash-slot.ts";
import { openRedisStore, type RedisOnlineStore } from "../../../src/online-store/redis/redis-store.ts";
import { describeWhere } from "../../services/describe-where.ts";
import { type RedisCluster, startRedisCluster } from "../../services/redis-cluster.ts";

const describeWithRedis = await describeWhere("redis", { ours: true });

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

describeWithRedis("marks on a cluster", () => {
  let cluster: RedisCluster;
  let store: RedisOnlineStore;
  beforeAll(async () => {
    cluster = await startRedisCluster();
    store = await openRedisStore({
      url: `redis://${cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}?timeout_ms=20000`,
    });
    await store.ping();
  });
  afterAll(async () => {
    await store?.close();
    await cluster?.close();
  });

  it("are of the group of a key's slot", () => {
    const marks = store.marks!;
    for (const slot of [0, 255, 256, 5461, 16_383]) {
      expect(hashSlot(tagInSlot(slot))).toBe(slot);
      expect(marks.groupOf(tagInSlot(slot))).toBe(Math.floor(slot / 256));
    }
    // What is escaped in a key's braces is so for its slot, too.
    expect(marks.groupOf("a}b")).toBe(Math.floor(hashSlot("a%7db") / 256));
  });

  it("are read as they were written last, by name, both of a group", async () => {
    const marks = store.marks!;
    await marks.write([
      { name: "one", bytes: bytesOf("first"), groups: [0, 21, 63] },
      { name: "two", bytes: bytesOf("other"), groups: [21] },
    ]);
    await marks.write([{ name: "one", bytes: bytesOf("second"), groups: [21] }]);
    const found = await marks.read("one", [0, 7, 21, 63]);
    const texts = found.map(({ group, bytes }) => [group, bytes === null ? null : Buffer.from(bytes).toString()]);
    expect(texts.toSorted()).toEqual(
      [
        [0, "first"],
        [0, "first"],
        [21, "second"],
        [21, "second"],
        [63, "first"],
        [63, "first"],
        [7, null],
        [7, null],
      ].toSorted(),
    );
    expect((await marks.read("two", [21])).map(({ bytes }) => Buffer.from(bytes!).toString())).toEqual([
      "other",
      "other",
    ]);
  });
});
