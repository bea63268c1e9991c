/**
 * Events that are taken back and replaced by records of their topic, over topics in memory and real offline tables, by
 * routers, judges and folders that crash and take turns: every state is the fold, in order, of the events that count in
 * its partition, whatever happened on the way, and so are those of a view that comes later.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OnefoldError } from "../../../src/base/errors.ts";
import type { Micros } from "../../../src/base/micros.ts";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { ArchiveLoop, type ArchiveMemory } from "../../../src/ingest/kafka/archive-loop.ts";
import type { GroupPosition, KafkaRecord, TopicPartition } from "../../../src/ingest/kafka/records.ts";
import { FoldLoop } from "../../../src/ingest/kafka/fold-loop.ts";
import { PartitionFold, routeParts } from "../../../src/ingest/kafka/partition-fold.ts";
import { Refolding } from "../../../src/ingest/kafka/refolding.ts";
import { RouteLoop } from "../../../src/ingest/kafka/route-loop.ts";
import type { NotedOffset } from "../../../src/ingest/kafka/route-position.ts";
import { planRoutes, type SourceRoutes } from "../../../src/ingest/kafka/routes.ts";
import { Verdicts } from "../../../src/ingest/kafka/verdicts.ts";
import { spaceOf } from "../../../src/ingest/kafka/view-places.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { openPartitionedEvents } from "../../../src/offline-store/partitioned-events.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import type { OnlineStore } from "../../../src/online-store/online-store.ts";
import { MINUTE, payments, randomFrom, SECOND, shop, shopView, START, user, userView } from "../payments.ts";
import { correctedStates } from "./corrected-fold.ts";
import { sentPayment } from "./kafka-world.ts";
import { SimulatedCluster } from "./simulated-cluster.ts";
import { SimulatedTopics } from "./simulated-topics.ts";

const SOURCE_PARTITIONS = 2;
const PARTITIONS = 2;
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

/** Ids are judged for the whole source, or where events are folded. */
function worldOf(ids: "source" | "entity") {
  const kafka = { topic: "payments", ...(ids === "entity" ? { ids } : {}) } as const;
  const source: StreamDefinition = { ...payments, kafka, dedupeWithinMicros: 60 * MINUTE };
  const [plan] = planRoutes([user, shop, source, userView, shopView], "onefold");
  const later = { ...userView, version: 2, exactEvents: 2 };
  const [planLater] = planRoutes([user, shop, source, userView, shopView, later], "onefold");
  const claims = plan!.claims === null ? [] : [plan!.claims];
  const counts = new Map([
    ["payments", SOURCE_PARTITIONS],
    ...[...plan!.routes, ...claims].map(({ topic }) => [topic, PARTITIONS] as const),
  ]);
  const facts = new Map(
    Array.from(counts, ([name, partitionCount]) => [name, { name, id: `id-${name}`, partitionCount }]),
  );
  return { source, plan: plan!, planLater: planLater!, counts, facts };
}

