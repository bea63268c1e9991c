import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { LogEvent } from "../../src/ingest/event.ts";
import { nextOutboxBatch, outboxRows } from "../../src/ingest/feature-rows.ts";
import type { SourcePipeline } from "../../src/ingest/source-pipeline.ts";
import { readStoredView, stateSpace } from "../../src/ingest/stored-view.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { ForgetfulStorage } from "../../src/testing/forgetful-storage.ts";
import {
  featuresOf,
  MINUTE,
  openPayments,
  payment,
  pipelineView,
  SECOND,
  shopView,
  START,
  storedStates,
  TestClock,
  userView,
} from "./payments.ts";

function newStage(): { storage: ForgetfulStorage; store: MemoryOnlineStore; clock: TestClock } {
  return { storage: new ForgetfulStorage(), store: new MemoryOnlineStore(), clock: new TestClock() };
}

async function logOf(pipeline: SourcePipeline): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  for await (const batch of pipeline.log.read(0)) events.push(...batch);
  return events;
}

describe("source pipeline", () => {
  it("real-time computation: a pushed event counts in the very next read", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage);
    const result = await pipeline.push([
      payment(0, { user: "ann", amount: 30 }),
      payment(1, { user: "ann", amount: 60.5 }),
    ]);
    expect(result).toMatchObject({ accepted: 2, duplicates: 0, rejected: 0 });
    expect(result.outcomes).toEqual([
      { status: "accepted", offset: 0 },
      { status: "accepted", offset: 1 },
    ]);
    expect(featuresOf(pipeline, "user_payments@1", "ann", START)).toEqual({
      count: 2,
      sum_1m: 90.5,
      last_large: false,
    });
    expect(featuresOf(pipeline, "user_payments@1", "ann", START + 2 * MINUTE)).toEqual({
      count: 2,
      sum_1m: null,
      last_large: false,
    });
    expect(featuresOf(pipeline, "shop_payments@1", "DE\\|x|0", START)).toEqual({ mean: 30, unlucky: 1 });
    expect(pipeline.runner("user_payments@1")!.state("nobody")).toBeNull();
    await pipeline.close();
  });

  it("online store write and read: after a flush the store holds states and positions, and a restart goes on from them", async () => {
    const stage = newStage();
    let pipeline = await openPayments(stage);
    await pipeline.push([payment(0), payment(1), payment(2)]);
    await pipeline.drain();
    const before = storedStates(pipeline);
    expect(Object.keys(before)).toHaveLength(6);
    await pipeline.close();
    pipeline = await openPayments(stage);
    expect(pipeline.runner("user_payments@1")).toMatchObject({ position: 3, epoch: 0, space: "user_payments@1#0" });
    expect(featuresOf(pipeline, "user_payments@1", "u1", START)).toMatchObject({ count: 1, sum_1m: 7 });
    expect(storedStates(pipeline)).toEqual(before);
    expect((await pipeline.push([payment(3)])).outcomes).toEqual([{ status: "accepted", offset: 3 }]);
    await pipeline.close();
  });

  it("that could not be opened writes nothing any more", async () => {
    const stage = newStage();
    const first = await openPayments(stage);
    await first.push([payment(0), payment(1), payment(2)]);
    await first.close();
    const store = new MemoryOnlineStore();
    const onReplay = (): void => {
      throw new Error("no further");
    };
    await expect(openPayments({ ...stage, store }, { onReplay })).rejects.toThrow("no further");
    await sleep(50);
    expect(readStoredView(store, "user_payments@1")).toBeNull();
    const pipeline = await openPayments({ ...stage, store });
    expect(pipeline.runner("user_payments@1")).toMatchObject({ position: 3 });
    await pipeline.close();
  });

  it("is drained once the rows of all closed minutes are stored, however many are read at once", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage);
    const users = 200;
    await pipeline.push(Array.from({ length: users }, (_, i) => payment(i, { user: `user-${i}` })));
    stage.clock.time = START + 2 * MINUTE;
    pipeline.tick();
    await pipeline.drain();
    let rows = 0;
    let after: string | undefined;
    for (;;) {
      const batch = nextOutboxBatch(stage.store, "user_payments@1", after);
      if (batch === null) break;
      for (const some of outboxRows(batch, pipelineView(userView).fold, [{ name: "string" }])) rows += some.length;
      after = batch.metaName;
    }
    expect(rows).toBe(users);
    await pipeline.close();
  });

  it("answers each row of a push for itself", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage);
    const { outcomes, ...counts } = await pipeline.push([
      payment(1),
      { ...payment(2), amout: 5 },
      payment(1),
      { ...payment(3), amount: -4 },
      { ...payment(4), user: null },
      { ...payment(5), at: { micros: START + 2 * MINUTE } },
      { ...payment(6), country: null },
      "nonsense",
      payment(7),
    ]);
    expect(counts).toEqual({ accepted: 2, duplicates: 1, rejected: 6 });
    const codes = outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.code : outcome.status));
    expect(codes).toEqual([
      "accepted",
      "COLUMN_UNKNOWN",
      "duplicate",
      "CONSTRAINT_FAILED",
      "NULL_NOT_ALLOWED",
      "EVENT_TOO_FAR_AHEAD",
      "KEY_MISSING",
      "REQUEST_INVALID",
      "accepted",
    ]);
    const letters = await pipeline.deadLetters.list();
    const ids = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.deadLetterId] : []));
    expect(letters.map((letter) => letter.id)).toEqual(ids);
    expect(letters[0]).toMatchObject({
      stage: "door",
      source: "payments",
      payload: { amout: 5 },
      message: expect.stringContaining('did you mean "amount"'),
    });
    await pipeline.close();
  });

  it("keeps rejected rows as dead letters across a crash once the push is answered", async () => {
    const stage = newStage();
    let pipeline = await openPayments(stage);
    await pipeline.push([{ user: 1 }, payment(1)]);
    const storage = stage.storage.crash();
    pipeline = await openPayments({ ...stage, storage, store: stage.store.crash() });
    expect(await pipeline.deadLetters.list()).toMatchObject([{ code: "TYPE_MISMATCH", payload: { user: 1 } }]);
    expect(await logOf(pipeline)).toHaveLength(1);
    await pipeline.close();
  });

  it("accepts exactly one of concurrent pushes of an id, and calls no event a duplicate before it is durable", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage);
    let firstIsDurable = false;
    const pushes = Array.from({ length: 20 }, (_, i) => pipeline.push([payment(9, { amount: i })]));
    void pushes[0]!.then(() => (firstIsDurable = true));
    const results = await Promise.all(pushes);
    expect(firstIsDurable).toBe(true);
    expect(results.map((result) => result.accepted)).toEqual([1, ...Array.from({ length: 19 }, () => 0)]);
    expect(await logOf(pipeline)).toHaveLength(1);
    stage.storage.fail("sync", new Error("EIO"));
    const failing = await Promise.allSettled([pipeline.push([payment(10)]), pipeline.push([payment(10)])]);
    expect(failing.map((one) => one.status)).toEqual(["rejected", "rejected"]);
    await pipeline.close().catch(() => undefined);
  });

  it("remembers ids across restarts, in the store and from the log, for as long as the source says and no longer", async () => {
    let stage = newStage();
    let pipeline = await openPayments(stage);
    const long = "long ".repeat(100);
    await pipeline.push([payment(1), payment(2, { id: long })]);
    await pipeline.drain();
    await pipeline.push([payment(3)]);
    stage = { ...stage, storage: stage.storage.crash(), store: stage.store.crash() };
    pipeline = await openPayments(stage);
    const again = await pipeline.push([
      payment(1),
      payment(2, { id: long }),
      payment(3),
      payment(4, { id: `${long}!` }),
    ]);
    expect(again).toMatchObject({ accepted: 1, duplicates: 3 });
    stage.clock.time += 60 * MINUTE + 1;
    expect(await pipeline.push([payment(1)])).toMatchObject({ accepted: 1 });
    expect(await pipeline.push([payment(1)])).toMatchObject({ duplicates: 1 });
    await pipeline.drain();
    stage.clock.time += 200 * MINUTE;
    for (let n = 20; n < 40; n++) {
      await pipeline.push([payment(n)]);
      await pipeline.drain();
    }
    const names = [...stage.store.scanMeta("id/payments/")].map(({ name }) => name.slice(12));
    expect(names).not.toContain("=p3");
    expect(names).toContain("=p39");
    await pipeline.close();
  });

  it("refuses with BACKPRESSURE when too much waits, takes nothing in, and recovers", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage, { pendingRowsMax: 10 });
    const first = pipeline.push(Array.from({ length: 8 }, (_, i) => payment(i)));
    await expect(pipeline.push([payment(8), payment(9), payment(10)])).rejects.toMatchObject({
      code: "BACKPRESSURE",
      status: 429,
    });
    expect(await first).toMatchObject({ accepted: 8 });
    expect(await pipeline.push([payment(8), payment(9), payment(10)])).toMatchObject({ accepted: 3 });
    expect(pipeline.pendingRows).toBe(0);
    expect(await logOf(pipeline)).toHaveLength(11);
    await pipeline.close();
  });

  it("when the disk is full: an error, nothing half-applied, refusal until it is opened anew", async () => {
    const stage = newStage();
    let pipeline = await openPayments(stage);
    await pipeline.push([payment(1)]);
    stage.storage.fail("append", Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }));
    await expect(pipeline.push([payment(2), payment(3)])).rejects.toMatchObject({ code: "DISK_FULL" });
    await expect(pipeline.push([payment(4)])).rejects.toMatchObject({ code: "DISK_FULL" });
    await expect(pipeline.drain()).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(featuresOf(pipeline, "user_payments@1", "u2", START)).toMatchObject({ count: 0 });
    await pipeline.close();
    pipeline = await openPayments(stage);
    expect(await logOf(pipeline)).toHaveLength(1);
    expect(await pipeline.push([payment(2), payment(3)])).toMatchObject({ accepted: 2 });
    await pipeline.close();
  });

  it("poisoned events leave the view's state alone, fold elsewhere, and become one dead letter however often they are folded", async () => {
    const stage = newStage();
    let pipeline = await openPayments(stage);
    await pipeline.push([payment(1, { amount: 5 }), payment(3, { amount: 13, shop: 1 })]);
    expect(featuresOf(pipeline, "user_payments@1", "u3", START)).toMatchObject({ count: 1, sum_1m: 13 });
    expect(featuresOf(pipeline, "shop_payments@1", "FR|1", START)).toEqual({ mean: 5, unlucky: 1 });
    await pipeline.drain();
    const letter = {
      stage: "fold",
      view: "shop_payments@1",
      offset: 1,
      code: "EVENT_POISON",
      payload: { amount: 13, id: "p3" },
    };
    expect(await pipeline.deadLetters.list()).toMatchObject([letter]);
    // A store that lost everything makes the log be folded again.
    pipeline = await openPayments({ ...stage, storage: stage.storage.crash(), store: new MemoryOnlineStore() });
    await pipeline.drain();
    expect(await pipeline.deadLetters.list()).toMatchObject([letter]);
    expect(await pipeline.replayDeadLetters("all")).toMatchObject({ accepted: 0, notReplayable: 1 });
    await pipeline.close();
  });

  it("replays dead letters: those that get in are resolved, the others stay, and none is added", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage);
    await pipeline.push([payment(1, { at: { micros: START + 5 * MINUTE } }), { ...payment(2), amount: "much" }]);
    stage.clock.time += 10 * MINUTE;
    expect(await pipeline.replayDeadLetters("all")).toEqual({
      accepted: 1,
      duplicates: 0,
      rejected: 1,
      notReplayable: 0,
    });
    expect(await pipeline.deadLetters.list()).toMatchObject([{ code: "TYPE_MISMATCH" }]);
    expect(await pipeline.deadLetters.list({ includeResolved: true })).toHaveLength(2);
    expect(await logOf(pipeline)).toHaveLength(1);
    await pipeline.close();
  });

  it("gives the same state bytes at any size of push and with few states kept in memory", async () => {
    const all = Array.from({ length: 300 }, (_, n) => payment(n, { user: `u${n % 37}` }));
    const found = [];
    for (const { size, hotCountMax } of [
      { size: 1, hotCountMax: 3 },
      { size: 7, hotCountMax: 1000 },
      { size: 300, hotCountMax: 5 },
    ]) {
      const stage = newStage();
      const pipeline = await openPayments(stage, { hotCountMax });
      for (let i = 0; i < all.length; i += size) {
        await pipeline.push(all.slice(i, i + size));
        if (i % 50 === 0) await pipeline.drain();
      }
      await pipeline.drain();
      found.push(storedStates(pipeline));
      await pipeline.close();
    }
    expect(Object.keys(found[0]!).length).toBe(37 + 6);
    expect(found[1]).toEqual(found[0]);
    expect(found[2]).toEqual(found[0]);
  });

  it("adds a view while events come in, and folds the log for it from the start", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage, { views: [pipelineView(userView)] });
    await pipeline.push(Array.from({ length: 50 }, (_, n) => payment(n)));
    const added = pipeline.addView(pipelineView(shopView));
    const pushes = Promise.all(Array.from({ length: 20 }, (_, n) => pipeline.push([payment(100 + n)])));
    expect((await added).name).toBe("shop_payments@1");
    await pushes;
    await pipeline.drain();
    const whole = newStage();
    const reference = await openPayments(whole);
    for (const event of await logOf(pipeline)) {
      const [id, user, country, shop, at, amount] = event.row;
      await reference.push([{ id, user, country, shop, at: { micros: at }, amount }]);
    }
    await reference.drain();
    expect(storedStates(pipeline)).toEqual(storedStates(reference));
    await pipeline.close();
    await reference.close();
  });

  it("switches a view to rebuilt states at an exact position, durably, while events come in", async () => {
    let stage = newStage();
    let pipeline = await openPayments(stage);
    await pipeline.push(Array.from({ length: 30 }, (_, n) => payment(n)));
    // A rebuild up to offset 10 that found one more event of u1 in history.
    const { fold } = pipelineView(userView);
    const space = stateSpace("user_payments@1", 1);
    const states = new Map<string, ReturnType<typeof fold.empty>>();
    const history = {
      offset: -5,
      eventTime: START,
      knownTime: START,
      row: ["h", "u1", "FR", 1, START, 1, null, false],
    };
    for (const event of [history, ...(await logOf(pipeline)).slice(0, 10)]) {
      const key = fold.keyOf(event.row);
      const state = states.get(key) ?? fold.empty();
      fold.fold(state, { ...event, eventTime: START, knownTime: START });
      states.set(key, state);
    }
    const writes = Array.from(states, ([key, state]) => ({
      space,
      key,
      epoch: 1,
      offset: state.lastOffset,
      bytes: fold.encode(state),
    }));
    await stage.store.commitAlone(writes, []);
    const switched = pipeline.switchView("user_payments@1", 1, space, 10);
    await Promise.all([
      switched,
      ...Array.from({ length: 10 }, (_, n) => pipeline.push([payment(50 + n, { user: "u1" })])),
    ]);
    const liveOfU1 = (await logOf(pipeline)).filter((event) => event.row[1] === "u1").length;
    const expected = { count: liveOfU1 + 1 };
    expect(pipeline.runner("user_payments@1")).toMatchObject({ epoch: 1, space });
    expect(featuresOf(pipeline, "user_payments@1", "u1", START)).toMatchObject(expected);
    stage = { ...stage, storage: stage.storage.crash(), store: stage.store.crash() };
    pipeline = await openPayments(stage);
    expect(pipeline.runner("user_payments@1")).toMatchObject({ epoch: 1, space, position: 40 });
    expect(featuresOf(pipeline, "user_payments@1", "u1", START)).toMatchObject(expected);
    await pipeline.close();
  });

  it("answers what waits to be folded where what is to be written cannot be taken", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage);
    const [runner] = pipeline.runners;
    const pushed = new Promise((resolve) => {
      runner!.captureDue = () => {
        resolve(pipeline.push([payment(1)]));
        throw new Error("cannot be taken");
      };
    });
    await pipeline.push([payment(0)]);
    await expect(pushed).resolves.toMatchObject({ accepted: 1 });
    expect(pipeline.failure).not.toBeNull();
    await pipeline.close().catch(() => undefined);
  });

  it("says so when the log lost events that were folded", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage);
    await pipeline.push([payment(1)]);
    await pipeline.close();
    await expect(openPayments({ ...stage, storage: new ForgetfulStorage() })).rejects.toMatchObject({
      code: "LOG_CORRUPT",
    });
  });

  it("never dates a later event into the past, though the clock goes back", async () => {
    const stage = newStage();
    const pipeline = await openPayments(stage);
    await pipeline.push([payment(1)]);
    stage.clock.time -= 30 * SECOND;
    await pipeline.push([payment(2, { at: { micros: stage.clock.time } })]);
    const times = (await logOf(pipeline)).map((event) => event.knownTime);
    expect(times).toEqual([START, START]);
    await pipeline.close();
  });
});
