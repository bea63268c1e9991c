/** What was seen of a shadow outlives the process, is forgotten with an entity, and goes with its experiment. */
import { existsSync } from "node:fs";
import { mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { count, entity, experiment, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), spent: t.float64() },
  eventTime: "at",
});
const totals = view("totals", { entity: user, source: visits, features: { visits: count(), spent: sum("spent") } });
const other = view("other", { entity: user, source: visits, features: { visits: sum("spent") } });
const control = service("visitor", { features: [totals] });
const candidate = service("visitor", { version: 2, features: [other] });
const trial = experiment("trial", {
  service: [control],
  weights: [1],
  unit: user,
  shadow: { service: candidate, share: 1 },
});
const definitions = [user, visits, totals, other, control, candidate, trial];

let folder: string;
let platform: Platform;

async function open(): Promise<void> {
  platform = await openPlatform({ dataDir: folder, definitions });
}

async function reopen(): Promise<void> {
  await platform.close();
  await open();
}

interface Compared {
  readonly served: string;
  readonly since: string;
  readonly compared: number;
  readonly dropped: number;
  readonly features: readonly { readonly feature: string; readonly compared: number; readonly mismatched: number }[];
}

async function comparisons(of: Platform = platform): Promise<readonly Compared[]> {
  return (await of.experiments.compare("trial")).comparisons as readonly Compared[];
}

/** Answers that were compared, or passed over. */
async function seen(): Promise<number> {
  return (await comparisons()).reduce((sum, { compared, dropped }) => sum + compared + dropped, 0);
}

async function ask(times: number): Promise<void> {
  const before = await seen();
  for (let i = 0; i < times; i++) await platform.vector("trial", { user_id: "ada" });
  await expect.poll(seen).toBe(before + times);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  await open();
  await platform.apply(definitions);
  await platform.push("visits", [{ user_id: "ada", at: new Date(Date.now() - 1000).toISOString(), spent: 2 }]);
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

it("goes on where a former process ended, and is read where none serves", async () => {
  await ask(20);
  const [before] = await comparisons();
  expect(before!.features).toMatchObject([
    { feature: "visits", compared: before!.compared, mismatched: before!.compared },
  ]);
  await reopen();
  expect(await comparisons()).toEqual([before]);
  await ask(5);
  const [after] = await comparisons();
  expect(after!.compared + after!.dropped).toBe(25);
  expect(after!.since).toBe(before!.since);
  await platform.close();
  const reader = await openPlatform({ dataDir: folder, definitions, mode: "read" });
  expect(await comparisons(reader)).toEqual([after]);
  await reader.close();
});

it("is forgotten with an entity, as it holds values, and begins anew", async () => {
  await ask(10);
  await platform.forget("user", ["ada"]);
  expect(await comparisons()).toEqual([]);
  expect(existsSync(join(folder, "monitor", "shadow", "trial.json"))).toBe(false);
  await ask(3);
  expect(await seen()).toBe(3);
  await reopen();
  expect(await seen()).toBe(3);
});

it("takes over what a server left that wrote nothing for a day", async () => {
  await ask(4);
  await platform.close();
  const left = join(folder, "monitor", "shadow", "trial.w1.json");
  await rename(join(folder, "monitor", "shadow", "trial.json"), left);
  const seconds = Date.now() / 1000 - 2 * 24 * 3600;
  await utimes(left, seconds, seconds);
  await open();
  expect(await seen()).toBe(4);
  await ask(2);
  expect(existsSync(left)).toBe(false);
  expect(await seen()).toBe(6);
});

it("goes with the experiment, and a file that is damaged is as none", async () => {
  await ask(4);
  await platform.settle();
  const file = join(folder, "monitor", "shadow", "trial.json");
  expect(existsSync(file)).toBe(true);
  await platform.close();
  await writeFile(file, '{"format":1,"records":[{"served":');
  await open();
  expect(await comparisons()).toEqual([]);
  await ask(2);
  expect(await seen()).toBe(2);
  await platform.experiments.stop("trial", { serve: "visitor@1", by: "ada" });
  await platform.versions.retire("trial", { by: "ada" });
  await reopen();
  await reopen();
  expect(existsSync(file)).toBe(false);
});
