import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { KafkaWorld, sentPayment } from "./kafka-world.ts";

const describeWithKafka = await describeWhere("kafka");

const some = (from: number, to: number): ReturnType<typeof sentPayment>[] =>
  Array.from({ length: to - from }, (_, i) => sentPayment(from + i));

describeWithKafka("a worker", () => {
  it("routes a source to a topic for each entity, and folds them to the states of an undisturbed fold", async () => {
    const t0 = Date.now();
    const tell = (s: string) => console.log(s, Date.now() - t0);
    const world = await KafkaWorld.open(await shared("kafka"));
    tell("open");
    const store = new MemoryOnlineStore();
    await world.send(some(0, 500));
    tell("sent");
    const worker = await world.worker(store);
    tell("started");
    await world.send(some(500, 1000));
    await world.settled(store, 1000);
    tell("settled");
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    tell("compared");
    expect(await world.countOf(store, world.routes[0]!)).toBe(1000);
    expect(worker.progress.fold.copies).toBe(0);
    await world.close();
    tell("closed");
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
    await world.settled(store, 5);
    const letters = (await world.read(`${world.settings.prefix}.payments.dead-letters`)).flat();
    const shown = letters.map(({ key, value, headers }) => {
      const of = headers();
      const text = (name: string): string | undefined => of.get(`onefold-${name}`)?.toString();
      return [
        key!.toString().replace(world.settings.prefix, ""),
        text("code"),
        text("stage"),
        text("view"),
        value!.toString().slice(0, 7),
      ];
    });
    expect(new Set(shown.map((one) => JSON.stringify(one)))).toEqual(
      new Set(
        [
          ["-payments/0/1", "JSON_INVALID", "record", undefined, "no json"],
          ["-payments/0/2", "NULL_NOT_ALLOWED", "door", undefined, '{"id":"'],
          ["-payments/0/4", "EVENT_TOO_FAR_AHEAD", "door", undefined, '{"id":"'],
          ["-payments/0/5:shop_payments@1", "EVENT_POISON", "fold", "shop_payments@1", '{"id":"'],
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
    while (owned(second).length === 0 || owned(first).length > 8) {
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
});
