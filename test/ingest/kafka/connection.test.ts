import { randomUUID } from "node:crypto";
import { Producer } from "@platformatic/kafka";
import { expect, it } from "vitest";
import { KafkaConnection } from "../../../src/ingest/kafka/connection.ts";
import type { KafkaRecord } from "../../../src/ingest/kafka/records.ts";
import { kafkaSettings } from "../../../src/ingest/kafka/settings.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const describeWithKafka = await describeWhere("kafka");

describeWithKafka("a fetch", () => {
  it("leaves out records of aborted transactions, wherever an answer ends, and says when records are gone", async () => {
    const address = await shared("kafka");
    const topic = `transactions-${randomUUID().slice(0, 8)}`;
    // Answers of a batch or two: a transaction's end is often not in the one that its records are in.
    const connection = new KafkaConnection(kafkaSettings({ brokers: [address], partitionBytesMax: 400 }));
    await connection.createTopic({ name: topic, partitionCount: 1, replicas: 1, configs: {} });
    const newProducer = (): Producer =>
      new Producer({ clientId: "test", bootstrapBrokers: [address], idempotent: true, transactionalId: randomUUID() });
    const producers = [newProducer(), newProducer()];
    const committed: string[] = [];
    const record = (text: string) => ({ topic, partition: 0, value: Buffer.from(`${text} ${"x".repeat(100)}`) });
    const put = async (text: string): Promise<void> => {
      committed.push(text);
      await connection.send([{ ...record(text), key: null, headers: new Map() }]);
    };
    for (let round = 0; round < 6; round++) {
      // Two at a time, so that they lie between each other.
      const open = await Promise.all(producers.map((producer) => producer.beginTransaction()));
      for (let part = 0; part < 3; part++) {
        for (const [i, transaction] of open.entries()) {
          await transaction.send({ messages: [record(`t${round}.${i}.${part}`)] });
        }
        await put(`plain ${round}.${part}`);
      }
      for (const [i, transaction] of open.entries()) {
        if ((round >> i) % 2 === 0) await transaction.abort();
        else {
          await transaction.commit();
          for (let part = 0; part < 3; part++) committed.push(`t${round}.${i}.${part}`);
        }
      }
    }
    const [end] = await connection.offsets(topic, "end");
    const records: KafkaRecord[] = [];
    let answers = 0;
    for (let offset = 0; offset < end!; answers++) {
      const [fetched] = await connection.fetch([{ topic, partition: 0, offset }], 500);
      records.push(...fetched!.records);
      expect(fetched!.nextOffset).toBeGreaterThan(offset);
      offset = fetched!.nextOffset;
    }
    const read = records.map(({ value }) => value!.toString().replace(/ x+$/, ""));
    expect(answers).toBeGreaterThan(10);
    expect(read.toSorted()).toEqual(committed.toSorted());
    await expect(connection.fetch([{ topic, partition: 0, offset: end! + 1000 }], 100)).rejects.toMatchObject({
      code: "KAFKA_RECORDS_GONE",
    });
    await Promise.all(producers.map((producer) => producer.close()));
    await connection.close();
  });
});
