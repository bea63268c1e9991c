/** How much a router appends at once, and what it does not. */
import { expect, it } from "vitest";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import type { NewRecord } from "../../../src/ingest/kafka/records.ts";
import { RouteLoop } from "../../../src/ingest/kafka/route-loop.ts";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { Verdicts } from "../../../src/ingest/kafka/verdicts.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { payments, START, user, userView } from "../payments.ts";
import { sentPayment } from "./kafka-world.ts";
import { SimulatedTopics } from "./simulated-topics.ts";

/** What a broker takes of one partition, and some of it for the batch itself. */
const BATCH_BYTES_MAX = 1_000_000;
const PARTITIONS = 100;

/** As written down in Kafka's protocol: lengths before all, and the name and value of each header. */
function bytesOf({ key, value, headers }: NewRecord): number {
  const ofHeaders = Array.from(headers, ([name, text]) => 4 + Buffer.byteLength(name) + Buffer.byteLength(text));
  return 12 + (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders.reduce((sum, bytes) => sum + bytes, 0);
}

it("retractions, which have no value, and large events are appended in requests that a broker takes", async () => {
  const source: StreamDefinition = { ...payments, kafka: { topic: "payments", ids: "entity" } };
  const [plan] = planRoutes([user, source, userView], "onefold");
  const counts = new Map([
    ["payments", 1],
    [plan!.routes[0]!.topic, PARTITIONS],
  ]);
  const facts = new Map(Array.from(counts, ([name, partitionCount]) => [name, { name, id: name, partitionCount }]));
  const topics = new SimulatedTopics(counts);
  topics.batchMax = 10_000;
  topics.nowMs = START / 1000;
  const corrections = Array.from({ length: 300 }, (_, n): NewRecord => {
    const headers = new Map([["onefold-corrects", `payment-${n}`]]);
    return { topic: "payments", partition: 0, key: null, value: null, headers };
  });
  const large = Array.from({ length: 4 }, (_, n): NewRecord => {
    const event = sentPayment(n, {
      user: "one",
      country: "x".repeat(600_000),
      at: new Date(START / 1000).toISOString(),
    });
    const value = Buffer.from(JSON.stringify(event));
    return { topic: "payments", partition: 0, key: null, value, headers: new Map() };
  });
  await topics.send([...corrections, ...large]);
  const sent: number[] = [];
  const loop = new RouteLoop({
    connection: {
      fetch: topics.fetch.bind(topics),
      offsets: topics.offsets.bind(topics),
      async send(records) {
        sent.push(records.reduce((sum, one) => sum + bytesOf(one), 0));
        await topics.send(records);
      },
    },
    clock: { now: () => START },
    plans: [plan!],
    topics: facts,
    seat: { commit: async () => {}, committed: async () => [null] },
    verdicts: new Verdicts(new MemoryOnlineStore()),
    refusal: async () => null,
  });
  loop.own([{ topic: "payments", partition: 0 }]);
  for (let turns = 0; turns < 3; turns++) await loop.turn();
  expect(loop.progress).toMatchObject({ deadLetters: 0, events: corrections.length + large.length, lag: 0 });
  const appended = sent.filter((bytes) => bytes > 0);
  expect(appended.length).toBeGreaterThan(5);
  for (const bytes of appended) expect(bytes).toBeLessThan(BATCH_BYTES_MAX);
});

it("does not append what was forgotten since it was fetched, nor claim its id", async () => {
  for (const ids of [undefined, "entity"] as const) {
    const source: StreamDefinition = {
      ...payments,
      kafka: { topic: "payments", ...(ids === undefined ? {} : { ids }) },
    };
    const [plan] = planRoutes([user, source, userView], "onefold");
    const made = [plan!.routes[0]!.topic, ...(plan!.claims === null ? [] : [plan!.claims.topic])];
    const counts = new Map([["payments", 1], ...made.map((topic) => [topic, 1] as const)]);
    const facts = new Map(Array.from(counts, ([name, partitionCount]) => [name, { name, id: name, partitionCount }]));
    const topics = new SimulatedTopics(counts);
    topics.nowMs = START / 1000;
    const events = Array.from({ length: 4 }, (_, n): NewRecord => {
      const at = new Date(START / 1000).toISOString();
      const value = Buffer.from(JSON.stringify(sentPayment(n, { user: n === 2 ? "gone" : "here", at })));
      return { topic: "payments", partition: 0, key: null, value, headers: new Map() };
    });
    await topics.send(events);
    let noted: ReadonlyMap<string, ReadonlySet<number>> = new Map();
    let isForgottenWhileFetching = true;
    const loop = new RouteLoop({
      connection: {
        offsets: topics.offsets.bind(topics),
        send: topics.send.bind(topics),
        // It stands still, and what was on its way is here when it goes on.
        async fetch(from) {
          const answer = await topics.fetch(from);
          if (isForgottenWhileFetching) noted = new Map([["payments/0", new Set([2])]]);
          isForgottenWhileFetching = false;
          return answer;
        },
      },
      clock: { now: () => START },
      plans: [plan!],
      topics: facts,
      seat: { commit: async () => {}, committed: async () => [null] },
      verdicts: { of: async (claims) => claims.map(() => ({ kind: "has-id" as const })) },
      forgotten: async () => noted,
      notesTrustedMs: 0,
    });
    loop.own([{ topic: "payments", partition: 0 }]);
    await expect(loop.turn()).rejects.toMatchObject({ code: "KAFKA_UNAVAILABLE" });
    for (const topic of made) expect(topics.of(topic, 0), topic).toEqual([]);
    loop.drop();
    for (let turns = 0; turns < 3; turns++) await loop.turn();
    for (const topic of made) {
      expect(
        topics.of(topic, 0).map(({ value }) => /p\d/.exec(value!.toString())?.[0]),
        topic,
      ).toEqual(["p0", "p1", "p3"]);
    }
  }
});
