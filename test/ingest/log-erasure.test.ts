import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseMicros } from "../../src/base/micros.ts";
import type { CheckedRow, LogEvent } from "../../src/ingest/event.ts";
import { openEventLog } from "../../src/ingest/file-event-log.ts";
import { eraseFromLog } from "../../src/ingest/log-erasure.ts";
import { diskStorage } from "../../src/ingest/disk-storage.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-log-erasure-"));
});
afterAll(() => rm(folder, { recursive: true }));

it("erases more records than a call takes arguments, and leaves all others", async () => {
  const now = parseMicros("2026-03-01T00:00:00Z");
  const columns = [{ name: "user", type: { name: "string" } }] as const;
  const open = (): ReturnType<typeof openEventLog> =>
    openEventLog({ storage: diskStorage, folder, columns, derive: () => null });
  const log = await open();
  const rows = Array.from({ length: 200_000 }, (_, i): CheckedRow => {
    return { id: null, eventTime: now, row: [`u${i % 100}`] };
  });
  for (let from = 0; from < rows.length; from += 50_000) await log.append(rows.slice(from, from + 50_000), now);
  await log.close();
  const erased = new Set(rows.keys());
  for (const kept of [0, 99_999, 199_999]) erased.delete(kept);
  expect(await eraseFromLog(folder, erased)).toBe(erased.size);
  const anew = await open();
  const left: LogEvent[] = [];
  for await (const events of anew.read(0)) left.push(...events.filter(({ eventTime }) => !Number.isNaN(eventTime)));
  expect(left.map(({ offset }) => offset)).toEqual([0, 99_999, 199_999]);
  await anew.close();
});
