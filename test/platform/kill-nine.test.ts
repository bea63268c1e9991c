/**
 * A server killed with SIGKILL at random moments of ingest, and started again each time, ends with the
 * states, the offline rows and the audit of a server that nobody touched.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type Batch,
  type Digest,
  digestOf,
  kill as killServer,
  makeBatches,
  random,
  readVectors,
  ROWS_A_BATCH,
  send,
  start,
  stop,
} from "./orders-replay.ts";
import { firstSeed } from "../first-seed.ts";

const KILLS = Number(process.env["ONEFOLD_KILLS"] ?? 12);
const BATCHES = 240;
const SEED = firstSeed();
async function run(dataDir: string, batches: readonly Batch[], kills: number): Promise<Digest> {
  const next = random(SEED + 1);
  const readFrom = random(SEED + 2);
  let server = await start(dataDir);
  let killed = 0;
  for (let i = 0; i < batches.length; i++) {
    // Spread the kills over the run; the moment inside a batch is random.
    const kill = killed < kills && next() < (kills - killed) / (batches.length - i);
    const pending = send(server, batches[i]!);
    if (kill) {
      await new Promise((resolve) => setTimeout(resolve, next() * 12));
      await killServer(server);
      killed += 1;
      await pending;
      server = await start(dataDir);
      i -= 1; // what was not acknowledged is sent again, and so is what perhaps was
      continue;
    }
    if ((await pending) !== "acknowledged") i -= 1;
    else if (i % 4 === 0) await readVectors(server, readFrom);
  }
  expect(killed).toBe(kills);
  // The serving log is a buffered sample: what was served just before a kill need not be in it, this is.
  for (let i = 0; i < 40; i++) await readVectors(server, readFrom);
  await stop(server);
  return digestOf(dataDir);
}

describe("a server killed during ingest", () => {
  it(`ends as one that was not, after ${KILLS} kills (seed ${SEED})`, { timeout: 240_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-kill-"));
    try {
      const batches = makeBatches(random(SEED), BATCHES);
      const undisturbed = await run(join(folder, "undisturbed"), batches, 0);
      const disturbed = await run(join(folder, "disturbed"), batches, KILLS);
      const { audit: expectedAudit, ...expected } = undisturbed;
      const { audit, ...actual } = disturbed;
      expect(actual).toEqual(expected);
      expect(actual.eventCount).toBeGreaterThan(BATCHES * ROWS_A_BATCH * 0.9);
      expect(actual.featureRowCount).toBeGreaterThan(100);
      for (const result of [audit, expectedAudit]) {
        expect(result).toMatchObject({ mismatched: 0, missing: 0, clean: true });
        expect(result.compared).toBeGreaterThan(50);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
