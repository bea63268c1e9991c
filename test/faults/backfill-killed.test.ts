/** A backfill that is killed again and again ends as one that was not: every state, to the byte. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { readBackfill } from "../../src/platform/backfill-place.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { cliPath, runJson } from "../cli/run-cli.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();
const EVENTS = 400_000;
const KILLS = 6;

const definitions = (more: string): string => `
import { count, entity, last, max, stream, sum, t, view } from "onefold";
export const user = entity("user", { user_id: t.string() });
export const payments = stream("payments", {
  columns: { user_id: t.string(), at: t.timestamp(), amount: t.float64() },
  eventTime: "at",
});
const features = { n: count().over("7d"), sum: sum("amount").over("24h"), most: max("amount"), newest: last("amount") };
export const always = view("always", { entity: user, source: payments, features });
${more}
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-killed-backfill-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const openStore = () => openLmdbStore({ folder: join(folder, ".onefold", "online"), readOnly: true });

/** How far the backfill is as the folder says; null where none is under way. */
function placeIn(store: ReturnType<typeof openStore>): { readonly entities: number } | null {
  return readBackfill(store, "late@1")?.place ?? null;
}

async function place(): Promise<{ readonly entities: number } | null> {
  const store = openStore();
  try {
    return placeIn(store);
  } finally {
    await store.close();
  }
}

describe("a backfill", () => {
  it(`ends as one that was not killed, and goes on where it was (seed ${SEED})`, async () => {
    const random = new SeededRandom(SEED);
    const file = join(folder, "features.ts");
    await writeFile(file, definitions(""));
    const engine = await openDuckDb({});
    await engine.run(`COPY (SELECT 'u' || (hash(i) % 30000) AS user_id, (i % 997) / 10.0 AS amount,
        TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_milliseconds(i * 1000) AS at FROM range(${EVENTS}) r(i))
      TO '${join(folder, "history.parquet")}' (FORMAT parquet)`);
    await engine.close();
    expect((await runJson(["apply"], folder)).exitCode).toBe(0);
    expect((await runJson(["ingest", "history.parquet", "--source", "payments"], folder)).exitCode).toBe(0);
    await writeFile(
      file,
      definitions(`export const late = view("late", { entity: user, source: payments, features });`),
    );

    let furthest = 0;
    let killedInside = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      // Open all the while: whoever is the last to close takes LMDB's locks with it, from one who is just opening, too.
      const store = openStore();
      const child = spawn(process.execPath, [cliPath, "apply", "--json"], { cwd: folder, stdio: "ignore" });
      const ended = once(child, "close");
      // Not before it is under way, and then at any moment of it.
      const state = { isOver: false };
      void ended.then(() => (state.isOver = true));
      while (!state.isOver && (placeIn(store)?.entities ?? -1) <= (kill === 0 ? -1 : furthest)) await sleep(10);
      await sleep(random.integer(0, 60));
      child.kill("SIGKILL");
      await ended;
      await store.close();
      const reached = (await place())?.entities ?? null;
      if (reached === null) break;
      // What was written is never written again.
      expect(reached).toBeGreaterThanOrEqual(furthest);
      furthest = reached;
      killedInside++;
    }
    expect(killedInside).toBeGreaterThan(0);
    expect((await runJson(["apply"], folder)).exitCode).toBe(0);
    expect(await place()).toBeNull();
    const audit = await runJson(["audit", "--states"], folder);
    expect(audit).toMatchObject({ exitCode: 0 });
    const { states } = audit.result as { states: Record<string, { clean: boolean; entities?: number }> };
    expect(Object.keys(states).toSorted()).toEqual(["always@1", "late@1"]);
    expect(states["late@1"]!.clean).toBe(true);
  });
});
