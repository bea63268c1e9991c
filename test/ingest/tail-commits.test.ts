/** Tails are written before the positions that rely on them, in commits of their own: whatever comes in between. */
import { describe, expect, it } from "vitest";
import { TailReader } from "../../src/ingest/event-tail.ts";
import type { SourcePipeline } from "../../src/ingest/source-pipeline.ts";
import { readStoredView } from "../../src/ingest/stored-view.ts";
import type { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import {
  expectedStates,
  logOf,
  openPayments,
  payment,
  payments,
  pipelineView,
  type Stage,
  userView,
} from "./payments.ts";
import { liveOf, ofUser, pushOne, storedOf, USER_TAILS, watchedStage } from "./tails-world.ts";

const views = [userView, ofUser("second", {}), ofUser("third", {})].map(pipelineView);
const open = (stage: Stage): Promise<SourcePipeline> => openPayments(stage, { views });

describe("an event", () => {
  it("is folded once where a crash comes between its tail and the positions of its views", async () => {
    const stage = watchedStage();
    const pipeline = await open(stage);
    await pushOne(pipeline, 0);
    const store = stage.store as MemoryOnlineStore;
    const commitAlone = store.commitAlone.bind(store);
    const crashed = new Promise<MemoryOnlineStore>((resolve) => {
      store.commitAlone = async (states, metas) => {
        const isTails = states.some(({ space }) => space === USER_TAILS);
        await commitAlone(states, metas);
        if (isTails) resolve(store.crash());
      };
    });
    await pipeline.push([payment(1, { user: "u" })]);
    const left = await crashed;
    const tail = new TailReader(left, payments).read(USER_TAILS, "u");
    expect(tail?.lastOffset, "of the tail that is stored").toBe(1);
    expect(readStoredView(left, pipeline.runners[0]!.name)?.position, "of a view as it is stored").toBe(1);
    const after = await open({ ...stage, store: left });
    await after.drain();
    const events = await logOf(after);
    for (const runner of after.runners) {
      const expected = expectedStates(runner.view.definition, events);
      expect(liveOf(runner, ["u"]), runner.name).toEqual(expected);
      expect(storedOf(runner), runner.name).toEqual(expected);
    }
    await pipeline.close().catch(() => undefined);
    await after.close();
  });

  it("is folded once where a crash comes between the parts in which many tails are written", async () => {
    const stage = watchedStage();
    const users = Array.from({ length: 600 }, (_, n) => `u${n}`);
    const pipeline = await open(stage);
    const pushAll = (from: number): Promise<unknown> =>
      pipeline.push(users.map((user, n) => payment(from + n, { user })));
    await pushAll(0);
    await pipeline.drain();
    stage.commits.length = 0;
    const store = stage.store as MemoryOnlineStore;
    const commitAlone = store.commitAlone.bind(store);
    const crashed = new Promise<MemoryOnlineStore>((resolve) => {
      let first: Promise<void> | null = null;
      store.commitAlone = async (states, metas) => {
        const isTails = states.some(({ space }) => space === USER_TAILS);
        if (isTails && first !== null) {
          await first;
          resolve(store.crash());
        }
        const commit = commitAlone(states, metas);
        if (isTails) first ??= commit;
        await commit;
      };
    });
    await pushAll(1000);
    const after = await open({ ...stage, store: await crashed });
    expect(stage.commits.filter((states) => states.length > 0 && states.length < users.length).length).toBeGreaterThan(
      1,
    );
    await after.drain();
    const events = await logOf(after);
    expect(events).toHaveLength(2 * users.length);
    for (const runner of after.runners) {
      const expected = expectedStates(runner.view.definition, events);
      expect(storedOf(runner), runner.name).toEqual(expected);
    }
    await pipeline.close().catch(() => undefined);
    await after.close();
  });

  it("is not lost where its tail cannot be written and the views' commits could", async () => {
    const stage = watchedStage();
    const pipeline = await open(stage);
    await pushOne(pipeline, 0);
    const store = stage.store as MemoryOnlineStore;
    const commitAlone = store.commitAlone.bind(store);
    store.commitAlone = async (states, metas) => {
      if (states.some(({ space }) => space === USER_TAILS)) throw new Error("no space left on device");
      await commitAlone(states, metas);
    };
    await pipeline.push([payment(1, { user: "u" })]);
    await expect(pipeline.drain()).rejects.toThrow();
    await pipeline.close().catch(() => undefined);
    store.commitAlone = commitAlone;
    const after = await open(stage);
    const events = await logOf(after);
    expect(events).toHaveLength(2);
    for (const runner of after.runners) {
      expect(liveOf(runner, ["u"]), runner.name).toEqual(expectedStates(runner.view.definition, events));
    }
    await after.close();
  });
});
