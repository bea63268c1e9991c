/**
 * An entity forgotten beside a worker that folds a draft, over a real Kafka and a real Redis: a draft that is keyed as no numbered
 * view is, and that nobody has registered.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { StreamDefinition, ViewDefinition } from "../../../src/define/definition.ts";
import { compileViewFold } from "../../../src/fold/compile.ts";
import { decodePlace } from "../../../src/ingest/kafka/view-places.ts";
import { viewMetaName } from "../../../src/ingest/stored-view.ts";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import { forgetOnKafka } from "../../../src/platform/kafka/forget-on-kafka.ts";
import { type KafkaWorker, startKafkaWorker } from "../../../src/platform/kafka/kafka-worker.ts";
import { openFileRegistry } from "../../../src/registry/file-registry.ts";
import { KafkaWorld, sentPayment } from "../../ingest/kafka/kafka-world.ts";
import { user, userView } from "../../ingest/payments.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { startRedis } from "../../services/redis.ts";

const describeWithKafka = await describeWhere("kafka");
const folder = mkdtempSync(join(tmpdir(), "onefold-forget-drafts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const draft: ViewDefinition = { ...userView, name: "other_payments", version: "dev", key: ["constructor"] };

describeWithKafka("an entity that is forgotten", () => {
  it(
    "goes from drafts, too, whatever they are keyed by, and does not come back with its next event",
    { timeout: 900_000 },
    async () => {
      const world = await KafkaWorld.open(await shared("kafka"), { sourcePartitions: 2, partitionCount: 2 });
      const redis = await startRedis();
      const onlineUrl = `${redis.url}?timeout_ms=20000`;
      const store = await openRedisStore({ url: onlineUrl });
      const archiveFolder = join(folder, "archive");
      const source: StreamDefinition = world.source;
      const registered = [user, source, userView];
      const registry = await openFileRegistry(join(folder, "registry"), { clock: systemClock });
      await registry.apply(registered);
      const start = (withDraft: boolean, drafts: boolean): Promise<KafkaWorker> =>
        startKafkaWorker({
          definitions: withDraft ? [...registered, draft] : registered,
          kafka: world.settings,
          onlineUrl,
          archiveFolder,
          archiveIntervalMs: 200,
          drafts,
        });
      const fold = compileViewFold(draft, source, user);
      /** Of the draft: how many events each state has. */
      const counts = async (): Promise<Record<string, number>> => {
        const [told = null] = (await store.read([], [viewMetaName("other_payments@dev")])).metas;
        const found: Record<string, number> = {};
        for await (const { key, bytes } of store.scanStates(decodePlace(told)!.space))
          found[key] = fold.decode(bytes).eventCount;
        return found;
      };
      let n = 0;
      const send = (names: readonly string[]): Promise<void> =>
        world.send(names.map((name) => JSON.stringify({ ...sentPayment(n++), user: name, constructor: name })));
      const forget = (name: string, stalledMs: number): Promise<unknown> =>
        forgetOnKafka({
          registry,
          dataDir: join(folder, "data"),
          kafka: world.settings,
          onlineUrl,
          archiveFolder,
          entity: "user",
          parts: [name],
          isShared: true,
          stalledMs,
          copiesMs: 0,
        });
      const limit = { timeout: 120_000 };

      let worker = await start(true, true);
      await send(["ada", "bob", "ada", "cy", "ada"]);
      await expect.poll(counts, limit).toEqual({ ada: 3, bob: 1, cy: 1 });
      await forget("ada", 600_000);
      expect(await counts()).toEqual({ bob: 1, cy: 1 });
      await send(["ada", "bob"]);
      await expect.poll(counts, limit).toEqual({ ada: 1, bob: 2, cy: 1 });

      // Nobody folds it any more, and it may be folded on from where it stands.
      await worker.stop();
      worker = await start(false, false);
      await expect(forget("bob", 20_000)).rejects.toMatchObject({
        code: "FORGET_UNFINISHED",
        where: expect.stringContaining("for draft other_payments@dev") as unknown,
        hint: expect.stringContaining("--drafts") as unknown,
      });
      await worker.stop();
      worker = await start(true, true);
      await forget("bob", 600_000);
      expect(await counts()).toEqual({ ada: 1, cy: 1 });
      await worker.stop();
      await store.close();
      await world.close();
      await redis.close();
    },
  );
});
