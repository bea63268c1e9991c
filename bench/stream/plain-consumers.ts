/** What a worker is measured beside: consumers of the same records that do no more than count, or write raw values. */
import { Redis } from "ioredis";
import type { KafkaConnection } from "../../src/ingest/kafka/connection.ts";
import { PARTITIONS } from "./workload.ts";

/** Events a second, from the given offsets to the end. */
export async function countRecords(
  connection: KafkaConnection,
  topic: string,
  from: readonly number[],
): Promise<number> {
  return consume(connection, topic, from, () => Promise.resolve());
}

/** The same, each record's value written under its account's key: one pipeline for what came together. */
export async function writeRawValues(
  connection: KafkaConnection,
  topic: string,
  from: readonly number[],
  redisUrl: string,
): Promise<number> {
  const redis = new Redis(redisUrl);
  await redis.ping();
  try {
    return await consume(connection, topic, from, async (values) => {
      const pipeline = redis.pipeline();
      for (const value of values) {
        const { account } = JSON.parse(value.toString("utf8")) as { readonly account: string };
        pipeline.set(`raw:${account}`, value);
      }
      await pipeline.exec();
    });
  } finally {
    await redis.quit();
  }
}

async function consume(
  connection: KafkaConnection,
  topic: string,
  from: readonly number[],
  take: (values: readonly Buffer[]) => Promise<void>,
): Promise<number> {
  const ends = await connection.offsets(topic, "end");
  const positions = [...from];
  let count = 0;
  const began = performance.now();
  for (;;) {
    const behind = Array.from({ length: PARTITIONS }, (_, partition) => ({
      topic,
      partition,
      offset: positions[partition]!,
    })).filter(({ partition, offset }) => offset < ends[partition]!);
    if (behind.length === 0) break;
    for (const { partition, records, nextOffset } of await connection.fetch(behind, 500)) {
      positions[partition] = nextOffset;
      count += records.length;
      await take(records.map(({ value }) => value!));
    }
  }
  return count / ((performance.now() - began) / 1000);
}
