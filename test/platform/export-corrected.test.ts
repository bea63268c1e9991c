/** A view exported as of a time before and behind corrections: who had an event that counted then, and no one else. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  count,
  entity,
  micros,
  openPlatform,
  parseMicros,
  type Platform,
  ReplayClock,
  stream,
  sum,
  t,
  view,
} from "../../src/index.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";

const MINUTE = 60_000_000;
const START = parseMicros("2026-03-01T00:00:00Z");
const user = entity("user", { user: t.string() });
const payments = stream("payments", {
  columns: { id: t.string(), user: t.string(), amount: t.float64(), at: t.timestamp() },
  eventTime: "at",
  id: "id",
});
const spending = view("spending", {
  entity: user,
  source: payments,
  features: { paid: sum("amount"), payments: count() },
});
const definitions = [user, payments, spending];

let folder: string;
let platform: Platform;
const clock = new ReplayClock(START);
const at = (minute: number): void => clock.advanceTo(micros(START + minute * MINUTE));
const pay = (id: string, name: string, amount: number): Promise<unknown> =>
  platform.push("payments", [{ id, user: name, amount, at: { micros: clock.now() } }]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-export-"));
  platform = await openPlatform({ dataDir: join(folder, "data"), definitions, clock });
  await platform.apply(definitions);
  at(1);
  await pay("a1", "ada", 1);
  await pay("b1", "ben", 2);
  await pay("c1", "cy", 4);
  at(5);
  await platform.correct("payments", [{ op: "retract", id: "a1" }]);
  await platform.correct("payments", [{ op: "retract", id: "c1" }]);
  at(9);
  await pay("c2", "cy", 8);
  await platform.settle();
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function exported(minute: number): Promise<unknown[]> {
  const out = join(folder, "out.parquet");
  await platform.batch.exportView({ view: "spending", out, asOf: micros(START + minute * MINUTE) });
  const engine = await openDuckDb();
  try {
    const rows = await engine.rows(`SELECT "user", paid, payments FROM read_parquet(${sqlText(out)})`);
    return rows.map((row) => Object.values(row));
  } finally {
    await engine.close();
  }
}

describe("a view exported", () => {
  it("as of a time before events were taken back has their entities, and not as of later ones", async () => {
    expect(await exported(4)).toEqual([
      ["ada", 1, 1],
      ["ben", 2, 1],
      ["cy", 4, 1],
    ]);
    // of the third everything was taken back, and more came only later
    expect(await exported(6)).toEqual([["ben", 2, 1]]);
    expect(await exported(9)).toEqual([
      ["ben", 2, 1],
      ["cy", 8, 1],
    ]);
  });
});
