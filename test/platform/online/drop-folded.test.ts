/** What workers folded of a retired view goes from Redis, nothing else does, and a worker that goes on with it is noticed. */
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openRedisStore, type RedisOnlineStore } from "../../../src/online-store/redis/redis-store.ts";
import { dropFolded } from "../../../src/platform/online/drop-folded.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";

const describeWithRedis = await describeWhere("redis");
const registry = {
  retired: () => [1, 2].map((version) => ({ definition: { kind: "view", name: "totals", version } })) as never,
};

describeWithRedis("what workers folded", () => {
  let url: string;
  let store: RedisOnlineStore;
  beforeEach(async () => {
    url = `${await shared("redis")}/?prefix=${randomUUID()}:&timeout_ms=10000`;
    store = await openRedisStore({ url });
    for (const view of ["totals@1", "totals@2", "totals@3", "totals@11"]) await fold(view);
  });
  afterEach(() => store.close());

  async function fold(view: string, offset = 1): Promise<void> {
    const space = view === "totals@2" ? `${view}#0` : `${view}#kafka`;
    const place = { space, epoch: 0, position: 0, nextSequence: 0 };
    const states = ["a", "b"].map((key) => ({ space, key, epoch: 0, offset, bytes: new Uint8Array([1]) }));
    await store.commit(states, [{ name: `view/${view}`, bytes: new Uint8Array(Buffer.from(JSON.stringify(place))) }]);
  }

  const isThere = async (view: string): Promise<boolean> => (await store.read([], [`view/${view}`])).metas[0] !== null;

  it("is removed, place and states, and what an owner publishes or others fold is not", async () => {
    const quick = { registry, url, waitMillis: 20 };
    expect(await dropFolded("totals@1", quick)).toBe(true);
    expect([await store.countStates("totals@1#kafka"), await isThere("totals@1")]).toEqual([0, false]);
    expect(await dropFolded("totals@1", quick)).toBe(false);
    expect(await dropFolded("totals@2", quick)).toBe(false);
    await expect(dropFolded("totals@3", quick)).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    const left = ["totals@2#0", "totals@3#kafka", "totals@11#kafka"];
    expect(await Promise.all(left.map((space) => store.countStates(space)))).toEqual([2, 2, 2]);
    expect(await Promise.all(["totals@2", "totals@3", "totals@11"].map(isThere))).toEqual([true, true, true]);
  });

  it("is not said to be gone while a worker folds it", async () => {
    const ends = new AbortController();
    const worker = (async () => {
      for (let offset = 2; !ends.signal.aborted; offset++) await fold("totals@1", offset);
    })();
    const dropping = dropFolded("totals@1", { registry, url, waitMillis: 1000 });
    await expect(dropping).rejects.toMatchObject({ code: "STILL_READ" });
    ends.abort();
    await worker;
  });
});
