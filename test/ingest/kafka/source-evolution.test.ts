/**
 * A source on Kafka whose columns change: workers with the new definitions take over from those with the old ones, in the
 * middle of the topic, and senders of both kinds go on. States are those of the new definitions over all records.
 */
import { expect, it } from "vitest";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { refusal } from "../../../src/registry/compatible.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { payments } from "../payments.ts";
import { KafkaWorld, sentPayment } from "./kafka-world.ts";

const describeWithKafka = await describeWhere("kafka");

/** The amount is called "paid", and a note may come along. */
const columns: StreamDefinition["columns"] = [
  ...payments.columns.map((column) => (column.name === "amount" ? { ...column, as: "paid" } : column)),
  { name: "note", type: { name: "string" }, nullable: true },
];

describeWithKafka("a source on Kafka whose columns change", () => {
  it("comes to what the new definitions make of all records, whoever sent them", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { source: { columns }, sourcePartitions: 2 });
    const before: StreamDefinition = { ...world.source, columns: payments.columns };
    expect(refusal(before, world.source, world.definitions, 1, 2)).toBeNull();
    const store = new MemoryOnlineStore();
    const old = await world.worker(store, {
      definitions: world.definitions.map((one) => (one === world.source ? before : one)),
    });
    const sent = Array.from({ length: 90 }, (_, n) => sentPayment(n));
    await world.send(sent.slice(0, 40));
    await world.settled(store, 40, 60_000);
    await old.stop();

    const anew = sent.slice(40).map((payment, i) => {
      if (i % 3 === 0) return payment;
      const { amount, ...rest } = payment;
      return JSON.stringify({ ...rest, paid: amount, ...(i % 2 === 0 ? { note: "new" } : {}) });
    });
    await world.send(anew.slice(0, 25));
    await world.worker(store);
    await world.send(anew.slice(25));
    await world.settled(store, sent.length, 60_000);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    expect(await world.countOf(store, world.routes[0]!)).toBe(sent.length);
    await world.close();
  });
});
