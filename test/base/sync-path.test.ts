/** What is said to be there is on disk: copies before anything names them, a training set before it is said to be done. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type * as syncing from "../../src/base/sync-path.ts";
import { batch, count, entity, openPlatform, service, stream, t, view } from "../../src/index.ts";
import type { Platform } from "../../src/platform.ts";

const synced: { readonly path: string; readonly state: string }[] = [];
let folder: string;
let platform: Platform;

vi.mock("../../src/base/sync-path.ts", async (load) => {
  const { syncPath } = await load<typeof syncing>();
  return {
    async syncPath(path: string) {
      await syncPath(path);
      const state = await readFile(join(folder, "data/batch/ratings/state.json"), "utf8").catch(() => "");
      synced.push({ path, state });
    },
  };
});

const rider = entity("rider", { rider: t.string() });
const columns = { rider: t.string(), at: t.timestamp() };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-synced-"));
  synced.length = 0;
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

it.each(["csv", "ndjson"] as const)("a copy of a batch source's %s is, before the run goes by it", async (format) => {
  const location = join(folder, `a.${format}`);
  const row = { csv: "rider,at\nana,2026-01-01T00:00:00Z\n", ndjson: '{"rider":"ana","at":"2026-01-01T00:00:00Z"}\n' };
  await writeFile(location, row[format]);
  const ratings = batch("ratings", { columns, eventTime: "at", format, location });
  const definitions = [rider, ratings, view("rated", { entity: rider, source: ratings, features: { n: count() } })];
  platform = await openPlatform({ dataDir: join(folder, "data"), definitions });
  await platform.apply(definitions);
  await platform.runBatch("ratings");
  const copies = synced.filter(({ path }) => path.includes("/batch/ratings/") && !path.includes("state.json"));
  expect(copies).toHaveLength(1);
  expect(JSON.parse(copies[0]!.state)).toMatchObject({ staged: null });
});

it("a training set is, and its manifest", async () => {
  const logins = stream("logins", { columns, eventTime: "at" });
  const loginsOf = view("logins_of", { entity: rider, source: logins, features: { n: count() } });
  const definitions = [rider, logins, loginsOf, service("model", { features: [loginsOf] })];
  platform = await openPlatform({ dataDir: join(folder, "data"), definitions });
  await platform.apply(definitions);
  await writeFile(join(folder, "labels.csv"), "rider,t\nana,2026-01-01T00:00:00Z\n");
  const out = join(folder, "set.parquet");
  const labels = join(folder, "labels.csv");
  await platform.train({ service: "model", labels, boundary: "inclusive", allowAfterLog: true, out });
  const paths = synced.map(({ path }) => path);
  const written = paths.filter((path) => path.startsWith(out));
  expect(written.map((path) => path.replace(/\.\d+\.partial$/, ""))).toEqual([out, `${out}.manifest.json`]);
  expect(paths.indexOf(folder)).toBeGreaterThan(paths.indexOf(written[1]!));
});
