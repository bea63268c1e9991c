/** Notes of changed entities, as the store remembers them from flush to flush. */
import { describe, expect, it } from "vitest";
import { DueRowReader } from "../../src/ingest/due-rows.ts";
import { MinuteNotes } from "../../src/ingest/minute-notes.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { firstSeed } from "../first-seed.ts";
import { randomFrom } from "./payments.ts";

const MINUTE = 60_000_000;

describe("minute notes", () => {
  it("are those that were noted and not read, whenever the store is opened again, in few records", async () => {
    const first = firstSeed();
    for (let seed = first; seed < first + 30; seed++) {
      const random = randomFrom(seed);
      const below = (limit: number): number => Math.floor(random() * limit);
      const store = new MemoryOnlineStore();
      let notes = new MinuteNotes(store, "v@1");
      const expected = new Map<string, number>();
      let minute = 0;
      for (let step = 0; step < 200; step++) {
        const pick = random();
        const key = `key ${below(8)}`;
        if (pick < 0.5) {
          // As rows are: an entity's row is read before it is noted for a later minute.
          const noted = expected.get(key);
          if (noted === minute) continue;
          if (noted !== undefined) notes.read(key, noted);
          notes.note(key, minute);
          expected.set(key, minute);
        } else if (pick < 0.7) {
          for (const [each, noted] of expected) {
            if (noted === minute || random() < 0.3) continue;
            notes.read(each, noted);
            expected.delete(each);
          }
        } else if (pick < 0.8) minute += MINUTE * (1 + below(2));
        else {
          await store.commitAlone([], notes.takeWrites());
          expect(new MinuteNotes(store, "v@1").found, `seed ${seed}`).toEqual(expected);
          if (random() < 0.3) notes = new MinuteNotes(store, "v@1");
        }
      }
      for (const [key, noted] of expected) notes.read(key, noted);
      while (notes.hasWrites) await store.commitAlone([], notes.takeWrites());
      expect([...store.scanMeta("")], `seed ${seed}`).toEqual([]);
    }
  });

  it("of an earlier version are taken over", async () => {
    const store = new MemoryOnlineStore();
    const minute = new Uint8Array(new Float64Array([5 * MINUTE]).buffer);
    await store.commitAlone([], [{ name: "minute/v@1/a/b", bytes: minute }]);
    const notes = new MinuteNotes(store, "v@1");
    expect(notes.found).toEqual(new Map([["a/b", 5 * MINUTE]]));
    expect(notes.hasWrites).toBe(true);
    await store.commitAlone([], notes.takeWrites());
    expect([...store.scanMeta("minute/")]).toEqual([]);
    expect(new MinuteNotes(store, "v@1").found).toEqual(notes.found);
  });
});

describe("rows that are due", () => {
  it("are read while other work gets its turns, however many they are", async () => {
    const view = { dueRows: 20_000, readAtOnce: 0, captureDue: (_rows: number): void => undefined };
    let turn = 0;
    let readInTurn = 0;
    let mostInTurn = 0;
    let lastTurn = -1;
    view.captureDue = (rows) => {
      // Each takes its time.
      for (const untilMs = performance.now() + rows * 0.01; performance.now() < untilMs;);
      readInTurn = lastTurn === turn ? readInTurn + rows : rows;
      lastTurn = turn;
      mostInTurn = Math.max(mostInTurn, readInTurn);
      view.dueRows = Math.max(0, view.dueRows - rows);
    };
    const reader = new DueRowReader({
      views: () => [view],
      onRead: () => undefined,
      onError: (error) => {
        throw error;
      },
    });
    reader.wake();
    while (view.dueRows > 0) {
      turn++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Half a millisecond's worth, and the few that were begun.
    expect(mostInTurn).toBeLessThanOrEqual(80);
    reader.stop();
  });
});
