/** Aliases and experiments while a source is busy for long: a move and a step are made and served at once. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { count, entity, experiment, service, stream, sum, t, view } from "../../src/index.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { HeldImport } from "./held-import.ts";

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp(), spent: t.float64() },
  eventTime: "at",
});
const totals = view("totals", { entity: user, source: visits, features: { visits: count(), spent: sum("spent") } });
const visitor = service("visitor", { features: [totals.pick("visits")] });
const visitor2 = service("visitor", { version: 2, features: [totals] });
const trial = experiment("trial", { service: [visitor, visitor2], weights: [1, 0], unit: user });

let folder: string;
let platform: Platform;
let held: HeldImport;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  platform = await openPlatform({ dataDir: join(folder, "data") });
  held = new HeldImport(join(folder, "history.ndjson"));
});
afterEach(async () => {
  held.letGo([]);
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

async function answered(name: string): Promise<string> {
  return Object.keys((await platform.vector(name, { user_id: "a" })).features).join();
}

it("moves and steps are made, and answered by, while a source has no turn for anything", async () => {
  await platform.apply([user, visits, totals, visitor, visitor2, trial]);
  await platform.versions.promote("visitor@1", { by: "ada" });
  let isImporting = true;
  const importing = platform.importHistory("visits", [held.path]).finally(() => (isImporting = false));
  // An apply waits for it, and nothing waits for the apply.
  let isApplied = false;
  const late = view("late", { entity: user, source: visits, features: { visits: count() } });
  const applying = platform.apply([late]).finally(() => (isApplied = true));

  await platform.versions.promote("visitor@2", { by: "ada" });
  expect(await answered("visitor")).toBe("visits,spent");
  await platform.versions.rollback("visitor", { by: "ada" });
  expect(await answered("visitor")).toBe("visits");
  await platform.experiments.ramp("trial", { weights: [0, 1], by: "ada" });
  expect(await answered("trial")).toBe("visits,spent");
  await platform.experiments.stop("trial", { serve: "visitor@1", by: "ada" });
  expect(await answered("trial")).toBe("visits");
  expect([isImporting, isApplied]).toEqual([true, false]);

  held.letGo([{ user_id: "a", at: "2026-01-01T00:00:00Z", spent: 2 }]);
  expect(await importing).toMatchObject({ accepted: 1 });
  await applying;
  expect((await platform.vector("visitor@2", { user_id: "a" })).features).toEqual({ visits: 1, spent: 2 });
  expect((await platform.features("user", "a", ["late:visits"])).features).toEqual({ "late:visits": 1 });
});
