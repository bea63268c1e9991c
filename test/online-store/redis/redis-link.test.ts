import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { parseRedisAddress } from "../../../src/online-store/redis/redis-address.ts";
import { RedisLink } from "../../../src/online-store/redis/redis-link.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const describeWithRedis = await describeWhere("redis");

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

describeWithRedis("way to a redis", () => {
  it("holds on to nothing of what it was answered, however long the connection lasts", async () => {
    const link = await RedisLink.open(parseRedisAddress(await shared("redis")), {});
    try {
      const replies: WeakRef<object>[] = [];
      for (let i = 0; i < 100; i++) {
        const [reply] = await link.send([{ name: "echo", args: [`reply ${i}`] }]);
        replies.push(new WeakRef(reply as Buffer));
      }
      await setImmediate();
      collect();
      // The last may be in some variable's hands.
      expect(replies.filter((reply) => reply.deref() !== undefined).length).toBeLessThan(10);
    } finally {
      await link.close();
    }
  });

  it("fails what is under way once it is closed, at once", async () => {
    const link = await RedisLink.open(parseRedisAddress("redis://127.0.0.1:1/?timeout_ms=60000"), {});
    const waiting = link.send([{ name: "ping", args: [] }]);
    await link.close();
    await expect(waiting).rejects.toThrow("the store was closed");
  });
});
