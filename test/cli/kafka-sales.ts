/**
 * Sales in a topic of a real Kafka, folded by a worker into a real Redis and into tables; and the commands of somebody who
 * looks at them from a folder of his own.
 */
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { KafkaConnection } from "../../src/ingest/kafka/connection.ts";
import { kafkaSettings } from "../../src/ingest/kafka/settings.ts";
import { WorkerProcess } from "../ingest/kafka/worker-process.ts";
import { shared } from "../services/describe-where.ts";
import { type RedisServer, startRedis } from "../services/redis.ts";
import { runJson } from "./run-cli.ts";

export interface Sale {
  readonly id: string;
  readonly user: string;
  readonly shop: string;
  readonly note: string;
  readonly amount: number;
  readonly at: string;
}

export function saleOf(n: number, parts: Partial<Sale> = {}): Sale {
  const at = new Date(Date.UTC(2026, 0, 5, 10, n)).toISOString();
  return { id: `e${n}`, user: `u${n % 4}`, shop: `s${n % 3}`, note: "plain", amount: n + 1, at, ...parts };
}

export class KafkaSales {
  readonly settings = { prefix: `t${randomUUID().slice(0, 8)}`, partitionCount: 3, sessionMs: 6000 };
  readonly connection: KafkaConnection;
  readonly redis: RedisServer;
  /** For commands and workers: no more than what is looked at hangs on how busy the machine is. */
  readonly online: string;
  /** Of commands that look into tables, and of those that write to Kafka, too. */
  readonly tables: readonly string[];
  readonly there: readonly string[];
  readonly #folder: string;
  readonly #topic = `sales-${randomUUID().slice(0, 8)}`;

  private constructor(folder: string, kafka: string, redis: RedisServer) {
    this.#folder = folder;
    this.redis = redis;
    this.online = `${redis.url}?timeout_ms=30000`;
    this.connection = new KafkaConnection(kafkaSettings({ brokers: [kafka], ...this.settings }));
    this.tables = ["--data", "data", "--archive", "archive", "--kafka-prefix", this.settings.prefix];
    this.there = [...this.tables, "--kafka", kafka];
  }

  /** A topic without records, and definitions that are not applied yet. */
  static async open(folder: string): Promise<KafkaSales> {
    const sales = new KafkaSales(folder, await shared("kafka"), await startRedis());
    sales.define("");
    await sales.connection.createTopic({ name: sales.#topic, partitionCount: 2, replicas: 1, configs: {} });
    return sales;
  }

  /** Writes the definitions, with more of them behind. */
  define(more: string): void {
    const text = `import { count, entity, last, service, stream, sum, t, view } from "onefold";
export const user = entity("user", { user: t.string() });
export const shop = entity("shop", { shop: t.string() });
export const sales = stream("sales", {
  columns: { id: t.string(), user: t.string(), shop: t.string(), note: t.string(), amount: t.int64(), at: t.timestamp() },
  eventTime: "at", id: "id", kafka: "${this.#topic}",
});
export const spending = view("spending", {
  entity: user, source: sales, features: { spent: sum("amount"), latest: last("note") },
});
export const shops = view("shops", { entity: shop, source: sales, features: { sold: sum("amount"), sales: count(), noted: last("note") } });
export const model = service("model", { features: [spending, shops] });
${more}`;
    writeFileSync(join(this.#folder, "features.ts"), text);
  }

  send(rows: readonly object[]): Promise<void> {
    return this.connection.send(
      rows.map((row, n) => {
        const value = Buffer.from(JSON.stringify(row));
        return { topic: this.#topic, partition: n % 2, key: null, value, headers: new Map<string, string>() };
      }),
    );
  }

  startWorker(): Promise<WorkerProcess> {
    const of = { settings: { ...this.connection.settings }, definitions: join(this.#folder, "features.ts") };
    return WorkerProcess.start(of, { onlineUrl: this.online, archiveFolder: join(this.#folder, "archive") });
  }

  /** What a command answers that must succeed. */
  async json(...args: readonly string[]): Promise<Record<string, any>> {
    const { exitCode, result } = await runJson(args, this.#folder);
    if (exitCode !== 0) throw new Error(`${args.join(" ")} failed: ${JSON.stringify(result)}`);
    return result;
  }

  /** What one says that must not. */
  async refused(...args: readonly string[]): Promise<unknown> {
    return (await runJson(args, this.#folder)).result["error"];
  }

  /** A vector of a service, of entities by their names. */
  async vector(service: string, entities: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
    const named = Object.entries(entities).flatMap(([name, key]) => ["--entity", `${name}=${key}`]);
    const from = ["--data", "data", "--online", this.online];
    return (await this.json("get", "--service", service, ...named, ...from))["features"];
  }

  async close(): Promise<void> {
    await this.connection.close();
    await this.redis.close();
  }
}

/** Waits until the model's vector is that. */
export async function untilSeen(
  sales: KafkaSales,
  entities: Readonly<Record<"user" | "shop", string>>,
  wanted: Record<string, unknown>,
): Promise<void> {
  await expect.poll(() => sales.vector("model", entities), { timeout: 120_000, interval: 200 }).toMatchObject(wanted);
}
