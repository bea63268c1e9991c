/**
 * Drafts that workers fold, over a real Kafka and a real Redis: from the beginning, in a space of their own, built anew
 * and forgotten when they change, and served only as what is registered.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Definition, ViewDefinition } from "../../../src/define/definition.ts";
import { openPlatform } from "../../../src/index.ts";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import { openOnlineServer } from "../../../src/platform/online/online-server.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { startRedis } from "../../services/redis.ts";
import { user, userView } from "../payments.ts";
import { KafkaWorld, sentPayment } from "./kafka-world.ts";

const describeWithKafka = await describeWhere("kafka");

const some = (from: number, to: number): ReturnType<typeof sentPayment>[] =>
  Array.from({ length: to - from }, (_, i) => sentPayment(from + i));

describeWithKafka("drafts", () => {
  it("are folded from the beginning, anew when they change, and served only as registered", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { sourcePartitions: 2 });
    const redis = await startRedis();
    const store = await openRedisStore({ url: redis.url });
    const folder = mkdtempSync(join(tmpdir(), "onefold-kafka-drafts-"));
    const first: ViewDefinition = { ...userView, version: "dev" };
    const changed: ViewDefinition = { ...first, features: first.features.slice(0, 1) };
    const definitionsWith = (draft: ViewDefinition | null): Definition[] => [
      user,
      world.source,
      userView,
      ...(draft === null ? [] : [draft]),
    ];
    const routeOf = (draft: ViewDefinition | null) =>
      planRoutes(definitionsWith(draft), world.settings.prefix, true)[0]!.routes[0]!;
    const register = async (definitions: readonly Definition[]): Promise<void> => {
      const platform = await openPlatform({ dataDir: folder, definitions });
      await platform.apply(definitions);
      await platform.close();
    };
    const read = async (): Promise<unknown> => {
      const server = await openOnlineServer({ dataDir: folder, online: redis.url, servingLogSampleRate: 0 });
      // Nobody waits for a draft that no worker folds.
      await expect.poll(() => server.request("GET", "/ready"), { timeout: 60_000 }).toEqual({ status: "ready" });
      try {
        const body = {
          entity_type: "user",
          entity_id: "u1",
          feature_names: [`user_payments@dev:${userView.features[0]!.name}`],
        };
        return (await server.request("POST", "/features", body))["features"];
      } catch (error) {
        return (error as { code: string }).code;
      } finally {
        await server.close();
      }
    };

    await world.send(some(0, 200));
    const numbered = await world.worker(store, { definitions: definitionsWith(first) });
    await expect.poll(() => numbered.progress.fold.events, { timeout: 60_000 }).toBe(200);
    await numbered.stop();
    await register(definitionsWith(first));
    expect(await read()).toBe("NOT_READY");

    const foldsTo = async (draft: ViewDefinition, count: number): Promise<void> => {
      const route = routeOf(draft);
      const expected = await world.expectedStates(route);
      expect([...expected.keys()]).toEqual(["user_payments@1", "user_payments@dev"]);
      await expect.poll(() => world.storedStates(store, route), { timeout: 60_000 }).toEqual(expected);
      expect(await world.countOf(store, route)).toBe(count);
    };
    const withFirst = await world.worker(store, { definitions: definitionsWith(first), drafts: true });
    await world.send(some(200, 300));
    await expect.poll(() => withFirst.progress.fold.events, { timeout: 60_000 }).toBe(100);
    await foldsTo(first, 300);
    const countOf = (count: number): number => some(0, count).filter(({ user: of }) => of === "u1").length;
    expect(Object.values((await read()) as object)).toEqual([countOf(300)]);
    await withFirst.stop();

    const withChanged = await world.worker(store, { definitions: definitionsWith(changed), drafts: true });
    await world.send(some(300, 350));
    await expect.poll(() => withChanged.progress.fold.events, { timeout: 60_000 }).toBe(50);
    await foldsTo(changed, 350);
    const [before, now] = [routeOf(first), routeOf(changed)].map(({ views }) => `${views[1]!.foldName}#kafka`);
    expect(before).not.toBe(now);
    expect(await store.countStates(before!)).toBe(0);
    expect(await store.countStates(now!)).toBe(37);
    // Registered is still what it was before.
    expect(await read()).toBe("NOT_READY");
    await register(definitionsWith(changed));
    expect(Object.values((await read()) as object)).toEqual([countOf(350)]);
    await withChanged.stop();

    const without = await world.worker(store, { definitions: definitionsWith(null), drafts: true });
    expect(await store.countStates(now!)).toBe(0);
    expect(await read()).toBe("NOT_READY");
    await without.stop();
    await world.close();
    await store.close();
    await redis.close();
    rmSync(folder, { recursive: true, force: true });
  });
});
