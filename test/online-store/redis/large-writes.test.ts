/** What takes longer to write than a round trip may, over a way to Redis that lets through so much a second. */
import { randomBytes, randomUUID } from "node:crypto";
import { afterEach, expect, it } from "vitest";
import type { StateWrite } from "../../../src/online-store/online-store.ts";
import { openRedisStore, type RedisOnlineStore } from "../../../src/online-store/redis/redis-store.ts";
import { FoldLoop } from "../../../src/ingest/kafka/fold-loop.ts";
import { KNOWN_TIME_HEADER, ORIGIN_HEADER } from "../../../src/ingest/kafka/record-stamp.ts";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { spaceOf } from "../../../src/ingest/kafka/view-places.ts";
import { Relay } from "../../client/relay.ts";
import { payments, START, user, userView } from "../../ingest/payments.ts";
import { SimulatedTopics } from "../../ingest/kafka/simulated-topics.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const TIMEOUT_MS = 1000;
const BYTES_PER_SECOND = 4 * 1024 * 1024;

const describeWithRedis = await describeWhere("redis");
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The same keys over the slow way, with the small limit, and directly. */
async function openBoth(): Promise<{ readonly slow: RedisOnlineStore; readonly direct: RedisOnlineStore }> {
  const url = new URL(await shared("redis"));
  const relay = await Relay.open(Number(url.port));
  closers.push(() => relay.close());
  relay.bytesPerSecond = BYTES_PER_SECOND;
  const prefix = `${randomUUID()}:`;
  const slow = await openRedisStore({
    url: `redis://127.0.0.1:${relay.port}/?prefix=${prefix}&timeout_ms=${TIMEOUT_MS}`,
  });
  const direct = await openRedisStore({ url: `${url.href.replace(/\/$/, "")}/?prefix=${prefix}&timeout_ms=20000` });
  closers.push(
    () => slow.close(),
    () => direct.close(),
  );
  await slow.ping();
  return { slow, direct };
}

describeWithRedis("the store on Redis", () => {
  // A machine that stands still for as long as a round trip may take says nothing of the store: then once more.
  it(
    "writes a commit of any size within the limit of a round trip, states before metas, over older states alone",
    { retry: 2 },
    async () => {
      const { slow, direct } = await openBoth();
      const [space, count] = ["v@1#0", 16_000];
      const bytes = randomBytes(600);
      const writes = Array.from({ length: count }, (_, i): StateWrite => {
        return { space, key: `k${i}`, epoch: 0, offset: 5, bytes };
      });
      const newer = writes.filter((_, i) => i % 1000 === 0).map((write) => ({ ...write, offset: 9 }));
      await direct.commit(newer, []);
      const began = performance.now();
      let landed: number | null = null;
      const committing = slow.commit(writes, [{ name: "place", bytes: new Uint8Array([1]) }]);
      while (landed === null) {
        const { states, metas } = await direct.read([{ space, key: `k${count - 1}` }], ["place"]);
        if (metas[0] !== null) landed = states[0]!.offset;
      }
      const refused = await committing;
      expect(performance.now() - began).toBeGreaterThan(2 * TIMEOUT_MS);
      expect(landed).toBe(5);
      expect(refused).toEqual(newer.map((_, i) => ({ index: i * 1000, stored: { epoch: 0, offset: 9 } })));
      expect(await direct.countStates(space)).toBe(count);
    },
  );

  it("takes what a worker folds of one large fetch, and the position behind it", { retry: 2 }, async () => {
    const { slow, direct } = await openBoth();
    const count = 16_000;
    const source = { ...payments, kafka: { topic: "payments" } };
    const [plan] = planRoutes([user, source, userView], "onefold");
    const { topic, views } = plan!.routes[0]!;
    const topics = new Map([[topic, { name: topic, id: "id", partitionCount: 1 }]]);
    const simulated = new SimulatedTopics(new Map([[topic, 1]]));
    simulated.batchMax = count;
    const at = new Date(START / 1000).toISOString();
    await simulated.send(
      Array.from({ length: count }, (_, n) => {
        const row = { id: `p${n}`, user: `u${n}`, country: "DE", shop: 1, at, amount: 1 };
        const headers = new Map([
          [KNOWN_TIME_HEADER, String(START)],
          [ORIGIN_HEADER, `source/0/${n}`],
        ]);
        return { topic, partition: 0, key: Buffer.from(row.user), value: Buffer.from(JSON.stringify(row)), headers };
      }),
    );
    const options = { connection: simulated, clock: { now: () => START }, plans: [plan!], topics, statesMax: 100_000 };
    const loop = new FoldLoop({ ...options, store: slow });
    loop.own([{ topic, partition: 0 }]);
    const began = performance.now();
    expect(await loop.turn()).toBe(count);
    expect(performance.now() - began).toBeGreaterThan(TIMEOUT_MS);
    expect(loop.progress).toMatchObject({ events: count, partitions: [{ position: count }] });
    expect(await direct.countStates(spaceOf(views[0]!))).toBe(count);
    const other = new FoldLoop({ ...options, store: direct });
    other.own([{ topic, partition: 0 }]);
    // Nothing is left to do for one that goes on from what is stored.
    expect(await other.turn()).toBe(0);
    expect(other.progress).toMatchObject({ events: 0, partitions: [{ position: count }] });
  });
});
