/** What a routed record carries. */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../../src/base/micros.ts";
import { stream, t } from "../../../src/index.ts";
import type { KafkaRecord } from "../../../src/ingest/kafka/records.ts";
import { KNOWN_TIME_HEADER } from "../../../src/ingest/kafka/record-stamp.ts";
import { compileRouter } from "../../../src/ingest/kafka/router.ts";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { payments, START, user, userView } from "../payments.ts";
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
