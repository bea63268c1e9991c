/** A Redis that keeps nothing is killed and started again under those who read from it. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { asOnefoldError } from "../../src/base/errors.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { viewMetaName } from "../../src/ingest/stored-view.ts";
import { openRedisStore } from "../../src/online-store/redis/redis-store.ts";
import { FetchedViews } from "../../src/platform/online/fetched-views.ts";
import type { CatalogView } from "../../src/platform/view-catalog.ts";
import { payments, user, userView } from "../ingest/payments.ts";
import { describeWhere } from "../services/describe-where.ts";
import { startRedis } from "../services/redis.ts";

const describeWithRedis = await describeWhere("redis", { ours: true });

const KILLS = 6;
const SPACE = "user_payments@1#kafka";
const fold = compileViewFold(userView, payments, user);
const view = {
  name: "user_payments@1",
  definition: userView,
  entity: user,
  source: payments,
  fold,
} as unknown as CatalogView;

describeWithRedis("views that are fetched from a Redis that was started again empty", () => {
  it("are not there, and no entity is unseen for it", async () => {
    const redis = await startRedis();
    const [store, writer] = [await openRedisStore({ url: redis.url }), await openRedisStore({ url: redis.url })];
    const views = new FetchedViews(store);
    const fill = async (): Promise<void> => {
      const bytes = fold.encode(fold.empty());
      const place = Buffer.from(JSON.stringify({ space: SPACE, epoch: 0, position: 0, nextSequence: 0 }));
      await writer.commit([{ space: SPACE, key: "u1", epoch: 0, offset: 1, bytes }], []);
      await writer.commit([], [{ name: viewMetaName(view.name), bytes: place }]);
    };
    const untilFilled = async (): Promise<void> => {
      for (const end = Date.now() + 30_000; ; await sleep(10)) {
        try {
          return await fill();
        } catch (error) {
          if (Date.now() > end) throw error;
        }
      }
    };
    const answers = { seen: 0, unseen: 0, NOT_READY: 0, others: [] as string[] };
    const asked = { isOver: false };
    const ask = async (): Promise<void> => {
      for (; !asked.isOver; await sleep(2)) {
        try {
          const served = views.view(view);
          views.renew(await views.fetch([{ view: served, key: "u1" }]));
          answers[served.state("u1") === null ? "unseen" : "seen"]++;
        } catch (error) {
          const { code } = asOnefoldError(error);
          if (code === "NOT_READY") answers.NOT_READY++;
          else answers.others.push(code);
        }
      }
    };
    const hear = async (): Promise<void> => {
      for (; !asked.isOver; await sleep(50)) await views.places.hear([view]).catch(() => undefined);
    };
    const nextSeen = async (): Promise<void> => {
      const { seen } = answers;
      await expect.poll(() => answers.seen, { timeout: 30_000 }).toBeGreaterThan(seen);
    };
    await untilFilled();
    await views.places.hear([view]);
    const asking = Promise.all([ask(), ask(), ask(), hear()]);
    for (let kill = 0; kill < KILLS; kill++) {
      await nextSeen();
      await sleep(kill * 7);
      const { NOT_READY } = answers;
      await redis.kill();
      await redis.restart();
      await expect.poll(() => answers.NOT_READY, { timeout: 30_000 }).toBeGreaterThan(NOT_READY);
      await untilFilled();
    }
    await nextSeen();
    asked.isOver = true;
    await asking;
    expect(answers.unseen).toBe(0);
    for (const code of answers.others) expect(code).toMatch(/^STORE_(?:TIMEOUT|UNAVAILABLE)$/);
    await Promise.all([store.close(), writer.close()]);
    await redis.close();
  });
});
