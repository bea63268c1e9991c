/** What is promised of Redis holds on Valkey, too. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import { onlineStoreCases } from "../../../src/testing/online-store-conformance.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { startRedis } from "../../services/redis.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 29);
const describeWithValkey = await describeWhere("valkey");
const describeWithOurs = await describeWhere("valkey", { ours: true });
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describeWithValkey("online store: valkey", () => {
  for (const storeCase of onlineStoreCases) {
    it(storeCase.name, async () => {
      const url = `${await shared("valkey")}/?prefix=${randomUUID()}:&timeout_ms=20000`;
      await storeCase.run(() => openRedisStore({ url }), SEED);
    });
  }
});

describeWithOurs("the online store on a Valkey that is killed", () => {
  it("refuses with its code, and goes on with what was acknowledged once it is back", async () => {
    const server = await startRedis({ component: "valkey", durable: true });
    closers.push(() => server.close());
    const store = await openRedisStore({ url: `${server.url}/?timeout_ms=1000` });
    closers.push(() => store.close());
    const write = { space: "v@1#0", key: "a", epoch: 0, offset: 1, bytes: new Uint8Array(8) };
    expect(await store.commit([write], [{ name: "m", bytes: new Uint8Array(1) }])).toEqual([]);
    await server.kill();
    await expect(store.ping()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await server.restart();
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(50)) {
      if (
        await store.ping().then(
          () => true,
          () => false,
        )
      )
        break;
    }
    const { states, metas } = await store.read([{ space: write.space, key: "a" }], ["m"]);
    expect([states[0]?.offset, metas[0]?.length]).toEqual([1, 1]);
    expect(await store.commit([write], [])).toHaveLength(1);
  });
});
