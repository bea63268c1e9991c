import { createServer, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { parseRedisAddress } from "../../../src/online-store/redis/redis-address.ts";
import { RedisLink } from "../../../src/online-store/redis/redis-link.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { promised } from "../../promised.ts";

/** Long enough that a part of it is told from all of it on a machine that is busy. */
const LONG_MS = 6000;
const SHORT_MS = 600;

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

  it("is refused at once where the password is wrong, and the password is told to nobody", async () => {
    const url = new URL(await shared("redis"));
    url.username = "nobody";
    url.password = "not-the-password";
    url.searchParams.set("timeout_ms", String(LONG_MS));
    const link = await RedisLink.open(parseRedisAddress(url.href), {});
    try {
      const { said, ms } = await refusal(link.connected());
      expect(said).toContain("WRONGPASS");
      expect(said).not.toContain("not-the-password");
      expect(ms).toBeLessThan(LONG_MS / 2);
      // It is known by now.
      expect((await refusal(link.connected())).ms).toBeLessThan(LONG_MS / 2);
    } finally {
      await link.close();
    }
  });
});

describe("way to a server that is silent", () => {
  it("is refused once a step of it has taken too long, however often it is connected to anew", async () => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { readonly port: number };
    const link = await RedisLink.open(parseRedisAddress(`redis://127.0.0.1:${port}/?timeout_ms=${SHORT_MS}`), {});
    try {
      const { ms } = await refusal(link.connected());
      expect(ms).toBeLessThan(2 * SHORT_MS + promised(SHORT_MS));
    } finally {
      await link.close();
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });
});

async function refusal(work: Promise<unknown>): Promise<{ readonly said: string; readonly ms: number }> {
  const began = performance.now();
  const said = await work.then(
    () => "done",
    (error: Error) => error.message,
  );
  return { said, ms: performance.now() - began };
}
