/**
 * A push is in the log whole or not at all, however many rows it has: what is sent again after a failure, events
 * without ids too, doubles nothing.
 */
import { describe, expect, it } from "vitest";
import type { SourcePipeline } from "../../src/ingest/source-pipeline.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { ForgetfulStorage } from "../../src/testing/forgetful-storage.ts";
import { openPayments, payment, randomFrom, storedStates, TestClock } from "./payments.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();

function stage() {
  return { storage: new ForgetfulStorage(), store: new MemoryOnlineStore(), clock: new TestClock() };
}

/** Events without an id: nothing but the log can tell a second one from the first. */
function rowsFrom(first: number, count: number): object[] {
  return Array.from({ length: count }, (_, i) => payment(first + i, { id: null }));
}

async function offsets(pipeline: SourcePipeline): Promise<number[]> {
  const found: number[] = [];
  for await (const events of pipeline.log.read(0)) found.push(...events.map(({ offset }) => offset));
  return found;
}

describe("pushes of up to 2000 rows", () => {
  it("have their places in the order in which they came, whatever their sizes, and nothing is lost behind one that fails", async () => {
    for (let seed = SEED; seed < SEED + 4; seed++) {
      const random = randomFrom(seed);
      const world = stage();
      const pipeline = await openPayments(world);
      const pushes: Promise<unknown>[] = [];
      const sent: number[] = [];
      for (let n = 0, left = 15; left > 0; left--) {
        const count = [1, 5, 64, 65, 250, 501, 2000][Math.floor(random() * 7)]!;
        const rows: object[] = Array.from({ length: count }, (_, i) => payment(n + i, { id: null, amount: n + i }));
        // One that is refused whole, and rows that are: neither holds up what comes behind.
        if (random() < 0.1) pushes.push(pipeline.push([null, 7, "no row"]));
        if (random() < 0.1) rows[0] = { nothing: "of it" };
        else sent.push(n);
        for (let row = n + 1; row < n + count; row++) sent.push(row);
        pushes.push(pipeline.push(rows));
        n += count;
        while (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(pushes);
      expect(pipeline.pendingRows).toBe(0);
      const amounts: unknown[] = [];
      for await (const events of pipeline.log.read(0)) amounts.push(...events.map(({ row }) => row[5]));
      expect(amounts, `seed ${seed}`).toEqual(sent);
      await pipeline.close();
    }
  });
});

describe("a push of many rows", () => {
  it("leaves nothing behind where the disk fails at any of its writes", async () => {
    for (const operation of ["append", "sync"] as const) {
      for (const after of [0, 1, 2, 3]) {
        const world = stage();
        let pipeline = await openPayments(world);
        await pipeline.push(rowsFrom(0, 10));
        await pipeline.drain();
        world.storage.fail(operation, new Error("EIO"), after);
        const large = rowsFrom(10, 7001);
        const first = await pipeline.push(large).catch((error: unknown) => error);
        await pipeline.close().catch(() => undefined);
        pipeline = await openPayments({ ...world, storage: world.storage.crash() });
        if (first instanceof Error) {
          expect(first).toMatchObject({ code: "STORAGE_FAILED" });
          expect(await offsets(pipeline)).toHaveLength(10);
          expect(await pipeline.push(large)).toMatchObject({ accepted: 7001 });
        }
        expect(await offsets(pipeline)).toEqual(Array.from({ length: 7011 }, (_, i) => i));
        await pipeline.close();
      }
    }
  });

  it("is there whole or not at all after a crash at any moment", async () => {
    const random = randomFrom(SEED);
    let whole = 0;
    for (let run = 0; run < 40; run++) {
      const world = stage();
      let pipeline = await openPayments(world);
      const pushes = [pipeline.push(rowsFrom(0, 1)), pipeline.push(rowsFrom(1, 5000)), pipeline.push(rowsFrom(9, 2))];
      for (const push of pushes) push.catch(() => undefined);
      for (let turns = Math.floor(random() * 30); turns > 0; turns--) await new Promise((done) => setImmediate(done));
      const storage = world.storage.crash(random);
      pipeline = await openPayments({ storage, store: world.store.crash(), clock: world.clock });
      const count = (await offsets(pipeline)).length;
      expect([0, 1, 3, 5003], `seed ${SEED}, run ${run}`).toContain(count);
      if (count === 5003) whole++;
      await pipeline.close();
    }
    expect(whole).toBeGreaterThan(0);
    expect(whole).toBeLessThan(40);
  });

  it("stands in one place of the order, with one known time, and gives the states that small ones give", async () => {
    const rows = Array.from({ length: 5000 }, (_, n) => payment(n, { user: `u${n % 40}` }));
    const [large, small] = [stage(), stage()];
    const together = await openPayments(large);
    // A smaller push may come in front of one that is still being encoded, never into it.
    const [big, little] = [together.push(rows), together.push(rowsFrom(0, 3))];
    expect(await big).toMatchObject({ accepted: 5000 });
    expect((await little).outcomes).toMatchObject([{ offset: 0 }, { offset: 1 }, { offset: 2 }]);
    expect((await big).outcomes.map((outcome) => (outcome.status === "accepted" ? outcome.offset : -1))).toEqual(
      rows.map((_, i) => i + 3),
    );
    const oneByOne = await openPayments(small);
    await oneByOne.push(rowsFrom(0, 3));
    for (let i = 0; i < rows.length; i += 500) await oneByOne.push(rows.slice(i, i + 500));
    await Promise.all([together.drain(), oneByOne.drain()]);
    expect(storedStates(together)).toEqual(storedStates(oneByOne));
    const times = new Set<number>();
    for await (const events of together.log.read(0)) for (const event of events) times.add(event.knownTime);
    expect(times.size).toBe(1);
    await together.close();
    await oneByOne.close();
  });
});
