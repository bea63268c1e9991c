/** What a routed record carries. */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../../src/base/micros.ts";
import { stream, t } from "../../../src/index.ts";
import type { KafkaRecord } from "../../../src/ingest/kafka/records.ts";
import { letterRecord } from "../../../src/ingest/kafka/dead-letter-topic.ts";
import { partitionOfKey } from "../../../src/ingest/kafka/key-partition.ts";
import { CORRECTS_HEADER, KNOWN_TIME_HEADER, ORIGIN_HEADER } from "../../../src/ingest/kafka/record-stamp.ts";
import { compileRouter } from "../../../src/ingest/kafka/router.ts";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { payments, START, user, userView } from "../payments.ts";
import { isRecordKey } from "../../../src/ingest/kafka/record-keys.ts";
import { sentPayment } from "./kafka-world.ts";

const NOW = (START + 60_000_000) as Micros;

function stampOf(knownTime: "record" | undefined, timestampMs: number): number {
  const kafka = { topic: "payments", ...(knownTime === undefined ? {} : { knownTime }) };
  const [plan] = planRoutes([user, { ...payments, kafka }, userView], "onefold");
  const router = compileRouter(plan!, "id", new Map([plan!.routes[0]!, plan!.claims!].map(({ topic }) => [topic, 4])));
  const value = Buffer.from(JSON.stringify(sentPayment(1)));
  const record: KafkaRecord = { offset: 7, timestampMs, key: null, value, headers: () => new Map() };
  const routed = router.route(record, 0, NOW);
  if ("code" in routed) throw new Error(routed.message);
  return Number(routed.records[0]!.headers.get(KNOWN_TIME_HEADER)!.toString());
}

describe("the known time that a router stamps", () => {
  const before = NOW / 1000 - 5000;
  const ahead = NOW / 1000 + 5000;

  it("is that of routing", () => {
    expect(stampOf(undefined, before)).toBe(NOW);
    expect(stampOf(undefined, ahead)).toBe(NOW);
  });

  it("is the record's own where the source says so, and never ahead of routing", () => {
    expect(stampOf("record", before)).toBe(before * 1000);
    expect(stampOf("record", ahead)).toBe(NOW);
  });

  it("is said in the definition, which takes nothing else for it", () => {
    const of = (kafka: object) => () =>
      stream("p", { columns: { at: t.timestamp() }, eventTime: "at", kafka: kafka as { topic: string } });
    expect(of({ topic: "p", knownTime: "record" })().kafka).toEqual({ topic: "p", knownTime: "record" });
    expect(of({ topic: "p", ids: "entity" })().kafka).toEqual({ topic: "p", ids: "entity" });
    expect(of({ topic: "p", ids: "source" })).toThrow('ids is "source": it is "entity", or left out');
    expect(of({ topic: "p", ids: "entity", direct: true })).toThrow("leave ids out");
    expect(of({ topic: "p", knownTime: "event" })).toThrow('knownTime is "event": it is "record", or left out');
    expect(of({ topic: "p", knownTime: "record", direct: true })).toThrow("leave knownTime out");
  });
});

