import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Admin } from "@platformatic/kafka";
import { expect, it } from "vitest";
import type { Micros } from "../../../src/base/micros.ts";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { compileViewFold } from "../../../src/fold/compile.ts";
import type { ViewFold, ViewState } from "../../../src/fold/view-fold.ts";
import { compileDoor } from "../../../src/ingest/door.ts";
import type { KafkaRecord } from "../../../src/ingest/kafka/records.ts";
import { partitionOfKey } from "../../../src/ingest/kafka/key-partition.ts";
import type { Worker } from "../../../src/ingest/kafka/worker.ts";
import { kafkaTopicProblems } from "../../../src/platform/kafka/topic-check.ts";
import { ForgetfulStorage } from "../../../src/testing/forgetful-storage.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { openPayments, pipelineView, shop, shopView, storedStates, TestClock, user, userView } from "../payments.ts";
import { KafkaWorld, sentPayment, type SentPayment } from "./kafka-world.ts";

const describeWithKafka = await describeWhere("kafka");

const some = (from: number, to: number): ReturnType<typeof sentPayment>[] =>
  Array.from({ length: to - from }, (_, i) => sentPayment(from + i));

describeWithKafka("a worker", () => {
  it("routes a source to a topic for each entity, and folds them to the states of an undisturbed fold", async () => {
    const world = await KafkaWorld.open(await shared("kafka"));
    const store = new MemoryOnlineStore();
    await world.send(some(0, 500));
    const worker = await world.worker(store);
    await world.send(some(500, 1000));
    await world.settled(store, 1000);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    expect(await world.countOf(store, world.routes[0]!)).toBe(1000);
    expect(worker.progress.fold.copies).toBe(0);
    await world.close();
  });

  it("writes what cannot be used to the dead letters once, with its reason, and drops an id that came before", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { sourcePartitions: 1 });
    const store = new MemoryOnlineStore();
    const ahead = new Date(Date.now() + 3_600_000).toISOString();
    await world.send([
      sentPayment(1),
      "no json",
      JSON.stringify({ ...sentPayment(2), user: null }),
      sentPayment(1),
      { ...sentPayment(3), at: ahead },
      sentPayment(4, { amount: 13 }),
      sentPayment(1, { id: "other" }),
    ]);
    await world.worker(store);
    // Two are refused, one comes a second time, and one is too far ahead.
    await world.settled(store, 3);
    const letters = (await world.read(`${world.settings.prefix}.payments.dead-letters`)).flat();
    const shown = letters.map(({ key, value, headers }) => {
      const of = headers();
      const text = (name: string): string | undefined => of.get(`onefold-${name}`)?.toString();
      return [
        key!.toString().replace(text("topic-id")!, ""),
        text("code"),
        text("stage"),
        text("view"),
        value!.toString().slice(0, 7),
      ];
    });
    expect(new Set(shown.map((one) => JSON.stringify(one)))).toEqual(
      new Set(
        [
          ["/0/1", "JSON_INVALID", "record", undefined, "no json"],
          ["/0/2", "NULL_NOT_ALLOWED", "door", undefined, '{"id":"'],
          ["/0/4", "EVENT_TOO_FAR_AHEAD", "door", undefined, '{"id":"'],
          ["/0/5:shop_payments@1", "EVENT_POISON", "fold", "shop_payments@1", '{"id":"'],
        ].map((one) => JSON.stringify(one)),
      ),
    );
    expect(shown).toHaveLength(4);
    expect(await world.countOf(store, world.routes[0]!)).toBe(3);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    await world.close();
  });

  it("gives up only the partitions that another one is given, and takes them over when that one leaves", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { partitionCount: 8 });
    const store = new MemoryOnlineStore();
    const first = await world.worker(store);
    await world.send(some(0, 500));
    await world.settled(store, 500);
    const owned = (worker: typeof first): string[] =>
      worker.progress.fold.partitions.map(({ topic, partition }) => `${topic}/${partition}`);
    expect(owned(first)).toHaveLength(16);
    const second = await world.worker(store);
    let sent = 500;
    while (owned(second).length !== 8 || owned(first).length !== 8) {
      await world.send(some(sent, (sent += 50)));
      await sleep(20);
    }
    expect(new Set([...owned(first), ...owned(second)]).size).toBe(16);
    await world.settled(store, sent);
    await second.stop();
    await world.send(some(sent, (sent += 500)));
    await world.settled(store, sent);
    expect(owned(first)).toHaveLength(16);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    expect(await world.countOf(store, world.routes[0]!)).toBe(sent);
    await world.close();
  });

  it("takes up its own partitions under its lasting name, and no other moves", async () => {
    // Long enough that nobody is taken for dead because the machine is busy.
    const world = await KafkaWorld.open(await shared("kafka"), { partitionCount: 8, sessionMs: 30_000 });
    const store = new MemoryOnlineStore();
    const named = (instanceId: string): Promise<Worker> =>
      world.worker(store, { kafka: { ...world.settings, instanceId } });
    const owned = (worker: Worker): string[] =>
      worker.progress.fold.partitions.map(({ topic, partition }) => `${topic}/${partition}`).toSorted();
    const first = await named("first");
    const second = await named("second");
    while (owned(first).length !== 8 || owned(second).length !== 8) await sleep(20);
    const before = owned(first);
    let moves = 0;
    const watching = setInterval(() => {
      if (owned(second).length !== 8) moves++;
    }, 5);
    await first.stop();
    await world.send(some(0, 300));
    const again = await named("first");
    await world.settled(store, 300);
    clearInterval(watching);
    expect(owned(again)).toEqual(before);
    expect(moves).toBe(0);
    await world.close();
  });

  it("routes the partitions that a source's topic is given later, and refuses them to a folded topic", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { sourcePartitions: 1, partitionCount: 2 });
    const store = new MemoryOnlineStore();
    const worker = await world.worker(store, { lookMs: 300 });
    await world.send(some(0, 50));
    await world.settled(store, 50);
    const { brokers, prefix } = world.settings;
    const admin = new Admin({ clientId: "test", bootstrapBrokers: [...brokers] });
    const grow = (name: string, count: number): Promise<void> =>
      admin.createPartitions({ topics: [{ name, count, assignments: null }] });
    await grow(world.source.kafka!.topic, 3);
    world.sourcePartitions = 3;
    for (let tries = 0; ; tries++) {
      try {
        await world.send(some(50, 200));
        break;
      } catch (error) {
        if (tries > 600) throw error;
        await sleep(100);
      }
    }
    await world.settled(store, 200);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    await worker.stop();
    await grow(`${prefix}.payments.by.user`, 4);
    await expect(world.worker(store)).rejects.toMatchObject({
      code: "KAFKA_TOPIC_UNFIT",
      message: `topic ${prefix}.payments.by.user had 2 partitions, and has 4`,
    });
    await admin.close();
    await world.close();
  });

  it("folds a topic as it is where it is keyed by the entity and stamps the time of its append", async () => {
    const topic = `direct-${randomUUID().slice(0, 8)}`;
    const source = { kafka: { topic, direct: true as const } };
    const world = await KafkaWorld.open(await shared("kafka"), { source, sourcePartitions: 2 });
    const store = new MemoryOnlineStore();
    const put = async (payment: SentPayment, key = payment.user): Promise<void> => {
      const partition = partitionOfKey(Buffer.from(key), 2);
      const value = Buffer.from(JSON.stringify(payment));
      await world.connection.send([{ topic, partition, key: Buffer.from(key), value, headers: new Map() }]);
    };
    for (const payment of some(0, 60)) await put(payment);
    await world.worker(store);
    await put(sentPayment(60), "another");
    await put(sentPayment(61));
    const fold: ViewFold = compileViewFold(userView, world.source, user);
    const door = compileDoor(world.source, []);
    const states = new Map<string, ViewState>();
    for (const records of await world.read(topic)) {
      for (const { offset, timestampMs, key, value } of records) {
        const knownTime = (timestampMs * 1000) as Micros;
        const checked = door.check(JSON.parse(value!.toString()), knownTime);
        if (key!.toString() === "another") continue;
        const state = states.get(key!.toString()) ?? fold.empty();
        states.set(key!.toString(), state);
        fold.fold(state, { ...checked, offset, knownTime });
      }
    }
    const right = Object.fromEntries(
      [...states].map(([key, state]) => [key, Buffer.from(fold.encode(state)).toString("hex")]),
    );
    const [route] = world.routes;
    const found = async (): Promise<Record<string, string>> =>
      (await world.storedStates(store, route!)).get("user_payments@1")!;
    for (let tries = 0; tries < 1200 && JSON.stringify(await found()).length < JSON.stringify(right).length; tries++) {
      await sleep(50);
    }
    await sleep(300);
    expect(await found()).toEqual(right);
    const [[letter]] = (await world.read(`${world.settings.prefix}.payments.dead-letters`)) as [KafkaRecord[]];
    expect(letter!.headers().get("onefold-code")!.toString()).toBe("KEY_MISSING");
    await world.close();
  });

  it("comes to the bytes of an embedded platform that takes the same events in the same order", async () => {
    const source = { kafka: { topic: `embedded-${randomUUID().slice(0, 8)}`, direct: true as const } };
    const world = await KafkaWorld.open(await shared("kafka"), { source, sourcePartitions: 1 });
    const { topic } = source.kafka;
    const records = some(0, 150).map((payment) => ({
      topic,
      partition: 0,
      key: Buffer.from(payment.user),
      value: Buffer.from(JSON.stringify(payment)),
      headers: new Map<string, string>(),
    }));
    for (let from = 0; from < records.length; from += 10) await world.connection.send(records.slice(from, from + 10));
    const store = new MemoryOnlineStore();
    const worker = await world.worker(store);
    const clock = new TestClock();
    const stage = { storage: new ForgetfulStorage(), store: new MemoryOnlineStore(), clock };
    const pipeline = await openPayments(stage, { views: [pipelineView(userView)] });
    for (const { timestampMs, value } of (await world.read(topic))[0]!) {
      clock.time = timestampMs * 1000;
      await pipeline.push([JSON.parse(value!.toString())]);
    }
    await pipeline.drain();
    while (worker.progress.fold.events < records.length) await sleep(20);
    const [route] = world.routes;
    const embedded = storedStates(pipeline);
    const folded = (await world.storedStates(store, route!)).get("user_payments@1")!;
    expect(Object.keys(folded)).toHaveLength(37);
    expect(Object.fromEntries(Object.entries(folded).map(([key, hex]) => [`user_payments@1#0/${key}`, hex]))).toEqual(
      embedded,
    );
    await pipeline.close();
    await world.close();
  });

  it("says what keeps a topic from being folded directly, and which are missing", async () => {
    const source = { kafka: { topic: `plain-${randomUUID().slice(0, 8)}` } };
    const world = await KafkaWorld.open(await shared("kafka"), { source, sourcePartitions: 1 });
    await world.send([sentPayment(1)]);
    const problemsOf = (kafka: StreamDefinition["kafka"]) => {
      const stream = { ...world.source, kafka: kafka! };
      return kafkaTopicProblems([user, shop, stream, userView], world.settings);
    };
    expect(await problemsOf(source.kafka)).toEqual([]);
    const direct = await problemsOf({ ...source.kafka, direct: true });
    expect(direct.map(({ code, message }) => [code, message.split(": ")[1]!])).toEqual([
      ["KAFKA_TOPIC_UNFIT", "its records carry the sender's time, not that of their append"],
      ["KAFKA_TOPIC_UNFIT", 'record 0 of partition 0 has no key, not "u1", its user'],
    ]);
    const [missing] = await problemsOf({ topic: "nowhere" });
    expect(missing).toMatchObject({
      code: "KAFKA_TOPIC_UNFIT",
      message: "source payments reads topic nowhere, and there is none",
    });
    const direct2 = { ...world.source, kafka: { ...source.kafka, direct: true as const } };
    await expect(kafkaTopicProblems([user, shop, direct2, userView, shopView], world.settings)).rejects.toMatchObject({
      code: "DEFINITION_INVALID",
    });
    await world.close();
  });
});
