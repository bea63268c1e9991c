/** A real broker answers one connection's requests in turn: who waits for records must not hold up the others. */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { KafkaConnection } from "../../../src/ingest/kafka/connection.ts";
import { kafkaSettings } from "../../../src/ingest/kafka/settings.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const describeWithKafka = await describeWhere("kafka");
const WAIT_MS = 8000;

describeWithKafka("fetches", () => {
  it("of one caller are not held up by another's that wait for records", { timeout: 240_000 }, async () => {
    const connection = new KafkaConnection(kafkaSettings({ brokers: [await shared("kafka")] }));
    const [full, empty] = [`full-${randomUUID()}`, `empty-${randomUUID()}`];
    try {
      for (const name of [full, empty]) {
        await connection.createTopic({ name, partitionCount: 1, replicas: 1, configs: {} });
      }
      const record = { topic: full, partition: 0, key: null, value: Buffer.from("{}"), headers: new Map() };
      await connection.send([record]);
      await connection.fetch([{ topic: full, partition: 0, offset: 0 }], 100, "quick");
      let isWaiting = true;
      const waiting = connection
        .fetch([{ topic: empty, partition: 0, offset: 0 }], WAIT_MS, "patient")
        .finally(() => (isWaiting = false));
      // Enough for its request to be on the way.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const [fetched] = await connection.fetch([{ topic: full, partition: 0, offset: 0 }], 100, "quick");
      expect(fetched!.records).toHaveLength(1);
      expect(await connection.offsets(full, "end")).toEqual([1]);
      expect(isWaiting).toBe(true);
      await waiting;
    } finally {
      await connection.close();
    }
  });
});
