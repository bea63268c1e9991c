import { expect, it } from "vitest";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { KafkaWorld, sentPayment } from "./kafka-world.ts";

const describeWithKafka = await describeWhere("kafka");

describeWithKafka("a worker", () => {
  it("routes a source to a topic for each entity, and folds them to the states of an undisturbed fold", async () => {
    const world = await KafkaWorld.open(await shared("kafka"));
    const store = new MemoryOnlineStore();
    await world.send(Array.from({ length: 500 }, (_, n) => sentPayment(n)));
    const worker = await world.worker(store);
    await world.send(Array.from({ length: 500 }, (_, n) => sentPayment(500 + n)));
    await world.settled(store, 1000);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    expect(await world.countOf(store, world.routes[0]!)).toBe(1000);
    expect(worker.progress.fold.copies).toBe(0);
    await world.close();
  });
});