/** Fails before a commit, or once it has landed. */
function faulty(real: OnlineStore): { readonly store: OnlineStore; fault: "none" | "before" | "after" } {
  const told = { fault: "none" as "none" | "before" | "after" };
  const store: OnlineStore = new Proxy(real, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (name === "commit") {
        return async (...args: Parameters<OnlineStore["commit"]>) => {
          if (told.fault === "before") throw new Error("crash");
          const refused = await real.commit(...args);
          if (told.fault === "after") throw new Error("crash");
          return refused;
        };
      }
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return Object.assign(told, { store });
}

describe("corrections in a topic", () => {
  it.each(Array.from({ length: RUNS }, (_, i) => FIRST_SEED + i))(
    "leave the fold of the events that count, whatever crashes or runs twice (seed %d)",
    { timeout: 600_000 },
    async (seed) => {
      const random = randomFrom(seed * 131);
      const chance = (share: number): boolean => random() < share;
      const { source, plan, planLater, counts, facts } = worldOf(seed % 4 === 3 ? "entity" : "source");
      const topics = new SimulatedTopics(counts);
      const cluster = seed % 2 === 0 ? new SimulatedCluster(randomFrom(seed + 1_000_000)) : null;
      const real: OnlineStore = cluster ?? new MemoryOnlineStore();
      const marking = { putEveryMs: 0, allEveryMs: 30_000 };
      let now: number = START;
      const movingClock = { now: () => now as Micros };
      const folder = join(root, String(seed));
      const committed = new Map<string, NotedOffset>();

      const newRefolding = async (plans: readonly SourceRoutes[], folded: () => FoldLoop | null) => {
        const tables = openOfflineStore(folder, engine, { clock });
        const archives = new Map();
        for (const { topic } of plan.routes)
          archives.set(topic, await openPartitionedEvents<ArchiveMemory>(tables, engine, source, topic));
        const archiving = new ArchiveLoop({
          connection: topics,
          store: real,
          plans,
          topics: facts,
          archives,
          folded: () => folded()?.positions ?? [],
        });
        return { archiving, refolding: new Refolding({ archiving, openEngine: () => openDuckDb({ threads: 1 }) }) };
      };
      const disk = { isFull: false };
      const newFolder = async (plans: readonly SourceRoutes[] = [chance(0.3) ? planLater : plan]) => {
        const told = faulty(real);
        let loop: FoldLoop | null = null;
        const { archiving, refolding } = await newRefolding(plans, () => loop);
        loop = new FoldLoop({
          connection: topics,
          store: told.store,
          clock,
          plans,
          topics: facts,
          marking,
          refolding: {
            async refold(runs, tell) {
              if (disk.isFull) throw new OnefoldError("DISK_FULL", "the disk of the tables is full");
              return refolding.refold(runs, tell);
            },
          },
          statesMax: chance(0.5) ? 4 : 1000,
        });
        loop.own(plan.routes.flatMap(({ topic }) => [0, 1].map((partition) => ({ topic, partition }))));
        return { loop, told, archiving };
      };
      const newJudge = () => {
        const loop = new FoldLoop({
          connection: topics,
          store: real,
          clock,
          plans: [plan],
          topics: facts,
          marking,
          statesMax: 10,
          of: "claims",
        });
        if (plan.claims !== null) loop.own([0, 1].map((partition) => ({ topic: plan.claims!.topic, partition })));
        return loop;
      };
      const { refolding } = await newRefolding([plan], () => null);
      const fault = { before: false };
      const newRouter = () => {
        const seat = {
          commit: async (positions: readonly GroupPosition[]) => {
            if (fault.before) throw new Error("crash");
            for (const { topic, partition, offset, note = null } of positions)
              committed.set(`${topic}/${partition}`, { offset, note });
          },
          committed: async (all: readonly TopicPartition[]) =>
            all.map(({ topic, partition }) => committed.get(`${topic}/${partition}`) ?? null),
        };
        const loop = new RouteLoop({
          connection: topics,
          clock: movingClock,
          plans: [plan],
          topics: facts,
          seat,
          verdicts: new Verdicts(real),
          refusal: (one) => refolding.refusal(one),
          verdictsMs: 0,
          roundRecords: chance(0.5) ? 1 + Math.floor(random() * 5) : 1000,
        });
        loop.own(Array.from({ length: SOURCE_PARTITIONS }, (_, partition) => ({ topic: "payments", partition })));
        return loop;
      };

      let router = newRouter();
      let judge = newJudge();
      const folders = [await newFolder(), await newFolder()];
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
          at: new Date((now - random() * 20 * SECOND) / 1000).toISOString(),
          amount: chance(0.1) ? 13 : Math.floor(random() * 100),
        };
        const isRetraction = isCorrection && chance(0.5);
        const value = isRetraction ? null : Buffer.from(JSON.stringify(row));
        const headers = new Map(isCorrection ? [["onefold-corrects", id]] : []);
        if (isCorrection) corrections++;
        await topics.send([{ topic: "payments", partition, key: null, value, headers }]);
      };

      for (let step = 0; step < 40; step++) {
        now += Math.floor(random() * 2 * SECOND);
        topics.nowMs = now / 1000;
        topics.batchMax = 1 + Math.floor(random() * 12);
        for (let i = Math.floor(random() * 6); i > 0; i--) await send();
        cluster?.replicate();
        if (step % 13 === seed % 13) await cluster?.failOver();
        if (step % 17 === seed % 17) await cluster?.restart();
        fault.before = chance(0.2);
        topics.sendFailsAfter = chance(0.2) ? Math.floor(random() * 8) : null;
        await router.turn().catch(() => router.drop());
        topics.sendFailsAfter = null;
        fault.before = false;
        if (chance(0.1)) router = newRouter();
        await judge.turn().catch(() => judge.drop());
        if (chance(0.1)) judge = newJudge();
        const at = chance(0.5) ? 0 : 1;
        const one = folders[at]!;
        one.told.fault = chance(0.15) ? "before" : chance(0.15) ? "after" : "none";
        disk.isFull = chance(0.15);
        await one.loop.turn().catch(() => one.loop.drop());
        disk.isFull = false;
        one.told.fault = "none";
        if (chance(0.2)) await one.archiving.pass().catch(() => undefined);
        if (chance(0.1)) folders[at] = await newFolder();
      }

      // Nothing disturbs what is left, which a worker with a view that comes later does.
      const last = await newFolder([planLater]);
      const isFolded = (): boolean =>
        router.progress.lag === 0 &&
        last.loop.progress.partitions.length === 2 * PARTITIONS &&
        last.loop.progress.partitions.every(
          ({ topic, partition, position, lag }) => lag === 0 && position === topics.of(topic, partition).length,
        );
      for (let quiet = 0, turns = 0; quiet < 5 || !isFolded(); turns++) {
        expect(turns, "turns until all is folded").toBeLessThan(20_000);
        let taken = 0;
        for (const loop of [router, judge, last.loop]) {
          taken +=
            (await loop.turn().catch((error: Error & { code?: string }) => {
              // Connections were lost before.
              if (error.code !== "STORE_UNAVAILABLE") throw error;
              loop.drop();
              return 1;
            })) ?? 0;
        }
        quiet = taken === 0 ? quiet + 1 : 0;
      }
      expect(router.progress.lag).toBe(0);
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
  const { source, plan, counts, facts } = worldOf("source");
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
    expect(letter!.key!.toString()).toBe("payments/0/0");
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
