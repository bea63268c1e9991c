/** Promises of freshness over what workers on Kafka fold, as servers on Redis hear of it. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { StreamDefinition, ViewDefinition } from "../../../src/define/definition.ts";
import { openOnlineServer, openPlatform } from "../../../src/index.ts";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import { KafkaWorld, sentPayment } from "../../ingest/kafka/kafka-world.ts";
import { user, userView } from "../../ingest/payments.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const [describeWithKafka, describeWithRedis] = [await describeWhere("kafka"), await describeWhere("redis")];
const SECOND = 1_000_000;
const WAIT = { timeout: 90_000, interval: 100 };

interface Freshness {
  readonly sources: readonly { readonly source: string; readonly silence_seconds: number }[];
  readonly views: readonly {
    readonly view: string;
    readonly pipeline_age_seconds: number;
    readonly fallback: { readonly serving: boolean };
  }[];
}

describeWithKafka("a server over what workers on Kafka fold", () => {
  describeWithRedis("into Redis", () => {
    it("serves a fallback while nobody folds, and not any longer; and says how old states are", async () => {
      const folder = await mkdtemp(join(tmpdir(), "onefold-kafka-freshness-"));
      const world = await KafkaWorld.open(await shared("kafka"));
      const online = `${await shared("redis")}/?prefix=${randomUUID()}:&timeout_ms=10000`;
      const source: StreamDefinition = world.source;
      const promised: ViewDefinition = { ...userView, sla: { pipelineAgeMicros: 5 * SECOND, fallback: "null" } };
      const definitions = [user, source, promised];
      const platform = await openPlatform({ dataDir: folder, definitions });
      await platform.apply(definitions);
      await platform.close();
      const store = await openRedisStore({ url: online });
      const server = await openOnlineServer({ dataDir: folder, online, servingLogSampleRate: 0 });
      const read = async (): Promise<{ count: unknown; stale: unknown; ageMs: unknown }> => {
        const body = { entity_type: "user", entity_id: "u1", feature_names: ["user_payments:count"], metadata: true };
        const { features, metadata } = (await server.request("POST", "/features", body)) as unknown as {
          features: Record<string, unknown>;
          metadata: Record<string, unknown>;
        };
        const [count] = Object.values(features);
        return { count, stale: metadata["stale_features"] ?? null, ageMs: metadata["snapshot_age_ms"] ?? null };
      };
      const freshness = async (): Promise<Freshness> =>
        (await server.request("GET", "/freshness")) as unknown as Freshness;
      // Nobody has told anything yet, and nothing is made of that.
      expect(await freshness()).toMatchObject({ sources: [], views: [] });

      await world.send(Array.from({ length: 37 * 4 }, (_, n) => sentPayment(n)));
      const worker = await world.worker(store);
      await expect.poll(() => read().catch(() => null), WAIT).toMatchObject({ count: 4, stale: null });
      await expect.poll(async () => (await read()).ageMs, WAIT).toBeLessThan(10_000);
      await expect.poll(freshness, WAIT).toMatchObject({
        sources: [{ source: "payments" }],
        views: [{ view: "user_payments@1", pipeline_age_seconds: 0, fallback: { serving: false } }],
      });

      await worker.stop();
      await world.send(Array.from({ length: 37 }, (_, n) => sentPayment(37 * 4 + n)));
      await expect.poll(read, WAIT).toMatchObject({ count: null, stale: [expect.stringContaining("count")] });
      const [broken] = (await freshness()).views;
      expect(broken!.pipeline_age_seconds).toBeGreaterThan(5);
      expect(broken!.fallback.serving).toBe(true);
      await expect.poll(async () => (await read()).ageMs, WAIT).toBeGreaterThan(5000);

      await world.worker(store);
      await expect.poll(read, WAIT).toMatchObject({ count: 5, stale: null });
      expect((await freshness()).sources[0]!.silence_seconds).toBeLessThan(90);
      await server.close();
      await world.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    });
  });
});
