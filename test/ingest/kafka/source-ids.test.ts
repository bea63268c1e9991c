/**
 * Event ids over a real broker: each counts once in its source, whatever the entities of the events that carry it, as
 * in an embedded platform; in a topic that is folded directly once for each entity.
 */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { ForgetfulStorage } from "../../../src/testing/forgetful-storage.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { openPayments, pipelineView, shopView, storedStates, TestClock, userView } from "../payments.ts";
import { KafkaWorld, sentPayment, type SentPayment } from "./kafka-world.ts";

const describeWithKafka = await describeWhere("kafka");

/** Each id up to three times: of another user, of another shop, or the very same. */
const sent: readonly SentPayment[] = Array.from({ length: 120 }, (_, n) => {
  const id = `p${n % 50}`;
  return sentPayment(n, { id, amount: n, ...(n % 3 === 0 ? sentPayment(n % 50, { id, amount: n }) : {}) });
});
const ids = new Set(sent.map(({ id }) => id)).size;
const perUser = new Set(sent.map(({ id, user }) => `${user} ${id}`)).size;

function topicOf(kafka: Partial<StreamDefinition["kafka"]> = {}): Partial<StreamDefinition> {
  return { kafka: { topic: `ids-${randomUUID().slice(0, 8)}`, ...kafka } };
}

describeWithKafka("an event id", () => {
  it("counts once, for whichever entity it came first: to the bytes of an embedded platform", async () => {
    const source = topicOf({ knownTime: "record" });
    const world = await KafkaWorld.open(await shared("kafka"), { source, sourcePartitions: 1, partitionCount: 1 });
    const store = new MemoryOnlineStore();
    for (let n = 0; n < sent.length; n += 7) await world.send(sent.slice(n, n + 7));
    const worker = await world.worker(store);
    await world.settled(store, ids, 60_000);
    expect(worker.progress.fold.duplicates).toBe(sent.length - ids);

    const clock = new TestClock();
    const stage = { storage: new ForgetfulStorage(), store: new MemoryOnlineStore(), clock };
    const pipeline = await openPayments(stage, { views: [pipelineView(userView), pipelineView(shopView)] });
    for (const { timestampMs, value } of (await world.read(world.source.kafka!.topic))[0]!) {
      clock.time = timestampMs * 1000;
      await pipeline.push([JSON.parse(value!.toString())]);
    }
    await pipeline.drain();
    const folded: Record<string, string> = {};
    for (const route of world.routes) {
      for (const [view, states] of await world.storedStates(store, route)) {
        for (const [key, hex] of Object.entries(states)) folded[`${view}#0/${key}`] = hex;
      }
    }
    expect(folded).toEqual(storedStates(pipeline));
    await pipeline.close();
    await world.close();
  });

  it("counts once where the events that carry it are in different partitions, for all views alike", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { sourcePartitions: 4, partitionCount: 3 });
    const store = new MemoryOnlineStore();
    await Promise.all([world.worker(store), world.worker(store)]);
    for (let n = 0; n < sent.length; n += 10) await world.send(sent.slice(n, n + 10));
    await world.settled(store, ids, 60_000);
    const taken = world.routes.map(async ({ topic }) =>
      (await world.read(topic))
        .flat()
        .map(({ value }) => value!.toString())
        .toSorted(),
    );
    const [byUser, byShop] = await Promise.all(taken);
    expect(byUser).toHaveLength(ids);
    expect(byShop).toEqual(byUser);
    expect(new Set(byUser!.map((value) => (JSON.parse(value) as SentPayment).id)).size).toBe(ids);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    expect(await world.countOf(store, world.routes[0]!)).toBe(ids);
    await world.close();
  });

  it("counts once for each entity where the source says so, and then no topic of ids is made", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { source: topicOf({ ids: "entity" }) });
    const store = new MemoryOnlineStore();
    await world.send(sent);
    await world.worker(store);
    await world.settled(store, sent.length, 60_000);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    expect(await world.countOf(store, world.routes[0]!)).toBe(perUser);
    const name = `${world.settings.prefix}.payments.ids`;
    expect((await world.connection.topics([name])).has(name)).toBe(false);
    await world.close();
  });

  it("counts once for each entity in a topic that is folded directly", async () => {
    const source = topicOf({ direct: true });
    const world = await KafkaWorld.open(await shared("kafka"), { source, sourcePartitions: 1 });
    const store = new MemoryOnlineStore();
    const records = sent.map((payment) => ({
      topic: world.source.kafka!.topic,
      partition: 0,
      key: Buffer.from(payment.user),
      value: Buffer.from(JSON.stringify(payment)),
      headers: new Map<string, string>(),
    }));
    await world.connection.send(records);
    const worker = await world.worker(store);
    expect(perUser).toBeGreaterThan(ids);
    await expect.poll(() => worker.progress.fold.events, { timeout: 60_000 }).toBe(perUser);
    expect(await world.countOf(store, world.routes[0]!)).toBe(perUser);
    await world.close();
  });
});
