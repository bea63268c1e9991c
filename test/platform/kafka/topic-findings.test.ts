/** What is found of an entity in topics, and what is held of the others meanwhile: nothing. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { RecordKeys } from "../../../src/ingest/kafka/record-keys.ts";
import type { FetchFrom, KafkaRecord } from "../../../src/ingest/kafka/records.ts";
import type { ForgetConnection } from "../../../src/platform/kafka/forget-house.ts";
import { type ForgottenSource, sourcesOnKafka } from "../../../src/platform/kafka/forgotten-source.ts";
import { TopicFindings } from "../../../src/platform/kafka/topic-findings.ts";
import type { Registry } from "../../../src/registry/registry.ts";
import { payments, user, userView } from "../../ingest/payments.ts";

const MEGABYTE = 1 << 20;
const stream: StreamDefinition = { ...payments, kafka: { topic: "payments", ids: "entity" } };
const registry = {
  entity: () => ({ definition: user }),
  source: () => ({ definition: stream }),
  views: () => [{ definition: userView }],
} as unknown as Registry;
const [source] = sourcesOnKafka(registry, "user", "onefold", false) as [ForgottenSource];
const TOPIC = "onefold.payments.by.user";
const LETTERS = "onefold.payments.dead-letters";
const keys = new RecordKeys();

interface Written {
  readonly user?: string;
  readonly id?: string;
  /** That it takes back. */
  readonly corrects?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of its place in the source's topic; none for a letter. */
  readonly origin?: number;
}

/** As a fetch brings it: its parts are of one large answer. */
function recordAt(offset: number, answer: Buffer, written: Written): KafkaRecord {
  const { user: of, id, corrects, headers = {}, origin } = written;
  const row = of === undefined ? null : { id, user: of, country: null, shop: 1, at: "2026-01-01T00:00:00Z", amount: 1 };
  let at = 0;
  const partOf = (text: string): Buffer => {
    const part = answer.subarray(at, at + Buffer.byteLength(text));
    part.write(text);
    at += part.length;
    return part;
  };
  const all = Object.entries({
    ...headers,
    ...(origin === undefined ? {} : { "onefold-origin": `id-payments/0/${origin}`, "onefold-known-time": "5" }),
    ...(corrects === undefined ? {} : { "onefold-corrects": corrects }),
  }).map(([name, text]) => [name, partOf(text)] as const);
  const key = partOf(keys.next().toString());
  const value = row === null ? null : partOf(JSON.stringify(row));
  return { offset, timestampMs: 0, key, value, headers: () => new Map(all) };
}

/** One answer brings `batch` records, in a buffer of so many bytes. */
function connectionOf(topics: Readonly<Record<string, (offset: number) => Written>>, counts: Record<string, number>) {
  const read: string[] = [];
  const connection = {
    settings: { prefix: "onefold" },
    async fetch(from: readonly FetchFrom[]) {
      return from.map(({ topic, partition, offset }) => {
        const end = Math.min(counts[topic]!, offset + 500);
        read.push(`${topic} ${offset}`);
        const answer = Buffer.alloc(MEGABYTE);
        const records: KafkaRecord[] = [];
        let free = answer;
        for (let each = offset; each < end; each++) {
          records.push(recordAt(each, free, topics[topic]!(each)));
          free = free.subarray(600);
        }
        return { topic, partition, fromOffset: offset, records, nextOffset: end, endOffset: counts[topic]! };
      });
    },
    offsets: async (topic: string, of: "start" | "end") => [of === "start" ? 0 : counts[topic]!],
  };
  return { connection: connection as unknown as ForgetConnection, read };
}

function findingsOf(connection: ForgetConnection, letterEnds: readonly number[] = []): TopicFindings {
  const facts = new Map(
    ["payments", TOPIC, LETTERS].map((name) => [name, { name, id: `id-${name}`, partitionCount: 1 }] as const),
  );
  const of = { connection, source, entity: "user", key: "ada", facts, ends: [1_000_000], letterEnds };
  return new TopicFindings({ ...of, onProgress: () => {} });
}

it(
  "holds nothing of what others have corrected, and no answer for the sake of one record",
  { timeout: 120_000 },
  async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const records = 40_000;
    // One event of hers in each answer, one retraction that names her id, and the rest of others.
    const { connection } = connectionOf(
      {
        [TOPIC]: (offset) =>
          offset % 500 === 7
            ? { user: "ada", id: `a${offset}`, origin: offset }
            : offset === 20_000
              ? { corrects: "a7", origin: offset }
              : { corrects: `other-${offset}`, origin: offset },
        [LETTERS]: () => ({}),
      },
      { [TOPIC]: records, [LETTERS]: 0 },
    );
    const findings = findingsOf(connection);
    collect();
    const before = process.memoryUsage();
    await findings.readEvents([TOPIC]);
    await findings.readOf(findings.ids);
    collect();
    const after = process.memoryUsage();
    expect(findings.ids.size).toBe(80);
    expect(findings.records).toHaveLength(81);
    expect(findings.records.at(-1)).toMatchObject({ topic: TOPIC, offset: 20_000 });
    // 80 answers of a megabyte, and 40,000 retractions.
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(8 * MEGABYTE);
    expect(after.heapUsed - before.heapUsed).toBeLessThan(4 * MEGABYTE);
  },
);

it("reads a topic once more where there are retractions, from the first to the last", async () => {
  const counts = { [TOPIC]: 5000, [LETTERS]: 0 };
  const { connection, read } = connectionOf(
    {
      [TOPIC]: (offset) =>
        offset === 0
          ? { user: "ada", id: "a", origin: 0 }
          : offset === 2100 || offset === 2200
            ? { corrects: offset === 2100 ? "b" : "a", origin: offset }
            : { user: "bob", id: `b${offset}`, origin: offset },
      [LETTERS]: () => ({}),
    },
    counts,
  );
  const findings = findingsOf(connection);
  await findings.readEvents([TOPIC]);
  expect(read).toHaveLength(10);
  await findings.readOf(new Set(["a"]));
  expect(read.slice(10)).toEqual([`${TOPIC} 2100`]);
  expect(findings.records.map(({ offset }) => offset)).toEqual([0, 2200]);
});

it("takes letters that were there before the ends for those of records before them, whatever the topic was", async () => {
  const letter = (place: string, topicId?: string): Written => ({
    user: "ada",
    id: place,
    headers: { "onefold-record": place, ...(topicId === undefined ? {} : { "onefold-topic-id": topicId }) },
  });
  const letters = [
    // Of a topic that was deleted and made anew, at a place that the present one does not have yet.
    letter("payments/0/2000000"),
    letter("payments/0/3"),
    // Written since.
    letter("payments/0/999999", "id-payments"),
    letter("payments/0/1000000", "id-payments"),
    letter("payments/0/1000000", "id of the one before"),
    // Of a correction that was refused: it has no row.
    { corrects: "payments/0/3", headers: { "onefold-record": "payments/0/9" } },
    { corrects: "another", headers: { "onefold-record": "payments/0/10" } },
  ];
  const { connection } = connectionOf(
    { [LETTERS]: (offset) => letters[offset]!, [TOPIC]: () => ({}) },
    { [LETTERS]: letters.length, [TOPIC]: 0 },
  );
  const findings = findingsOf(connection, [2]);
  await findings.readEvents([TOPIC]);
  await findings.readOf(findings.ids);
  expect(findings.records.map(({ offset }) => offset)).toEqual([0, 1, 2, 4, 5]);
});
