import { mkdtemp, readdir, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { diskStorage } from "../../src/ingest/disk-storage.ts";
import type { CheckedRow, LogEvent } from "../../src/ingest/event.ts";
import { type FileEventLog, openEventLog } from "../../src/ingest/file-event-log.ts";
import { encodeSegmentHeader } from "../../src/ingest/log-segment.ts";
import type { LogStorage } from "../../src/ingest/storage.ts";
import type { CodecColumn } from "../../src/schema/row-codec.ts";
import { ForgetfulStorage } from "../../src/testing/forgetful-storage.ts";
import { type ArchivedEvent, eventsOf } from "../offline-store/live-events.ts";

const columns: CodecColumn[] = [
  { name: "user", type: { name: "string" } },
  { name: "amount", type: { name: "int64" } },
];

function open(storage: LogStorage, segmentBytesMax = 2000, folder = "log/pay/0"): Promise<FileEventLog> {
  return openEventLog({ storage, folder, columns, derive: () => null, segmentBytesMax });
}

function rows(from: number, count: number): CheckedRow[] {
  return Array.from({ length: count }, (_, i) => {
    const n = from + i;
    return { row: [`user ${n % 7}`, n], eventTime: n as Micros, id: n % 3 === 0 ? null : `é${n}` };
  });
}

async function all(log: FileEventLog, from = 0, batchSize?: number): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  for await (const batch of log.read(from, batchSize)) events.push(...batch);
  return events;
}

function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const at = (time: number): Micros => time as Micros;

