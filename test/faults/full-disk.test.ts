/**
 * A server whose disk is full, again and again and at different moments, ends with the states, the offline rows and
 * the audit of one that always had room; and says meanwhile what it cannot do.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  digestOf,
  kill,
  makeBatches,
  random,
  readVectors,
  ROWS_A_BATCH,
  send,
  type Server,
  start,
  stop,
} from "../platform/orders-replay.ts";
import { openSmallDisk, type SmallDisk } from "./small-disk.ts";
import { firstSeed } from "../first-seed.ts";

const BATCHES = 80;
const SEED = firstSeed();
const WAIT = { timeout: 60_000, interval: 100 };

let folder: string;
let disk: SmallDisk;
let running: Server | null;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-full-disk-"));
  disk = await openSmallDisk(48);
  running = null;
});
afterEach(async () => {
  if (running !== null && running.child.exitCode === null && running.child.signalCode === null) await kill(running);
  await disk?.close();
  await rm(folder, { recursive: true, force: true });
});

/** It is gone when the test is over. */
function use(server: Server): Server {
  running = server;
  return server;
}

async function readiness({ url }: Server): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${url}/ready`);
  return { status: answer.status, text: await answer.text() };
}

/** Resolves once the server says why it is not ready. */
async function untilItSays(server: Server, why: RegExp): Promise<void> {
  await expect
    .poll(async () => {
      const { status, text } = await readiness(server);
      return status === 503 ? text : "ready";
    }, WAIT)
    .toMatch(why);
}

async function gauge({ url }: Server, name: string): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, "m").exec(page)?.[1] ?? Number.NaN);
}

async function untilReady(server: Server): Promise<void> {
  await expect.poll(async () => (await readiness(server)).status, WAIT).toBe(200);
}

const FULL = /No space left on device|file too large/i;

describe("a server on a disk that is full", () => {
  it(`ends as one that always had room (seed ${SEED})`, { timeout: 400_000 }, async () => {
    const next = random(SEED + 1);
    const batches = makeBatches(random(SEED), BATCHES);
    const undisturbedDir = join(folder, "undisturbed");
    const undisturbed = await start(undisturbedDir);
    for (const batch of batches) expect(await send(undisturbed, batch)).toBe("acknowledged");
    await stop(undisturbed);

    const dataDir = join(disk.folder, "data");
    let server = use(await start(dataDir));
    let sent = 0;
    const refusals: string[] = [];
    const sendUntilRefused = async (): Promise<void> => {
      for (;;) {
        const outcome = await send(server, batches[sent]!);
        if (outcome !== "acknowledged") {
          refusals.push(outcome);
          return;
        }
        sent += 1;
      }
    };
    const sendMore = async (count: number): Promise<void> => {
      for (const end = sent + count; sent < end; sent++) {
        expect(await send(server, batches[sent]!)).toBe("acknowledged");
        if (sent % 4 === 0) await readVectors(server, next);
      }
    };
    await sendMore(10);

    // At once, or with room for the log and perhaps for a flush, but not for long.
    for (const leaving of [0, Math.floor(next() * 64 * 1024)]) {
      await disk.fill(server.child.pid!, leaving);
      await sendUntilRefused();
      await untilItSays(server, FULL);
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
      await readVectors(server, next);
      expect(await send(server, batches[sent]!)).toBe("DISK_FULL");
      await disk.makeRoom(server.child.pid!);
      await untilReady(server);
      await sendMore(10);
    }

    // The archive alone: it has something to move, and nothing else has anything to write.
    for (;;) {
      await expect.poll(() => gauge(server, "onefold_archive_lag_events"), WAIT).toBe(0);
      await sendMore(1);
      await expect.poll(() => gauge(server, "onefold_unflushed_states"), WAIT).toBe(0);
      await disk.fill(server.child.pid!);
      if ((await gauge(server, "onefold_archive_lag_events")) > 0) break;
      await disk.makeRoom(server.child.pid!);
    }
    await untilItSays(server, /archive of source orders/);
    await readVectors(server, next);
    await disk.makeRoom(server.child.pid!);
    await untilReady(server);
    await sendMore(10);

    // Killed while it is full; there is room when it is started again.
    await disk.fill(server.child.pid!, Math.floor(next() * 64 * 1024));
    await sendUntilRefused();
    await kill(server);
    await disk.makeRoom(process.pid);
    server = use(await start(dataDir));
    await untilReady(server);
    await sendMore(batches.length - sent);
    for (let i = 0; i < 40; i++) await readVectors(server, next);
    await stop(server);

    expect(new Set(refusals)).toEqual(new Set(["DISK_FULL"]));
    const { audit: _other, ...expected } = await digestOf(undisturbedDir);
    const { audit, ...found } = await digestOf(dataDir);
    expect(found).toEqual(expected);
    expect(found.eventCount).toBeGreaterThan(BATCHES * ROWS_A_BATCH * 0.9);
    expect(audit).toMatchObject({ mismatched: 0, missing: 0, clean: true });
    expect(audit.compared).toBeGreaterThan(50);
  });
});
