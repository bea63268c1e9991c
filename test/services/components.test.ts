/** The components that other tests stand on: each starts, answers, and is there again with its data after a kill. */
import { Redis } from "ioredis";
import { Client } from "pg";
import { afterEach, expect, it } from "vitest";
import { describeWhere, shared } from "./describe-where.ts";
import { startKafka } from "./kafka.ts";
import { newDatabase, startPostgres } from "./postgres.ts";
import { startRedisCluster } from "./redis-cluster.ts";
import { startRedis } from "./redis.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function closed<T extends { close(): Promise<void> }>(component: T): T {
  closers.push(() => component.close());
  return component;
}

function redisClient(url: string, options: object = {}): Redis {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, ...options });
  client.on("error", () => undefined);
  closers.push(async () => client.disconnect());
  return client;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

const describeRedis = await describeWhere("redis", { ours: true });
const describeKafka = await describeWhere("kafka", { ours: true });
const describePostgres = await describeWhere("postgres", { ours: true });

describeRedis("a Redis of one's own", () => {
  it("answers, and has what it acknowledged after a kill, on the same port", async () => {
    const server = closed(await startRedis({ durable: true }));
    const client = redisClient(server.url);
    expect(await client.set("a", "1")).toBe("OK");
    await server.kill();
    await expect(redisClient(server.url).connect()).rejects.toThrow();
    await server.restart();
    expect(await redisClient(server.url).get("a")).toBe("1");
  });

  it("answers nobody while it is paused, and goes on", async () => {
    const server = closed(await startRedis());
    const client = redisClient(server.url);
    await client.set("a", "1");
    await server.pause();
    const asked = client.get("a");
    expect(await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, 300, "silence"))])).toBe("silence");
    await server.resume();
    expect(await asked).toBe("1");
  });

  it("speaks TLS alone, and knows its users alone, where asked for", async () => {
    const users = [{ name: "app", password: "secret", rules: "~app:* +@all" }];
    const server = closed(await startRedis({ tls: true, users }));
    const tls = { ca: server.ca! };
    const app = redisClient(server.url, { tls, username: "app", password: "secret" });
    expect(await app.set("app:a", "1")).toBe("OK");
    await expect(app.set("other", "1")).rejects.toThrow("NOPERM");
    await expect(redisClient(server.url, { tls }).get("app:a")).rejects.toThrow("NOAUTH");
    await expect(redisClient(server.url, { tls: {}, username: "app", password: "secret" }).connect()).rejects.toThrow();
  });
});

describeRedis("a Redis Cluster", () => {
  it("shares the slots out, and is whole again after a node was killed", async () => {
    const cluster = closed(await startRedisCluster({ durable: true }));
    expect(cluster.nodes).toHaveLength(3);
    // Slots 12182, 5061 and so of different nodes: the others say who has it.
    const [first, second] = cluster.urls.map((url) => redisClient(url));
    const answers = await Promise.all([first!.set("a", "1"), second!.set("a", "1")].map((set) => set.catch(String)));
    expect(answers.every((answer) => /MOVED 15495/.test(answer!))).toBe(true);
    const third = cluster.nodes[2]!;
    await redisClient(third.url).set("a", "1");
    await third.kill();
    await third.restart();
    await cluster.agreed();
    expect(await redisClient(third.url).get("a")).toBe("1");
  });

  it("puts a replica in the place of a master that is dead", async () => {
    const cluster = closed(await startRedisCluster({ replicasPerMaster: 1 }));
    const replica = redisClient(cluster.urls[5]!);
    await cluster.nodes[2]!.kill();
    await expect
      .poll(() => replica.call("ROLE").then((role) => (role as string[])[0]), { timeout: 60_000 })
      .toBe("master");
    await cluster.agreed();
    await expect.poll(() => replica.set("a", "1").catch(String), { timeout: 60_000 }).toBe("OK");
  });
});

describeKafka("a Kafka broker of one's own", () => {
  it("takes and gives records, and has them after a kill, on the same port", async () => {
    const broker = closed(await startKafka({ config: { "auto.create.topics.enable": "true" } }));
    const topic = ["--topic", "letters"];
    await broker.tool("org.apache.kafka.tools.ConsoleProducer", [...topic, "--sync"], "a\nb\n");
    await broker.kill();
    await broker.restart();
    const consume = [...topic, "--from-beginning", "--max-messages", "2", "--timeout-ms", "30000"];
    expect(await broker.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", consume)).toBe("a\nb\n");
  });
});

describePostgres("a PostgreSQL of one's own", () => {
  it("answers, and has what was committed after a kill, on the same port", async () => {
    const server = closed(await startPostgres());
    const database = await newDatabase(server.url);
    await query(database, "CREATE TABLE letters AS SELECT 'a' AS letter");
    await server.kill();
    await expect(query(database, "SELECT 1")).rejects.toThrow();
    await server.restart();
    expect(await query(database, "SELECT letter FROM letters")).toEqual([{ letter: "a" }]);
  });

  it("asks for its password", async () => {
    const server = closed(await startPostgres());
    const wrong = server.url.replace(/:[^:@]+@/, ":wrong@");
    await expect(query(wrong, "SELECT 1")).rejects.toThrow("password authentication failed");
  });

  it("answers nobody while it is paused, and goes on", async () => {
    const server = closed(await startPostgres());
    await server.pause();
    await expect(query(server.url, "SELECT 1")).rejects.toThrow("timeout");
    await server.resume();
    expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });
});

const describeShared = await describeWhere("postgres");

describeShared("a component that the run shares", () => {
  it("is the same one for all who ask", async () => {
    const [one, other] = await Promise.all([shared("postgres"), shared("postgres")]);
    expect(one).toBe(other);
    const [first, second] = [await newDatabase(one), await newDatabase(one)];
    await query(first, "CREATE TABLE mine (a int)");
    expect(await query(second, "SELECT 1 FROM pg_tables WHERE tablename = 'mine'")).toEqual([]);
  });
});
