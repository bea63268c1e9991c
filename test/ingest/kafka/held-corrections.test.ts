/**
 * Corrections that tables keep waiting, over topics in memory and real offline tables: all other partitions are folded
 * meanwhile, what waits is seen, and it is folded once the trouble is over.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ErrorCode, OnefoldError } from "../../../src/base/errors.ts";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { ArchiveLoop, type ArchiveMemory } from "../../../src/ingest/kafka/archive-loop.ts";
import { FoldLoop } from "../../../src/ingest/kafka/fold-loop.ts";
import { orTableTrouble } from "../../../src/ingest/kafka/held-corrections.ts";
import { Refolding } from "../../../src/ingest/kafka/refolding.ts";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { spaceOf } from "../../../src/ingest/kafka/view-places.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { openPartitionedEvents } from "../../../src/offline-store/partitioned-events.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { payments, START, user, userView } from "../payments.ts";
import { correctedStates } from "./corrected-fold.ts";
import { sentPayment } from "./kafka-world.ts";
import { SimulatedTopics } from "./simulated-topics.ts";

const PARTITIONS = 2;
const clock = { now: () => START };
const source: StreamDefinition = { ...payments, kafka: { topic: "payments", ids: "entity" } };
const [plan] = planRoutes([user, source, userView], "onefold");
const route = plan!.routes[0]!;
const { topic } = route;

let root: string;
let engine: QueryEngine;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "onefold-held-corrections-"));
  engine = await openDuckDb({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

/** A folder of both partitions, whose refolding fails while there is `trouble`. */
async function newWorld(name: string) {
  const topics = new SimulatedTopics(new Map([[topic, PARTITIONS]]));
  topics.nowMs = START / 1000;
  const facts = new Map([[topic, { name: topic, id: "id", partitionCount: PARTITIONS }]]);
  const store = new MemoryOnlineStore();
  const tables = openOfflineStore(join(root, name), engine, { clock });
  const archives = new Map([[topic, await openPartitionedEvents<ArchiveMemory>(tables, engine, source, topic)]]);
  const archiving = new ArchiveLoop({
    connection: topics,
    store,
    plans: [plan!],
    topics: facts,
    archives,
    folded: () => [],
  });
  const refolding = new Refolding({ archiving, openEngine: () => openDuckDb({ threads: 1 }) });
  const told = {
    trouble: null as ErrorCode | null,
    troubles: [] as string[],
    /** Tables are looked in once it resolves. */
    looking: Promise.resolve(),
    /** In which order it was told what corrections do. */
    partitions: [] as number[],
  };
  const loop = new FoldLoop({
    connection: topics,
    store,
    clock,
    plans: [plan!],
    topics: facts,
    statesMax: 100,
    refolding: {
      async refold(runs, tell) {
        if (told.trouble !== null) throw new OnefoldError(told.trouble, "the disk is as the test wants it");
        await told.looking;
        return refolding.refold(runs, (run, views) => {
          told.partitions.push(run.partition);
          tell(run, views);
        });
      },
    },
    onTrouble: ({ code }) => told.troubles.push(code),
  });
  loop.own(Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition })));
  let origin = 0;
  const headers = (more: Record<string, string> = {}) =>
    new Map(Object.entries({ "onefold-known-time": String(START), "onefold-origin": `s/0/${origin++}`, ...more }));
  const sendEvent = (partition: number, n: number, parts: { id?: string } = {}): Promise<void> => {
    const event = sentPayment(n, { at: new Date(START / 1000).toISOString(), ...parts });
    return topics.send([
      { topic, partition, key: null, value: Buffer.from(JSON.stringify(event)), headers: headers() },
    ]);
  };
  const sendRetraction = (partition: number, id: string): Promise<void> =>
    topics.send([{ topic, partition, key: null, value: null, headers: headers({ "onefold-corrects": id }) }]);
  const of = (partition: number) => loop.progress.partitions.find((one) => one.partition === partition)!;
  const turnUntil = async (isSo: () => boolean): Promise<void> => {
    for (const endMs = performance.now() + 60_000; ;) {
      await loop.turn();
      if (isSo()) return;
      if (performance.now() > endMs) throw new Error(JSON.stringify(loop.progress));
      await sleep(2);
    }
  };
  const expectFolded = async (): Promise<void> => {
    const states: Record<string, string> = {};
    for await (const { key, bytes } of store.scanStates(spaceOf(route.views[0]!)))
      states[key] = Buffer.from(bytes).toString("hex");
    const records = Array.from({ length: PARTITIONS }, (_, partition) => topics.of(topic, partition));
    expect(states).toEqual(correctedStates(source, route, records).get(route.views[0]!.name));
  };
  return { loop, told, sendEvent, sendRetraction, of, turnUntil, expectFolded };
}