describe("event log", () => {
  it("gives back what was appended, in order, from any offset, across segments and openings", async () => {
    const storage = new ForgetfulStorage();
    let log = await open(storage);
    const appended: LogEvent[] = [];
    for (let i = 0; i < 60; i += 3) appended.push(...(await log.append(rows(i, 3), at(1000 + i))));
    expect((await storage.list("log/pay/0")).length).toBeGreaterThan(1);
    expect(await all(log)).toEqual(appended);
    await log.close();
    log = await open(storage);
    expect(log.nextOffset).toBe(60);
    expect(log.lastKnownTime).toBe(1057);
    for (const from of [0, 1, 29, 30, 31, 59]) expect(await all(log, from, 7)).toEqual(appended.slice(from));
    expect(await all(log, 60)).toEqual([]);
  });

  it("gives the same as columns, from and to any offset, across frames of every size and pushes larger than a batch", async () => {
    const storage = new ForgetfulStorage();
    const log = await open(storage, 40_000);
    const retraction = { row: [null, null], eventTime: Number.NaN as Micros };
    let next = 0;
    for (const size of [1, 700, 3, 2500, 1, 512, 30]) {
      const some = rows(next, size);
      if (size > 2) some[1] = { ...retraction, id: "taken back" };
      if (size > 2) some[2] = { ...retraction, id: null };
      await log.append(some, at(1000 + next));
      next += size;
    }
    expect((await storage.list("log/pay/0")).length).toBeGreaterThan(1);
    const places = (events: readonly LogEvent[]): ArchivedEvent[] =>
      events.map(({ row, eventTime, knownTime, offset, id }) => ({ row, eventTime, knownTime, offset, id }));
    const appended = places(await all(log));
    for (const from of [0, 1, 2, 700, 704, 1800, 3203, 3204, 3746]) {
      for (const end of [from, from + 1, from + 512, from + 513, next].filter((offset) => offset <= next)) {
        const found: ArchivedEvent[] = [];
        for await (const batch of log.columns(from, end)) {
          expect(batch.rowCount).toBeLessThanOrEqual(512);
          found.push(...eventsOf(batch));
        }
        expect(found).toEqual(appended.slice(from, end));
      }
    }
  });

  it("gives long rows as columns some at a time", async () => {
    const log = await open(new ForgetfulStorage(), 1e7);
    const long = "x".repeat(100_000);
    await log.append(
      rows(0, 20).map((row) => ({ ...row, row: [long, 1] })),
      at(1),
    );
    const counts: number[] = [];
    for await (const { rowCount } of log.columns(0, 20)) counts.push(rowCount);
    expect(counts).toEqual([3, 3, 3, 3, 3, 3, 2]);
  });

  it("never lets known time run backwards, and keeps it across openings", async () => {
    const storage = new ForgetfulStorage();
    let log = await open(storage);
    await log.append(rows(0, 1), at(500));
    const [second] = await log.append(rows(1, 1), at(400));
    expect(second!.knownTime).toBe(500);
    log.raiseKnownTime(700);
    const [third] = await log.append(rows(2, 1), at(650));
    expect(third!.knownTime).toBe(700);
    await log.close();
    log = await open(storage);
    const [fourth] = await log.append(rows(3, 1), at(1));
    expect(fourth).toMatchObject({ offset: 3, knownTime: 700 });
  });

  it("shares one sync between concurrent appends", async () => {
    const storage = new ForgetfulStorage();
    const log = await open(storage, 1e6);
    await log.append(rows(0, 1), at(1));
    const before = storage.syncs;
    const results = await Promise.all(Array.from({ length: 50 }, (_, i) => log.append(rows(i, 2), at(i))));
    expect(storage.syncs - before).toBe(1);
    expect(results.flat().map((event) => event.offset)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  it("keeps every acknowledged event, and invents none, when storage forgets what was not synced", async () => {
    const property = fc.asyncProperty(
      fc.integer(),
      fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 30 }),
      async (seed, sizes) => {
        const random = randomFrom(seed);
        let storage = new ForgetfulStorage();
        let log = await open(storage, 700);
        const sent: CheckedRow[] = [];
        let acknowledged = 0;
        for (const size of sizes) {
          const batch = rows(sent.length, size);
          const pending = log.append(batch, at(sent.length));
          if (random() < 0.7) {
            await pending;
            sent.push(...batch);
            acknowledged = sent.length;
            continue;
          }
          let turns = Math.floor(random() * 8);
          pending.catch(() => undefined);
          while (turns-- > 0) await new Promise((resolve) => setImmediate(resolve));
          storage = storage.crash(random() < 0.2 ? undefined : random);
          sent.push(...batch);
          log = await open(storage, 700);
          expect(log.nextOffset).toBeGreaterThanOrEqual(acknowledged);
          sent.length = log.nextOffset;
          acknowledged = log.nextOffset;
        }
        const found = await all(log);
        expect(found.map(({ row, eventTime, id }) => ({ row, eventTime, id }))).toEqual(sent);
        expect(found.map((event) => event.offset)).toEqual(sent.map((_, i) => i));
        const times = found.map((event) => event.knownTime);
        expect(times).toEqual([...times].sort((a, b) => a - b));
      },
    );
    // A header of which the magic survived and zeros behind it.
    await fc.assert(property, { numRuns: 150, examples: [[623568802, [1]]] });
  });

  it("opens whatever a crash left of a segment's header: any prefix of it, and zeros behind", async () => {
    const path = "log/pay/0/00000000000000000000.log";
    const header = encodeSegmentHeader({ firstOffset: 0, lastKnownTime: null, columns });
    for (let kept = 0; kept < header.length; kept++) {
      for (const zeros of [0, 1, 8, header.length - kept]) {
        const storage = new ForgetfulStorage();
        await (await storage.open(path)).append(Buffer.concat([header.subarray(0, kept), Buffer.alloc(zeros)]));
        const log = await open(storage);
        expect(await log.append(rows(0, 1), at(1))).toMatchObject([{ offset: 0 }]);
        expect(await all(log)).toHaveLength(1);
      }
    }
  });

  it("reports damage before the end with file and byte, and cuts off a torn tail", async () => {
    const storage = new ForgetfulStorage();
    let log = await open(storage, 1e6);
    const path = "log/pay/0/00000000000000000000.log";
    await log.append(rows(0, 5), at(1));
    const firstEnd = storage.length(path);
    await log.append(rows(5, 5), at(2));
    const secondEnd = storage.length(path);
    await log.append(rows(10, 5), at(3));
    await log.close();
    for (let byte = secondEnd; byte < storage.length(path); byte += 11) {
      storage.damage(path, byte);
      log = await openEventLog({ storage: storage.clone(), folder: "log/pay/0", columns, derive: () => null });
      expect(log.nextOffset).toBe(10);
      storage.damage(path, byte);
    }
    for (let byte = firstEnd; byte < secondEnd; byte += 7) {
      storage.damage(path, byte);
      await expect(open(storage)).rejects.toMatchObject({ code: "LOG_CORRUPT", where: `${path}, byte ${firstEnd}` });
      storage.damage(path, byte);
    }
    const opened = await open(storage);
    storage.damage(path, secondEnd - 1);
    for (const reading of [opened.read(0), opened.columns(0, 10)]) {
      const readAll = async (): Promise<void> => {
        for await (const _ of reading);
      };
      await expect(readAll()).rejects.toMatchObject({ code: "LOG_CORRUPT", where: `${path}, byte ${firstEnd}` });
    }
    storage.damage(path, secondEnd - 1);
    storage.damage(path, 3);
    await expect(open(storage)).rejects.toMatchObject({ code: "LOG_CORRUPT" });
  });

  it("acknowledges nothing of a failed write and refuses until it is opened anew", async () => {
    for (const operation of ["append", "sync", "open"] as const) {
      const storage = new ForgetfulStorage();
      let log = await open(storage, operation === "open" ? 1 : 1e6);
      const kept = await log.append(rows(0, 4), at(1));
      storage.fail(operation, Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }));
      const failing = [log.append(rows(4, 2), at(2)), log.append(rows(6, 2), at(2))];
      for (const append of failing) await expect(append).rejects.toMatchObject({ code: "DISK_FULL" });
      await expect(log.append(rows(8, 1), at(3))).rejects.toMatchObject({ code: "DISK_FULL" });
      await log.close();
      log = await open(storage, 1e6);
      expect(await all(log)).toEqual(kept);
      expect(await log.append(rows(4, 1), at(4))).toMatchObject([{ offset: 4 }]);
    }
  });

  it("reads rows written before a nullable column was added", async () => {
    const storage = new ForgetfulStorage();
    const before = await open(storage);
    await before.append(rows(0, 2), at(1));
    await before.close();
    const wider: CodecColumn[] = [columns[0]!, { name: "note", type: { name: "string" } }, columns[1]!];
    const log = await openEventLog({ storage, folder: "log/pay/0", columns: wider, derive: () => null });
    await log.append([{ row: ["user 9", "hello", 2], eventTime: at(2), id: null }], at(2));
    expect((await all(log)).map((event) => event.row)).toEqual([
      ["user 0", null, 0],
      ["user 1", null, 1],
      ["user 9", "hello", 2],
    ]);
  });

  it("works the same on a real file system, with a tail torn by truncation", async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-log-"));
    const path = join(folder, "deep", "0");
    try {
      let log = await open(diskStorage, 4000, path);
      for (let i = 0; i < 200; i += 20) await log.append(rows(i, 20), at(i));
      const appended = await all(log);
      expect(appended).toHaveLength(200);
      await log.close();
      const last = join(path, (await readdir(path)).sort().at(-1)!);
      await truncate(last, (await stat(last)).size - 1);
      log = await open(diskStorage, 4000, path);
      expect(log.nextOffset).toBe(180);
      expect(await all(log)).toEqual(appended.slice(0, 180));
      await log.append(rows(180, 3), at(999));
      expect(log.nextOffset).toBe(183);
      await log.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
