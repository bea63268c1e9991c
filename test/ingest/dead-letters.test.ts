import { describe, expect, it } from "vitest";
import { DeadLetters, type NewDeadLetter } from "../../src/ingest/dead-letters.ts";
import { ForgetfulStorage } from "../../src/testing/forgetful-storage.ts";
import { randomFrom, TestClock } from "./payments.ts";

const folder = "dead-letters/pay";

function open(storage: ForgetfulStorage, bytesMax = 1e6): Promise<DeadLetters> {
  return DeadLetters.open({ storage, folder, source: "pay", clock: new TestClock(), bytesMax });
}

function letter(n: number, parts: Partial<NewDeadLetter> = {}): NewDeadLetter {
  return { stage: "door", code: "TYPE_MISMATCH", message: `letter ${n}`, payload: { n }, ...parts };
}

describe("dead letters", () => {
  it("keep reason and row, in order, and are listed by filter and limit", async () => {
    const letters = await open(new ForgetfulStorage());
    await letters.add([letter(0), letter(1, { code: "KEY_MISSING" })]);
    await letters.add([letter(2, { id: "fold:v@1:7", stage: "fold", view: "v@1", offset: 7, code: "EVENT_POISON" })]);
    const all = await letters.list();
    expect(all.map(({ id, message }) => [id, message])).toEqual([
      ["pay-0", "letter 0"],
      ["pay-1", "letter 1"],
      ["fold:v@1:7", "letter 2"],
    ]);
    expect(all[0]).toEqual({ ...letter(0), id: "pay-0", source: "pay", at: "2026-01-01T00:00:00Z" });
    expect(await letters.list({ code: "KEY_MISSING" })).toHaveLength(1);
    expect(await letters.list({ stage: "fold", view: "v@1" })).toHaveLength(1);
    expect(await letters.list({ stage: "fold", view: "w@1" })).toEqual([]);
    expect(await letters.list({ limit: 2 })).toEqual(all.slice(0, 2));
    expect(await letters.list({ ids: new Set(["pay-1"]) })).toEqual([all[1]]);
  });

  it("that were acknowledged stay resolved, through crashes and however often the fold refuses the event again", async () => {
    let storage = new ForgetfulStorage();
    let letters = await open(storage, 4000);
    const ofFold = (n: number): NewDeadLetter =>
      letter(n, { id: `fold:v@1:${n}`, stage: "fold", view: "v@1", offset: n, code: "EVENT_POISON" });
    await letters.add([ofFold(0), ofFold(1), letter(2)]);
    expect(await letters.acknowledge(["fold:v@1:0", "fold:v@1:0", "pay-0", "unheard of"])).toBe(2);
    expect(await letters.acknowledge(["fold:v@1:0"])).toBe(0);
    for (let round = 0; round < 3; round++) {
      await letters.add([ofFold(0), ofFold(1)]);
      expect([letters.openCount, (await letters.list()).map(({ id }) => id)]).toEqual([1, ["fold:v@1:1"]]);
      storage = storage.crash();
      letters = await open(storage, 4000);
    }
    // what a redefined draft resolved may come back, and what a person has seen to may not
    await letters.resolve(["fold:v@1:1"]);
    await letters.add([ofFold(0), ofFold(1)]);
    expect(letters.openCount).toBe(1);
    // gone with their segments, neither is counted as dropped unresolved
    expect(await letters.acknowledge(["fold:v@1:1"])).toBe(1);
    for (let n = 10; n < 100; n++) await letters.add([letter(n)]);
    expect(letters.droppedCount + letters.openCount).toBe(90);
  });

  it("survive crashes once added, with torn tails, and number on", async () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = randomFrom(seed);
      let storage = new ForgetfulStorage();
      let letters = await open(storage, 4000);
      const added: string[] = [];
      for (let round = 0; round < 6; round++) {
        for (let i = 0; i < 3; i++)
          added.push(...(await letters.add([letter(added.length)])).map((one) => one.message));
        letters.add([letter(1000), letter(1001)]).catch(() => undefined);
        for (let turns = Math.floor(random() * 5); turns > 0; turns--)
          await new Promise((resolve) => setImmediate(resolve));
        storage = storage.crash(random);
        letters = await open(storage, 4000);
        const found = await letters.list({ limit: 1000 });
        expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
        const kept = found.map(({ message }) => message).filter((message) => !/100[01]/.test(message));
        expect(kept).toEqual(added.slice(added.length - kept.length));
        expect(kept.length).toBeGreaterThanOrEqual(3);
      }
    }
  });

  it("are not added twice under one id, nor lost from sight of a second add before the first is durable", async () => {
    const storage = new ForgetfulStorage();
    const letters = await open(storage);
    const named = letter(1, { id: "fold:v@1:7", stage: "fold" });
    await Promise.all([letters.add([named]), letters.add([named])]);
    const again = await open(storage.crash());
    await again.add([named]);
    await again.add([letter(2)]);
    expect(await again.list()).toHaveLength(2);
  });

  it("are not added twice where one call names them twice", async () => {
    const letters = await open(new ForgetfulStorage());
    const refused = letter(0, { id: "fold:v@1:7", stage: "fold", view: "v@1", offset: 7, code: "EVENT_POISON" });
    expect((await letters.add([refused, letter(1), refused])).map(({ id }) => id)).toEqual([
      "fold:v@1:7",
      "pay-0",
      "fold:v@1:7",
    ]);
    expect((await letters.list()).map(({ id }) => id)).toEqual(["fold:v@1:7", "pay-0"]);
    expect(letters.openCount).toBe(2);
  });

  it("once resolved are no longer listed, across openings", async () => {
    const storage = new ForgetfulStorage();
    let letters = await open(storage);
    await letters.add([letter(0), letter(1)]);
    await letters.resolve(["pay-0", "unheard-of"]);
    expect(letters.openCount).toBe(1);
    letters = await open(storage.crash());
    expect(letters.openCount).toBe(1);
    expect((await letters.list()).map(({ id }) => id)).toEqual(["pay-1"]);
    expect(await letters.list({ includeResolved: true })).toHaveLength(2);
  });

  it("can be listed beside the process that writes them, without a change to its files", async () => {
    const storage = new ForgetfulStorage();
    const letters = await open(storage);
    await letters.add([letter(0), letter(1)]);
    const path = `${folder}/000000000000.ndjson`;
    await storage.truncate(path, storage.length(path) - 3);
    const length = storage.length(path);
    const reader = await DeadLetters.open({ storage, folder, source: "pay", clock: new TestClock(), readOnly: true });
    expect((await reader.list()).map(({ id }) => id)).toEqual(["pay-0"]);
    await expect(reader.add([letter(2)])).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    expect(storage.length(path)).toBe(length);
  });

  it("stay below their bound by dropping the oldest", async () => {
    const storage = new ForgetfulStorage();
    const letters = await open(storage, 8000);
    for (let n = 0; n < 300; n++) await letters.add([letter(n)]);
    const files = await storage.list(folder);
    const bytes = files.reduce((sum, name) => sum + storage.length(`${folder}/${name}`), 0);
    expect(bytes).toBeLessThan(8000 * 1.25);
    const found = await letters.list({ limit: 1000 });
    expect(found.at(-1)!.message).toBe("letter 299");
    expect(found.length).toBe(letters.openCount);
    expect(found.length).toBeGreaterThan(20);
  });

  it("count those that were dropped unresolved, across crashes, and never twice", async () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = randomFrom(seed);
      let storage = new ForgetfulStorage();
      let letters = await open(storage, 3000);
      let added = 0;
      let resolved = 0;
      for (let round = 0; round < 40; round++) {
        const ids = (await letters.add([letter(added), letter(added + 1)])).map(({ id }) => id);
        added += 2;
        if (round % 5 === 0) {
          await letters.resolve(ids.slice(0, 1));
          resolved += 1;
        }
        if (random() < 0.3) {
          storage = storage.crash(random);
          letters = await open(storage, 3000);
        }
      }
      const kept = await letters.list({ limit: 1e6, includeResolved: true });
      const unresolved = await letters.list({ limit: 1e6 });
      const resolvedKept = kept.length - unresolved.length;
      expect(letters.droppedCount, `seed ${seed}`).toBe(added - kept.length - (resolved - resolvedKept));
      expect(letters.droppedCount).toBeGreaterThan(0);
      const reader = await DeadLetters.open({ storage, folder, source: "pay", clock: new TestClock(), readOnly: true });
      expect(reader.droppedCount).toBe(letters.droppedCount);
    }
  });

  it("finish a dropping that a crash cut short", async () => {
    const storage = new ForgetfulStorage();
    let letters = await open(storage, 800);
    for (let n = 0; n < 8; n++) await letters.add([letter(n)]);
    storage.remove = async () => {
      throw new Error("EIO");
    };
    let failed = false;
    for (let n = 8; n < 40 && !failed; n++)
      failed = await letters.add([letter(n)]).then(
        () => false,
        () => true,
      );
    expect(failed).toBe(true);
    const counted = letters.droppedCount;
    expect(counted).toBeGreaterThan(0);
    const after = storage.crash();
    letters = await open(after, 800);
    expect(letters.droppedCount).toBe(counted);
    const first = (await letters.list({ limit: 1 }))[0]!;
    expect(first.message).toBe(`letter ${counted}`);
  });

  it("hold any JavaScript value as JSON data", async () => {
    const letters = await open(new ForgetfulStorage());
    const cycle: Record<string, unknown> = {
      big: 2n ** 63n,
      nan: Number.NaN,
      bytes: new Uint8Array([1, 2]),
      when: new Date(0),
      no: undefined,
    };
    cycle["self"] = cycle;
    await letters.add([letter(0, { payload: cycle })]);
    expect((await letters.list())[0]!.payload).toEqual({
      big: "9223372036854775808",
      nan: "NaN",
      bytes: "AQI=",
      when: "1970-01-01T00:00:00.000Z",
      no: null,
      self: "...",
    });
  });

  it("report a failed write and refuse from then on", async () => {
    const storage = new ForgetfulStorage();
    const letters = await open(storage);
    storage.fail("sync", new Error("EIO"));
    await expect(letters.add([letter(0)])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await expect(letters.add([letter(1)])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });
});