describe("a correction that cannot be folded yet", () => {
  it.each(["DISK_FULL", "FILE_UNREADABLE"] as const)(
    "keeps no other partition waiting, and is seen (%s)",
    { timeout: 120_000 },
    async (code) => {
      const { loop, told, sendEvent, sendRetraction, of, turnUntil, expectFolded } = await newWorld(code);
      await sendEvent(0, 1);
      await sendEvent(0, 2);
      await turnUntil(() => of(0).position === 2);
      told.trouble = code;
      await sendRetraction(0, "p1");
      await sendEvent(0, 3);
      await sendEvent(1, 4);
      await turnUntil(() => told.troubles.length > 0 && of(1).position === 1);
      expect(of(0)).toMatchObject({ position: 2, lag: 2 });
      expect(loop.trouble?.code).toBe(code);

      // It is tried again, and in between others go on.
      await sendEvent(1, 5);
      await turnUntil(() => told.troubles.length > 1 && of(1).position === 2);
      expect(of(0)).toMatchObject({ position: 2, lag: 2 });
      told.trouble = null;
      await turnUntil(() => of(0).position === 4);
      expect(of(0).lag).toBe(0);
      expect(loop.trouble).toBeNull();
      expect(new Set(told.troubles)).toEqual(new Set([code]));
      await expectFolded();
    },
  );

  it.each(["SPILL_FULL", "STORAGE_FAILED", "TABLE_CONFLICT", "TABLE_VERSION_GONE"] as const)(
    "is tried again, too, where it failed at %s",
    async (code) => {
      const error = new OnefoldError(code, "it may be over the next time");
      expect(await orTableTrouble(Promise.reject(error))).toBe(error);
    },
  );

  it("fails the folder where waiting would mend nothing", async () => {
    const { told, sendEvent, sendRetraction, of, turnUntil } = await newWorld("gone");
    await sendEvent(0, 1);
    await turnUntil(() => of(0).position === 1);
    told.trouble = "KAFKA_RECORDS_GONE";
    await sendRetraction(0, "p1");
    await expect(turnUntil(() => false)).rejects.toMatchObject({ code: "KAFKA_RECORDS_GONE" });
  });
});

describe("a correction that is looked up", () => {
  /** Tables are not looked in before `look` is called. */
  function held(told: { looking: Promise<void> }): () => void {
    let look: () => void = () => {};
    told.looking = new Promise((resolve) => (look = resolve));
    return look;
  }

  it(
    "keeps no other partition waiting, and none that loses nothing once that is known",
    { timeout: 120_000 },
    async () => {
      const { loop, told, sendEvent, sendRetraction, of, turnUntil, expectFolded } = await newWorld("looked-up");
      for (const n of [1, 2]) await sendEvent(0, n);
      await sendEvent(1, 3);
      await turnUntil(() => of(0).position === 2 && of(1).position === 1);
      const look = held(told);
      await sendRetraction(0, "p1");
      await sendEvent(0, 4);
      await turnUntil(() => of(0).lag === 2);
      for (let n = 5; n < 15; n++) {
        await sendEvent(1, n);
        await turnUntil(() => of(1).position === n - 3);
      }
      expect(of(0)).toMatchObject({ position: 2, lag: 2 });
      // As it stands in every partition.
      await sendRetraction(1, "p1");
      look();
      await turnUntil(() => of(0).lag + of(1).lag === 0 && of(0).position === 4);
      expect(loop.trouble).toBeNull();
      await expectFolded();

      told.partitions = [];
      const again = held(told);
      await sendEvent(0, 20);
      await turnUntil(() => of(0).position === 5);
      for (const partition of [0, 1]) await sendRetraction(partition, "p20");
      await turnUntil(() => of(0).lag === 1 && of(1).lag === 1);
      again();
      await turnUntil(() => of(0).lag + of(1).lag === 0);
      expect(told.partitions).toEqual([1, 0]);
      await expectFolded();
    },
  );

  it(
    "is looked up anew where its partition went away and came back, or memory was dropped",
    { timeout: 120_000 },
    async () => {
      const { loop, told, sendEvent, sendRetraction, of, turnUntil, expectFolded } = await newWorld("let-go");
      for (const partition of [0, 1]) for (const n of [1, 2]) await sendEvent(partition, 10 * partition + n);
      await turnUntil(() => of(0).position === 2 && of(1).position === 2);
      for (const part of ["another's", "dropped"]) {
        const look = held(told);
        const before = of(0).position;
        await sendRetraction(0, part === "dropped" ? "p2" : "p1");
        await sendEvent(0, before + 20);
        await turnUntil(() => of(0).lag === 2);
        if (part === "dropped") loop.drop();
        else {
          loop.own([{ topic, partition: 1 }]);
          await turnUntil(() => of(0) === undefined);
          loop.own([0, 1].map((partition) => ({ topic, partition })));
        }
        await turnUntil(() => of(0)?.position === before);
        look();
        await turnUntil(() => of(0).lag === 0);
        expect(told.partitions).toEqual([0, 0]);
        told.partitions = [];
        await expectFolded();
      }
    },
  );
});

it("an id with a NUL in it is taken back as any other", { timeout: 120_000 }, async () => {
  const { sendEvent, sendRetraction, of, turnUntil, expectFolded } = await newWorld("nul");
  await sendEvent(0, 1, { id: "a\0b" });
  await sendEvent(0, 38);
  await sendRetraction(0, "a\0b");
  await turnUntil(() => of(0).position === 3);
  await expectFolded();
});
