/**
 * A backfill beside a server whose process that sorts, and folds where the view is plain data, is killed, again and again: it
 * goes on, or says so, and ends as one that was left alone, to the byte. Runs what is built, as the process is a program of it.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { count, custom, entity, last, stream, sum, t, view } from "../../src/index.ts";
import type { openPlatform as openFunction, Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { codeOf } from "../code-of.ts";
import { childrenOf, isAlive } from "../processes.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const HISTORY = 120_000;
const FEW = 8000;
const KILLS = 4;

const DIST = fileURLToPath(new URL("../../dist/platform.js", import.meta.url));
const { openPlatform } = (await import(pathToFileURL(DIST).href)) as { readonly openPlatform: typeof openFunction };

const meter = entity("meter", { meter_id: t.string() });
const readings = stream("readings", {
  columns: { meter_id: t.string(), read_at: t.timestamp(), watts: t.int64() },
  eventTime: "read_at",
});
const odd = custom("odd", {
  output: t.int64(),
  empty: () => 0,
  add: (n: number, watts: number | null) => n + ((watts ?? 0) & 1),
  read: (n: number) => n,
});
const plain = { watts: sum("watts").over("1h"), n: count().over("10m"), newest: last("watts") };
const of = (name: string, features: object) =>
  view(name, { entity: meter, source: readings, features: features as typeof plain });
const KINDS = { "plain data": plain, "functions of its own": { ...plain, odd: odd("watts") } };

let folder: string;
let platform: Platform;
let random: SeededRandom;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-backfill-engine-"));
  random = new SeededRandom(SEED);
});

/** A server with the view `always` and its history. */
async function start(features: object, history = HISTORY): Promise<void> {
  platform = await openPlatform({ dataDir: join(folder, "data"), backfillShare: 0.2 });
  await platform.apply([meter, readings, of("always", features)]);
  const file = join(folder, "history.ndjson");
  await writeFile(file, Array.from({ length: history }, (_, i) => JSON.stringify(reading(i))).join("\n"));
  await platform.importHistory("readings", [file]);
  await platform.serve({ port: 0 });
}

afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

function reading(second: number): Record<string, unknown> {
  const readAt = new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString();
  return { meter_id: `m${random.integer(1, 20_000)}`, read_at: readAt, watts: random.integer(-50, 500) };
}

function states(name: string): Map<string, string> {
  return new Map(
    [...platform.exportStates(name, 1)].map(({ key, bytes }) => [key, Buffer.from(bytes).toString("hex")]),
  );
}

/** Processes that the one between has started. */
function folding(): number[] {
  return childrenOf(process.pid).flatMap(childrenOf);
}

/** Kills processes of engines as they come, at most so many, each once `isDue`. */
async function killEach(state: { isOver: boolean }, killsMax: number, isDue: () => boolean): Promise<void> {
  for (let kills = 0; !state.isOver && kills < killsMax; await sleep(2)) {
    const [pid] = folding();
    if (pid === undefined || !isDue()) continue;
    process.kill(pid, "SIGKILL");
    kills++;
    while (isAlive(pid)) await sleep(2);
  }
}

it.each(Object.keys(KINDS))(
  `of %s goes on with another process, and says so where none gets any further (seed ${SEED})`,
  async (kind) => {
    const features = KINDS[kind as keyof typeof KINDS];
    await start(features);
    const withLate = [meter, readings, of("always", features), of("late", features)];
    const first = { isOver: false };
    const refused = codeOf(platform.apply(withLate)).finally(() => (first.isOver = true));
    await killEach(first, Number.POSITIVE_INFINITY, () => true);
    expect(await refused).toBe("ENGINE_ENDED");
    expect(await platform.request("GET", "/ready")).toMatchObject({ status: "ready" });

    const again = { isOver: false, done: 0, killedAt: 0 };
    const onProgress = ({ done }: { readonly done: number }) => (again.done = done);
    const applied = platform.apply(withLate, { onProgress }).finally(() => (again.isOver = true));
    applied.catch(() => {});
    const killing = killEach(again, KILLS, () => {
      // At its first part, as a fast one is soon over; then where it has come further by a part that it had to write.
      if (again.done < (again.killedAt === 0 ? 1 : again.killedAt + random.integer(5000, 15_000))) return false;
      again.killedAt = again.done;
      return true;
    });
    while (!again.isOver) {
      await platform.push(
        "readings",
        Array.from({ length: 5 }, (_, i) => reading(HISTORY + i)),
      );
      await sleep(20);
    }
    await applied;
    await killing;
    expect(again.killedAt).toBeGreaterThan(0);
    await platform.settle();
    expect(states("late")).toEqual(states("always"));
    expect((await platform.audit({ states: true })).clean).toBe(true);
    expect(folding()).toEqual([]);
  },
);

it.each(Object.keys(KINDS))("of %s needs no other process where events are few, and serves their sum", async (kind) => {
  const features = KINDS[kind as keyof typeof KINDS];
  await start(features, FEW);
  const applying = { isOver: false };
  const applied = platform
    .apply([meter, readings, of("always", features), of("late", features)])
    .finally(() => (applying.isOver = true));
  let others = 0;
  for (; !applying.isOver; await sleep(1)) others += folding().length;
  await applied;
  expect(others).toBe(0);
  await platform.settle();
  expect(states("late")).toEqual(states("always"));
});
