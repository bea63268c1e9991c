/**
 * Entities forgotten at random moments, over topics in memory and real offline tables, beside routers, judges and folders that crash
 * and take turns, and beside corrections: once the command has succeeded nobody finds what it was to forget, and every
 * state has the values of a naive fold of what is left; that of a view that comes later, too.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isOnefoldError, OnefoldError } from "../../../src/base/errors.ts";
import type { Micros } from "../../../src/base/micros.ts";
import { createReadBuffer, type ViewFold, type ViewState } from "../../../src/fold/view-fold.ts";
import { CaughtUpWatch } from "../../../src/ingest/kafka/caught-up.ts";
import { spaceOf, tellViewPlaces } from "../../../src/ingest/kafka/view-places.ts";
import { openOfflineStore } from "../../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../../src/offline-store/duckdb.ts";
import type { QueryEngine } from "../../../src/offline-store/engine.ts";
import { forgetIn } from "../../../src/platform/kafka/forget-on-kafka.ts";
import { openFileRegistry } from "../../../src/registry/file-registry.ts";
import { correctedFolds } from "../../ingest/kafka/corrected-fold.ts";
import { DisturbedWorld, faulty, PARTITIONS, plansOf, SOURCE_PARTITIONS } from "../../ingest/kafka/disturbed-world.ts";
import { MINUTE, randomFrom, SECOND, shop, shopView, START, user, userView } from "../../ingest/payments.ts";

const FIRST_SEED = Number(process.env["ONEFOLD_SEED"] ?? 1);
const RUNS = Number(process.env["ONEFOLD_RUNS"] ?? 3);

let root: string;
let engine: QueryEngine;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "onefold-kafka-forgetting-"));
  engine = await openDuckDb({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

const clock = { now: () => START };

function valuesOf(fold: ViewFold, state: ViewState): unknown {
  const buffer = createReadBuffer(fold.features.length);
  fold.read(state, (START + 60 * MINUTE) as Micros, buffer);
  const { eventCount, lastEventTime } = state;
  return JSON.stringify({ eventCount, lastEventTime, values: buffer.values, statuses: buffer.statuses });
}

describe("an entity whose events come from Kafka", () => {
  it.each(Array.from({ length: RUNS }, (_, i) => FIRST_SEED + i))(
    "is forgotten as if its events had never come, whatever crashes or runs twice (seed %d)",
    { timeout: 900_000 },
    async (seed) => {
      const random = randomFrom(seed * 977);
      const later = { ...userView, version: 2, exactEvents: 2 };
      const laterShop = { ...shopView, version: 2, exactEvents: 2 };
      const ids = seed % 3 === 2 ? "entity" : "source";
      const plans = plansOf(ids, [later, laterShop]);
      const { source, plan, planLater, counts, facts } = plans;
      const folder = join(root, String(seed));
      const world = await DisturbedWorld.open({ seed, random, plans, folder, engine, forgets: true, trustMs: 0 });
      const { topics, cluster, store: real, committedBy } = world;
      const chance = (share: number): boolean => world.chance(share);
      const settings = new Map(plan.routes.map(({ topic }) => [topic, new Map([["segment.ms", "600000"]])] as const));
      for (const [topic, own] of settings) topics.settings.set(topic, new Map(own));
      const registry = await openFileRegistry(join(folder, "registry"), { clock });
      await registry.apply([user, shop, source, userView, shopView, later, laterShop]);
      let n = 0;
      const users = ["u0", "u1", "u2"];
      const send = async (): Promise<void> => {
        const partition = Math.floor(random() * SOURCE_PARTITIONS);
        const isCorrection = n > 3 && chance(0.08);
        const mayRepeat = ids !== "entity" && chance(0.1);
        const id = isCorrection || mayRepeat ? `p${Math.floor(random() * (n + 1))}` : `p${n}`;
        const offset = topics.of("payments", partition).length;
        // Where ids are looked at by entity, events of one id are of the same ones.
        const of = ids === "entity" ? Number(id.slice(1)) : Math.floor(random() * 12);
        const row = {
          id,
          user: users[of % users.length]!,
          country: of % 2 === 0 ? "DE" : "FR|x",
          shop: of % 4 < 2 ? 0 : 1,
          at: new Date((world.now - random() * 20 * SECOND) / 1000).toISOString(),
          amount: chance(0.1) ? 13 : chance(0.1) ? -1 : Math.floor(random() * 100),
          // Nobody else has it.
          constructor: `<${partition}/${offset}>`,
        };
        n++;
        const isRetraction = isCorrection && chance(0.5);
        const value = isRetraction ? null : Buffer.from(JSON.stringify(row));
        const headers = new Map(isCorrection ? [["onefold-corrects", id]] : []);
        await topics.send([{ topic: "payments", partition, key: null, value, headers }]);
      };

      const watch = new CaughtUpWatch({
        connection: topics,
        store: real,
        plans: [planLater],
        topics: facts,
        committed: (all) => committedBy("", all),
        tellPlaces: () => tellViewPlaces(real, [planLater]),
      });
      /** One turn of each, disturbed or not. */
      const step = async (share: number): Promise<void> => {
        await world.turn(share, share < 0.1 ? [planLater] : undefined);
        if (chance(0.3)) topics.compact();
        if (chance(0.3)) await watch.look();
      };

      /** Of a user: what stood before these offsets is forgotten, once it has succeeded. */
      const forgotten = new Map<string, readonly number[]>();
      const isForgotten = (origin: string): boolean => {
        const [, partition, offset] = origin.split("/") as [string, string, string];
        const { value } = topics.of("payments", Number(partition))[Math.ceil(Number(offset))]!;
        const name = value === null ? "" : (JSON.parse(value.toString()) as { user: string }).user;
        return Number(offset) < (forgotten.get(name)?.[Number(partition)] ?? 0);
      };
      const fails = { left: Number.POSITIVE_INFINITY };
      const failing = <T extends unknown[], R>(work: (...args: T) => Promise<R>, isAfter: boolean) => {
        return async (...args: T): Promise<R> => {
          const isNow = --fails.left < 0;
          if (isNow && !isAfter) throw new OnefoldError("KAFKA_UNAVAILABLE", "crash");
          const result = await work(...args);
          if (isNow) throw new OnefoldError("KAFKA_UNAVAILABLE", "crash");
          return result;
        };
      };
      /** Fails at a random call, and succeeds in the end. */
      const forget = async (name: string): Promise<void> => {
        for (let tries = 0; ; tries++) {
          fails.left = tries < 3 && chance(0.7) ? Math.floor(random() * 40) : Number.POSITIVE_INFINITY;
          const isAfter = chance(0.5);
          let ends: readonly number[] = [];
          const told = faulty(real);
          if (Number.isFinite(fails.left) && chance(0.2)) told.fault = isAfter ? "after" : "before";
          const connection = {
            settings: { prefix: "onefold" },
            committedBy: failing(committedBy, isAfter),
            fetch: failing(topics.fetch.bind(topics), isAfter),
            send: failing(topics.send.bind(topics), isAfter),
            ownTopicSettings: failing(topics.ownTopicSettings.bind(topics), isAfter),
            alterTopic: failing(topics.alterTopic.bind(topics), isAfter),
            topicNames: async () => [...counts.keys()],
            topics: async (names: readonly string[]) => new Map([...facts].filter(([topic]) => names.includes(topic))),
            async offsets(topic: string, of: "start" | "end") {
              const found = await topics.offsets(topic, of);
              if (topic === "payments" && of === "end") ends = found;
              return found;
            },
          };
          const limits = {
            stalledMs: 600_000,
            copiesMs: 0,
            lookMs: 5,
            trustMs: 0,
            onProgress: () => {},
            check: () => {},
          };
          const tables = openOfflineStore(folder, engine, { clock });
          try {
            const house = { registry, connection, store: told.store, engine, tables, ...limits };
            await forgetIn(house, {
              dataDir: join(folder, "data"),
              archiveFolder: folder,
              entity: "user",
              key: name,
              isShared: true,
            });
          } catch (error) {
            const isOurs =
              (error as Error).message === "crash" || (isOnefoldError(error) && error.code === "TABLE_CONFLICT");
            if (!isOurs) throw error;
            continue;
          }
          forgotten.set(name, ends);
          // Whatever was cut short before.
          for (const topic of counts.keys())
            expect(topics.settings.get(topic) ?? new Map(), topic).toEqual(settings.get(topic) ?? new Map());
          return;
        }
      };
      /** Text that is nobody else's, of all that was forgotten, wherever it is still found. */
      const found = async (): Promise<string[]> => {
        // A file that is just being written goes when it is too late.
        for (const loop of world.loops) await loop.idle();
        const secrets = [0, 1].flatMap((partition) =>
          topics
            .of("payments", partition)
            .flatMap(({ offset }) => (isForgotten(`id/${partition}/${offset}`) ? [`<${partition}/${offset}>`] : [])),
        );
        const isSecret = new Set(secrets);
        const places: string[] = [];
        for (const [topic, count] of counts) {
          if (topic === "payments") continue;
          for (let partition = 0; partition < count; partition++) {
            for (const { value, offset } of topics.present(topic, partition)) {
              const text = value === null || value.length === 0 ? undefined : /<\d+\/\d+>/.exec(value.toString())?.[0];
              if (text !== undefined && isSecret.has(text)) places.push(`${topic}/${partition}/${offset} ${text}`);
            }
          }
        }
        const rows = await engine.rows(`SELECT filename AS path, "constructor" AS text
          FROM read_parquet('${folder}/events/**/*.parquet', filename = true, union_by_name = true)`);
        for (const { path, text } of rows)
          if (isSecret.has(String(text))) places.push(`${String(path)} ${String(text)}`);
        return places;
      };

      let forgetting: Promise<void> | null = null;
      let times = 0;
      const command = { isDone: true };
      for (let i = 0; i < 36; i++) {
        world.goOn(Math.floor(random() * 2 * SECOND));
        for (let count = Math.floor(random() * 4); count > 0; count--) await send();
        if (i % 13 === seed % 13) await cluster?.failOver();
        await step(0.15);
        if (command.isDone && i % 16 === 8 + (seed % 4)) {
          command.isDone = false;
          times++;
          forgetting = forget(users[Math.floor(random() * users.length)]!).then(() => void (command.isDone = true));
          // It fails the test where it is awaited.
          forgetting.catch(() => undefined);
        }
      }
      // All have all views by now.
      await world.newFolders([planLater]);
      for (const end = Date.now() + 600_000; !command.isDone;) {
        expect(Date.now(), `seed ${seed}: waited in vain`).toBeLessThan(end);
        await step(0.05);
        await Promise.race([sleep(1), forgetting]);
      }
      await forgetting;
      expect(times, `seed ${seed}`).toBeGreaterThan(0);
      expect(await found(), `seed ${seed}`).toEqual([]);

      // A view that comes later, and nothing that disturbs.
      await world.foldAll();
      for (const route of planLater.routes) {
        const records = Array.from({ length: PARTITIONS }, (_, partition) =>
          topics.of(route.topic, partition).filter(({ value, headers }) => {
            if (value === null) return true;
            return value.length > 0 && !isForgotten(headers().get("onefold-origin")!.toString());
          }),
        );
        for (const [view, states] of correctedFolds(source, route, records)) {
          const stored: Record<string, unknown> = {};
          for await (const { key, bytes } of real.scanStates(spaceOf(view))) {
            const state = view.fold.decode(bytes);
            if (state.eventCount > 0) stored[key] = valuesOf(view.fold, state);
          }
          const wanted = [...states].filter(([, { eventCount }]) => eventCount > 0);
          const expected = Object.fromEntries(wanted.map(([key, state]) => [key, valuesOf(view.fold, state)]));
          expect(stored, `seed ${seed}, ${view.name}`).toEqual(expected);
        }
      }
      expect(await found(), `seed ${seed}`).toEqual([]);
    },
  );
});
