/** One command that forgets at a time: the second is refused by the name of the first, and one that was killed is waited for. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { openRedisStore, type RedisOnlineStore } from "../../../src/online-store/redis/redis-store.ts";
import { ForgetLock } from "../../../src/platform/kafka/forget-lock.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const describeWithRedis = await describeWhere("redis");

async function opened(): Promise<RedisOnlineStore> {
  return openRedisStore({ url: `${await shared("redis")}?prefix=${randomUUID()}:&timeout_ms=30000` });
}

describeWithRedis("the lock of a command that forgets", () => {
  it("is held by one, and by the next as soon as it is given up", async () => {
    const store = await opened();
    const first = await ForgetLock.take({ store, prefix: "onefold" });
    await expect(ForgetLock.take({ store, prefix: "onefold" })).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
      where: "onefold",
      message: expect.stringContaining(`process ${process.pid} on `) as unknown,
    });
    // Topics of another prefix are other topics.
    const other = await ForgetLock.take({ store, prefix: "other" });
    first.check();
    await first.renew();
    first.check();
    await first.release();
    await expect.poll(async () => (await ForgetLock.take({ store, prefix: "onefold" })) !== null).toBe(true);
    await other.release();
    await store.close();
  });

  it("is taken by one of many that ask at once", async () => {
    const store = await opened();
    const all = await Promise.allSettled(
      Array.from({ length: 20 }, () => ForgetLock.take({ store, prefix: "onefold" })),
    );
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await store.close();
  });

  it("goes from who stood still for longer than it lasts, who is told before going on", async () => {
    const store = await opened();
    const silent = { read: store.read.bind(store), commit: store.commit.bind(store) };
    const first = await ForgetLock.take({ store: silent, prefix: "onefold", leaseMs: 300 });
    // It is killed, or stands still: nothing is renewed.
    silent.read = () => Promise.reject(new Error("away"));
    await expect
      .poll(() =>
        ForgetLock.take({ store, prefix: "onefold" }).then(
          () => "taken",
          (error: { code: string }) => error.code,
        ),
      )
      .toBe("taken");
    expect(() => first.check()).toThrow(expect.objectContaining({ code: "FORGET_UNFINISHED" }));
    silent.read = store.read.bind(store);
    await first.renew();
    await sleep(1);
    expect(() => first.check()).toThrow(expect.objectContaining({ code: "FORGET_UNFINISHED" }));
    // What is another's by now it does not give up.
    await first.release();
    await expect(ForgetLock.take({ store, prefix: "onefold" })).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    await store.close();
  });
});
