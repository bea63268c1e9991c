/**
 * A derived column declared after events that it cannot be computed of: they are poison for the views that name
 * it, the same in every mode, and nothing to all others; the source goes on.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import type { Definition } from "../../src/define/definition.ts";
import { col, count, custom, entity, lit, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const START = parseMicros("2026-03-01T00:00:00Z");
const account = entity("account", { account: t.string() });
const columns = { account: t.string(), amount: t.int64(), at: t.timestamp() };
const before = stream("payments", { columns, eventTime: "at" });
const after = stream("payments", { columns, eventTime: "at", derive: { quadruple: col("amount").multiply(lit(4)) } });
const rows = custom("rows", {
  output: t.int64(),
  empty: () => 0,
  add: (state: number, _row: object) => state + 1,
  read: (state) => state,
});

function viewsOn(source: typeof before): Definition[] {
  const plain = view("plain", { version: 1, entity: account, source, features: { payments: count(), rows: rows() } });
  return [account, source, plain, service("plain", { features: [plain] })] as Definition[];
}

function risky(name: string): Definition[] {
  const one = view(name, { version: 1, entity: account, source: after, features: { total: sum("quadruple") } });
  return [one, service(name, { features: [one] })] as Definition[];
}

const first = viewsOn(before);
const fromLog = [...viewsOn(after as unknown as typeof before), ...risky("from_log")];
const fromArchive = [...fromLog, ...risky("from_archive")];

let folder: string;
let platform: Platform;
const clock = new ReplayClock(START);

async function open(definitions: readonly Definition[]): Promise<void> {
  platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions, servingLogSampleRate: 1 });
  await platform.apply(definitions);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-derived-"));
  await open(first);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

function payment(seconds: number, amount: number): object {
  return { account: "ann", amount, at: { micros: START + seconds * 1e6 } };
}

async function features(name: string): Promise<Record<string, unknown>> {
  return (await platform.vector(name, { account: "ann" })).features;
}

async function letters(name: string): Promise<unknown[]> {
  await platform.settle();
  const found = await platform.deadLetters().list({ view: `${name}@1` });
  return found.map(({ offset, code, message, payload }) => ({ offset, code, message, payload }));
}

it("is poison for the views that name the column, in every mode, and stops nothing", async () => {
  await platform.push("payments", [payment(-3, 1), payment(-2, 2 ** 52), payment(-1, 10)]);
  expect(await features("plain")).toEqual({ payments: 3, rows: 3 });
  await platform.close();
  await open(fromLog);
  const letter = {
    offset: 1,
    code: "EVENT_POISON",
    message: `${2 ** 52} * 4 lies outside the safe int64 range`,
    payload: { account: "ann", amount: 2 ** 52, at: START - 2e6 },
  };
  expect(await letters("from_log")).toEqual([letter]);
  expect(await features("from_log")).toEqual({ total: 44 });
  await platform.apply(fromArchive);
  expect(await letters("from_archive")).toEqual([letter]);
  expect(await features("from_archive")).toEqual({ total: 44 });
  expect(await platform.push("payments", [payment(0, 2 ** 52), payment(0, 100)])).toMatchObject({
    accepted: 1,
    rejected: 1,
  });
  expect(await features("from_log")).toEqual({ total: 444 });
  expect(await features("plain")).toEqual({ payments: 4, rows: 4 });

  const [asOf, view] = [clock.now(), "from_log"];
  expect(await platform.preview({ view })).toMatchObject({ eventsFolded: 3, eventsPoisoned: 1 });
  const explained = await platform.explain({ view, feature: "total", key: "ann", asOf });
  expect(explained).toMatchObject({ value: 444, roles: { counted: 3, poison: 1 } });
  const labels = join(folder, "labels.csv");
  await writeFile(labels, `account,event_timestamp\nann,${new Date(START / 1000).toISOString()}\n`);
  const set = await platform.train({ service: "from_log", labels, boundary: "inclusive" });
  expect(set.manifest.views[0]).toMatchObject({ eventsFolded: 3, eventsPoisoned: 1 });
  expect(set.columns[0]!.value(0)).toBe(444);
  expect(await platform.audit({ states: true })).toMatchObject({ clean: true });

  const history = join(folder, "history.ndjson");
  await writeFile(history, JSON.stringify({ account: "ann", amount: 1000, at: "2026-02-01T00:00:00Z" }));
  expect(await platform.importHistory("payments", [history])).toMatchObject({ accepted: 1, epochOpened: true });
  expect(await letters("from_log")).toEqual([letter]);
  expect(await features("from_log")).toEqual({ total: 4444 });
  expect(await features("plain")).toEqual({ payments: 5, rows: 5 });
  expect(await platform.audit({ states: true })).toMatchObject({ clean: true });
});
