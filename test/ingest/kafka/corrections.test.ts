/**
 * Events that are taken back and replaced by records of their topic, over topics in memory and real offline tables, by
 * routers, judges and folders that crash and take turns: every state is the fold, in order, of the events that count in
 * its partition, whatever happened on the way, and so are those of a view that comes later.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Micros } from "../../../src/base/micros.ts";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { ArchiveLoop, type ArchiveMemory } from "../../../src/ingest/kafka/archive-loop.ts";
import type { KafkaRecord } from "../../../src/ingest/kafka/records.ts";
import { FoldLoop } from "../../../src/ingest/kafka/fold-loop.ts";
import { PartitionFold } from "../../../src/ingest/kafka/partition-fold.ts";
import { routeParts } from "../../../src/ingest/kafka/route-parts.ts";
import { Refolding } from "../../../src/ingest/kafka/refolding.ts";
import { RouteLoop } from "../../../src/ingest/kafka/route-loop.ts";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { Verdicts } from "../../../src/ingest/kafka/verdicts.ts";
import { spaceOf } from "../../../src/ingest/kafka/view-places.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { openPartitionedEvents } from "../../../src/offline-store/partitioned-events.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import type { OnlineStore } from "../../../src/online-store/online-store.ts";
import { randomFrom, SECOND, START, user, userView } from "../payments.ts";
import { correctedStates } from "./corrected-fold.ts";
import { DisturbedWorld, PARTITIONS, plansOf, SOURCE_PARTITIONS } from "./disturbed-world.ts";
import { sentPayment } from "./kafka-world.ts";
import { SimulatedTopics } from "./simulated-topics.ts";

const FIRST_SEED = Number(process.env["ONEFOLD_SEED"] ?? 1);
const RUNS = Number(process.env["ONEFOLD_RUNS"] ?? 3);

let root: string;
let engine: QueryEngine;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "onefold-kafka-corrections-"));
  engine = await openDuckDb({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

const clock = { now: () => START };

const later = { ...userView, version: 2, exactEvents: 2 };

describe("corrections in a topic", () => {
  it.each(Array.from({ length: RUNS }, (_, i) => FIRST_SEED + i))(
    "leave the fold of the events that count, whatever crashes or runs twice (seed %d)",
    { timeout: 600_000 },
    async (seed) => {
      const random = randomFrom(seed * 131);
      const plans = plansOf(seed % 4 === 3 ? "entity" : "source", [later]);
      const { source, plan, planLater } = plans;
      const world = await DisturbedWorld.open({ seed, random, plans, folder: join(root, String(seed)), engine });
      const { topics, cluster, store: real } = world;
      const chance = (share: number): boolean => world.chance(share);
      let n = 0;
      let corrections = 0;
      const send = async (): Promise<void> => {
        const partition = Math.floor(random() * SOURCE_PARTITIONS);
        const isCorrection = n > 3 && chance(0.25);
        const id = isCorrection || chance(0.1) ? `p${Math.floor(random() * (n + 1))}` : `p${n++}`;
        const row = {
          id,
          user: `u${Math.floor(random() * 3)}`,
          country: chance(0.5) ? "DE" : "FR|x",
          shop: Math.floor(random() * 2),
          at: new Date((world.now - random() * 20 * SECOND) / 1000).toISOString(),
          amount: chance(0.1) ? 13 : Math.floor(random() * 100),
        };
        const isRetraction = isCorrection && chance(0.5);
        const value = isRetraction ? null : Buffer.from(JSON.stringify(row));
        const headers = new Map(isCorrection ? [["onefold-corrects", id]] : []);
        if (isCorrection) corrections++;
        await topics.send([{ topic: "payments", partition, key: null, value, headers }]);
      };

      for (let step = 0; step < 40; step++) {
        world.goOn(Math.floor(random() * 2 * SECOND));
        for (let i = Math.floor(random() * 6); i > 0; i--) await send();
        if (step % 13 === seed % 13) await cluster?.failOver();
        if (step % 17 === seed % 17) await cluster?.restart();
        await world.turn(0.2);
      }

      await world.foldAll();
      for (const route of planLater.routes) {
        const records = Array.from({ length: PARTITIONS }, (_, partition) => topics.of(route.topic, partition));
        const stored = new Map<string, Record<string, string>>();
        for (const view of route.views) {
          const states: Record<string, string> = {};
          for await (const { key, bytes } of real.scanStates(spaceOf(view)))
            states[key] = Buffer.from(bytes).toString("hex");
          stored.set(view.name, states);
        }
        expect(stored, `seed ${seed}`).toEqual(correctedStates(source, route, records));
        const retractions = records.flat().filter(({ value }) => value === null).length;
        expect(retractions).toBeGreaterThanOrEqual(corrections * PARTITIONS);
      }
      expect(corrections).toBeGreaterThan(3);
      expect(
        topics
          .of(plan.deadLetterTopic, 0)
          .filter(({ headers }) => headers().get("onefold-stage")?.toString() !== "fold"),
      ).toEqual([]);
    },
  );
});

describe("corrections that cannot be folded", () => {
  const { source, plan, counts, facts } = plansOf("source");
  const { topic } = plan.routes[0]!;
  const correction = { key: null, value: null, headers: new Map([["onefold-corrects", "p1"]]) };
  const sent = sentPayment(1, { at: new Date(START / 1000).toISOString() });
  const event = { key: null, value: Buffer.from(JSON.stringify(sent)), headers: new Map<string, string>() };
  const routerOf = (topics: SimulatedTopics, store: OnlineStore) => {
    const seat = { commit: async () => {}, committed: async () => [null, null] };
    const verdicts = new Verdicts(store);
    const loop = new RouteLoop({
      connection: topics,
      clock,
      plans: [plan],
      topics: facts,
      seat,
      verdicts,
      verdictsMs: 0,
    });
    loop.own([0, 1].map((partition) => ({ topic: "payments", partition })));
    return loop;
  };

  it("are dead letters of a worker without tables, and end it where another has routed them", async () => {
    const topics = new SimulatedTopics(counts);
    const store = new MemoryOnlineStore();
    await topics.send([{ topic: "payments", partition: 0, ...correction }]);
    await routerOf(topics, store).turn();
    const [letter] = topics.of(plan.deadLetterTopic, 0);
    expect(letter!.headers().get("onefold-code")!.toString()).toBe("CORRECTION_REFUSED");
    expect(letter!.key!.toString()).toBe("id-payments/0/0");
    expect(letter!.headers().get("onefold-corrects")!.toString()).toBe("p1");
    expect(topics.of(topic, 0)).toEqual([]);

    const headers = new Map([
      ...correction.headers,
      ["onefold-known-time", String(START)],
      ["onefold-origin", "s/0/0.5"],
    ]);
    await topics.send([{ topic, partition: 0, ...correction, headers }]);
    const loop = new FoldLoop({ connection: topics, store, clock, plans: [plan], topics: facts, statesMax: 10 });
    loop.own([{ topic, partition: 0 }]);
    await expect(loop.turn()).rejects.toMatchObject({ code: "CORRECTION_REFUSED" });
  });

  it("are refused where a table lacks the first records of a partition, and not where only the topic does", async () => {
    const topics = new SimulatedTopics(counts);
    const store = new MemoryOnlineStore();
    let start = 0;
    const connection = {
      fetch: topics.fetch.bind(topics),
      offsets: async (name: string, of: "start" | "end") =>
        of === "end" ? topics.offsets(name, of) : Array.from({ length: PARTITIONS }, () => start),
    };
    const tables = openOfflineStore(join(root, "cut"), engine, { clock });
    const archives = new Map();
    for (const route of plan.routes)
      archives.set(route.topic, await openPartitionedEvents<ArchiveMemory>(tables, engine, source, route.topic));
    const archiving = new ArchiveLoop({ connection, store, plans: [plan], topics: facts, archives, folded: () => [] });
    const refolding = new Refolding({ archiving, openEngine: () => openDuckDb({ threads: 1 }) });
    expect(await refolding.refusal(plan)).toBeNull();
    const stamps = (offset: number) =>
      new Map([
        ["onefold-known-time", String(START)],
        ["onefold-origin", `s/0/${offset}`],
        ["onefold-ids", "source"],
      ]);
    for (const route of plan.routes) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        await topics.send([{ topic: route.topic, partition, ...event, headers: stamps(0) }]);
        await archiving.passTo(route.topic, [{ topic: route.topic, partition, offset: 1 }]);
      }
    }
    start = 1;
    expect(await refolding.refusal(plan)).toBeNull();

    const others = openOfflineStore(join(root, "cut-others"), engine, { clock });
    for (const route of plan.routes)
      archives.set(route.topic, await openPartitionedEvents<ArchiveMemory>(others, engine, source, route.topic));
    expect(await refolding.refusal(plan)).toMatchObject({ code: "CORRECTION_REFUSED" });
    await topics.send([{ topic, partition: 0, ...event, headers: stamps(1) }]);
    await archiving.passTo(topic, [{ topic, partition: 0, offset: 2 }]);
    const run = [{ offset: 2, knownTime: START, eventTime: Number.NaN as Micros, id: "p1", row: [] }];
    await expect(refolding.refold([{ route: plan.routes[0]!, partition: 0, run }], () => {})).rejects.toMatchObject({
      code: "KAFKA_RECORDS_GONE",
    });
  });

  it("are dead letters in a topic that is folded directly", () => {
    const direct: StreamDefinition = { ...source, kafka: { topic: "payments", direct: true } };
    const [directPlan] = planRoutes([user, direct, userView], "onefold");
    const place = { partition: 0, topicId: "id", startOffset: 0, position: null };
    const fold = new PartitionFold({ ...routeParts(directPlan!)[0]!, ...place });
    const record: KafkaRecord = {
      offset: 0,
      timestampMs: START / 1000,
      ...correction,
      headers: () => new Map([["onefold-corrects", Buffer.from("p1")]]),
    };
    expect(fold.admit([record, { ...record, offset: 1, value: event.value, key: Buffer.from(sent.user) }], 2)).toEqual(
      [],
    );
    expect(fold.takeRefused().map(({ code }) => code)).toEqual(["CORRECTION_REFUSED", "CORRECTION_REFUSED"]);
  });
});
