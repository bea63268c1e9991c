/** A view whose place says that workers have not folded yet what came before it. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openPlatform } from "../../../src/index.ts";
import { encodePlace } from "../../../src/ingest/kafka/view-places.ts";
import { viewMetaName } from "../../../src/ingest/stored-view.ts";
import { openRedisStore } from "../../../src/online-store/redis/redis-store.ts";
import { openOnlineServer } from "../../../src/platform/online/online-server.ts";
import { payments, user, userView } from "../../ingest/payments.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const describeWithRedis = await describeWhere("redis");

describeWithRedis("a server over what workers fold", () => {
  it("refuses a view that is being built, says so, and serves the others", async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-building-views-"));
    const definitions = [user, { ...payments, kafka: { topic: "payments" } }, userView, { ...userView, version: 2 }];
    const platform = await openPlatform({ dataDir: folder, definitions });
    await platform.apply(definitions);
    await platform.close();
    const online = `${await shared("redis")}/?prefix=${randomUUID()}:`;
    const store = await openRedisStore({ url: online });
    const tell = async (version: number, isBuilding: boolean): Promise<void> => {
      const view = `user_payments@${version}`;
      const place = { space: `${view}#kafka`, epoch: 0, position: 0, nextSequence: 0 };
      const bytes = encodePlace({ ...place, ...(isBuilding ? { building: true } : {}) });
      await store.commit([], [{ name: viewMetaName(view), bytes }]);
    };
    await tell(1, false);
    await tell(2, true);
    const server = await openOnlineServer({ dataDir: folder, online, servingLogSampleRate: 0 });
    const read = (version: number) =>
      server.request("POST", "/features", {
        entity_type: "user",
        entity_id: "u1",
        feature_names: [`user_payments@${version}:count`],
      });
    expect(await server.request("GET", "/ready")).toEqual({ status: "ready", building: ["view user_payments@2"] });
    expect(Object.values((await read(1))["features"] as object)).toEqual([0]);
    await expect(read(2)).rejects.toMatchObject({ code: "NOT_READY", message: "view user_payments@2 is being built" });
    await tell(2, false);
    await expect.poll(() => server.request("GET", "/ready"), { timeout: 30_000 }).toEqual({ status: "ready" });
    expect(Object.values((await read(2))["features"] as object)).toEqual([0]);
    await server.close();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
});