describe("a record that corrects another", () => {
  const routed = (
    value: object | null,
    corrects: string | Buffer,
    source: Partial<typeof payments> = {},
    timestampMs = 0,
  ) => {
    const [plan] = planRoutes([user, { ...payments, kafka: { topic: "payments" }, ...source }, userView], "onefold");
    const topics = [...plan!.routes, ...(plan!.claims === null ? [] : [plan!.claims])].map(({ topic }) => topic);
    const router = compileRouter(plan!, "id", new Map(topics.map((topic) => [topic, 3])));
    return router.route(
      {
        offset: 7,
        timestampMs,
        key: null,
        value: value === null ? null : Buffer.from(JSON.stringify(value)),
        headers: () => new Map([[CORRECTS_HEADER, Buffer.from(corrects)]]),
      },
      0,
      NOW,
    );
  };
  const retractions = [0, 1, 2].map((partition) => ({
    topic: "onefold.payments.by.user",
    partition,
    key: expect.any(Buffer),
    hasOwnKey: true,
    value: null,
    headers: new Map([
      [KNOWN_TIME_HEADER, String(NOW)],
      [ORIGIN_HEADER, "id/0/6.5"],
      [CORRECTS_HEADER, "p1"],
    ]),
  }));

  it("takes back in every partition, and puts the new event behind that", () => {
    expect(routed(null, "p1")).toEqual({ records: retractions, claim: null, isCorrection: true });
    const event = sentPayment(1, { user: "other" });
    const replaced = routed(event, "p1");
    if ("code" in replaced) throw new Error(replaced.message);
    expect(replaced.records.slice(0, 3)).toEqual(retractions);
    const partition = partitionOfKey(Buffer.from("other"), 3);
    expect(replaced.records.slice(3)).toMatchObject([{ partition, value: Buffer.from(JSON.stringify(event)) }]);
    // By its own key each can be taken out of its topic, and no key says whose it is.
    const keys = [...replaced.records, replaced.claim!.record].map(({ key }) => key);
    expect(keys.every(isRecordKey)).toBe(true);
    expect(new Set(keys.map(String)).size).toBe(5);
    expect(isRecordKey(Buffer.from("other"))).toBe(false);
    expect(replaced.records[3]!.headers.get(ORIGIN_HEADER)).toBe("id/0/7");
    // Whoever judges the id sees that it is the event's own.
    expect(replaced.claim!.record.headers.get(CORRECTS_HEADER)).toBe("p1");
  });

  it("is a dead letter where it has another id, or the source has none", () => {
    expect(routed(sentPayment(2), "p1")).toMatchObject({ code: "CORRECTION_REFUSED", stage: "door" });
    const { id: _, ...without } = payments;
    expect(routed(null, "p1", { ...without, id: undefined } as object)).toMatchObject({ code: "CORRECTION_REFUSED" });
    expect(routed({}, "p1")).toMatchObject({ code: "NULL_NOT_ALLOWED" });
  });

  it("is a dead letter where what it names is no text that an id is looked for by", () => {
    for (const id of ["p\0", "\0", Buffer.from([0x70, 0xff])]) {
      expect(routed(null, id)).toMatchObject({ code: "CORRECTION_REFUSED", corrects: Buffer.from(id) });
      expect(routed(sentPayment(1, { id: id.toString() }), id)).toMatchObject({ code: "CORRECTION_REFUSED" });
    }
    expect(routed(null, "ü\uFFFD")).toMatchObject({ isCorrection: true });
  });

  it("takes nothing back for an event that is too far ahead, where no claim decides that", () => {
    const source = { kafka: { topic: "payments", ids: "entity" } } as object;
    const at = (micros: number) => sentPayment(1, { at: new Date(micros / 1000).toISOString() });
    const limit = payments.maxFutureMicros;
    expect(routed(at(NOW + limit), "p1", source, NOW / 1000)).toMatchObject({ isCorrection: true, claim: null });
    expect(routed(at(NOW + limit + 1000), "p1", source, NOW / 1000)).toMatchObject({ code: "EVENT_TOO_FAR_AHEAD" });
    // What follows from the record is the same whenever it is routed; a record from ahead of the clock changes nothing.
    expect(routed(at(NOW), "p1", source, (NOW - limit) / 1000 - 1)).toMatchObject({ code: "EVENT_TOO_FAR_AHEAD" });
    expect(routed(at(NOW + limit + 1000), "p1", source, NOW / 1000 + 5000)).toMatchObject({
      code: "EVENT_TOO_FAR_AHEAD",
    });
    // A claim decides by its own time.
    expect(routed(at(NOW + limit + 1000), "p1")).toMatchObject({ isCorrection: true });
  });

  it("has an empty value as a dead letter, which a compacted topic keeps and which takes back when it is sent again", () => {
    const refused = routed(null, "p\0");
    if (!("code" in refused)) throw new Error("it was routed");
    const letter = letterRecord(refused, { now: () => NOW });
    expect(letter.value).toEqual(Buffer.alloc(0));
    expect(letter.headers.get(CORRECTS_HEADER)).toEqual(Buffer.from("p\0"));
    expect(letterRecord({ ...refused, corrects: undefined }, { now: () => NOW }).value).toBeNull();
  });

  it("takes back with an empty value, too", () => {
    const [plan] = planRoutes([user, { ...payments, kafka: { topic: "payments" } }, userView], "onefold");
    const topics = [plan!.routes[0]!, plan!.claims!].map(({ topic }) => topic);
    const router = compileRouter(plan!, "id", new Map(topics.map((topic) => [topic, 3])));
    const headers = () => new Map([[CORRECTS_HEADER, Buffer.from("p1")]]);
    const record = { offset: 7, timestampMs: 0, key: null, value: Buffer.alloc(0), headers };
    expect(router.route(record, 0, NOW)).toEqual({ records: retractions, claim: null, isCorrection: true });
  });
});
