/** Topics that Kafka itself compresses, in each way that it knows, as Java's producers do. */
import * as zlib from "node:zlib";
import { afterEach, expect, it } from "vitest";
import type { OnefoldError } from "../../../src/base/errors.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { Worker } from "../../../src/ingest/kafka/worker.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { KafkaWorld, sentPayment } from "./kafka-world.ts";

const describeWithKafka = await describeWhere("kafka");
/** From Node 22.15 on. */
const hasZstd = "zstdDecompressSync" in zlib;

let world: KafkaWorld;
afterEach(() => world?.close());

async function openCompressed(type: string): Promise<void> {
  world = await KafkaWorld.open(await shared("kafka"), { topicConfigs: { "compression.type": type } });
  // Batches of many records, and such as are longer than the blocks that some compress in.
  for (let part = 0; part < 3; part++) {
    await world.send(
      Array.from({ length: 400 }, (_, n) => {
        return sentPayment(part * 400 + n, n % 100 === 0 ? { user: "u".repeat(900) } : {});
      }),
    );
  }
}

describeWithKafka("a worker on a compressed topic", () => {
  it.each(["gzip", "snappy", "lz4", ...(hasZstd ? ["zstd"] : [])])("folds what is in it: %s", async (type) => {
    await openCompressed(type);
    const store = new MemoryOnlineStore();
    await world.worker(store);
    await world.settled(store, 1200);
    expect(await world.countOf(store, world.routes[0]!)).toBe(1200);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
  });

  it.each(hasZstd ? [] : ["zstd"])("ends and says why where its Node cannot read it: %s", async (type) => {
    await openCompressed(type);
    const { definitions, settings } = world;
    const store = new MemoryOnlineStore();
    const worker = await Worker.start({ definitions, kafka: settings, store, clock: systemClock });
    const failure: OnefoldError = await worker.failed;
    await worker.stop();
    expect(failure.code).toBe("KAFKA_TOPIC_UNFIT");
    expect(failure.message).toContain("Zstandard");
  });
});
