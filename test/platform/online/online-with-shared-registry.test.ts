/** A server that holds nothing at all: states from Redis, the registry from PostgreSQL. */
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { count, entity, openOnlineServer, openPlatform, service, stream, sum, t, view } from "../../../src/index.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { newDatabase } from "../../services/postgres.ts";

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), spent: t.float64() },
  eventTime: "at",
});
const totals = view("totals", { entity: user, source: visits, features: { visits: count() } });
const spent = view("spent", { entity: user, source: visits, features: { spent: sum("spent") } });
const before = [user, visits, totals, service("visitor", { features: [totals] })];
const after = [spent, service("visitor", { features: [totals, spent] })];

let folder: string;
const closers: (() => Promise<void>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

const describeWithRedis = await describeWhere("redis");
const describeWithPostgres = await describeWhere("postgres");

describeWithRedis("a server on Redis", () => {
  describeWithPostgres("with its registry in PostgreSQL", () => {
    it("serves what the owner folds, and soon what others register, with nothing in its folder to start from", async () => {
      const registry = await newDatabase(await shared("postgres"));
      const online = `${await shared("redis")}/?prefix=${randomUUID()}:`;
      const owner = await openPlatform({ dataDir: join(folder, "owner"), registry, publish: online });
      closers.push(() => owner.close());
      await owner.apply(before);
      const dataDir = join(folder, "server");
      await mkdir(dataDir);
      const server = await openOnlineServer({ dataDir, registry, online });
      closers.push(() => server.close());
      await owner.push("visits", [{ user_id: "ada", at: new Date().toISOString(), spent: 2.5 }]);
      const features = async (): Promise<unknown> => {
        try {
          const answer = await server.request("POST", "/services/visitor/vector", { entities: { user_id: "ada" } });
          return answer["features"];
        } catch (error) {
          return (error as { code?: string }).code;
        }
      };
      await expect.poll(features, { timeout: 60_000 }).toEqual({ visits: 1 });
      await owner.apply(after);
      await expect.poll(features, { timeout: 60_000 }).toEqual({ visits: 1, spent: 2.5 });
      expect(await readdir(dataDir)).toEqual(["format.json", "serving-log"]);
    });
  });
});
