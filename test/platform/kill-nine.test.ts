/**
 * A server killed with SIGKILL at random moments of ingest, and started again each time, ends with the
 * states, the offline rows and the audit of a server that nobody touched.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { parseMicros } from "../../src/base/micros.ts";

const KILLS = 20;
const BATCHES = 240;
const ROWS_A_BATCH = 25;
const START = parseMicros("2026-01-01T00:00:00Z");
const SEED = Number(process.env["KILL_SEED"] ?? Math.floor(Math.random() * 1e9));
const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

interface Batch {
  readonly clock: number;
  readonly rows: readonly Record<string, unknown>[];
}

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
  readonly control: string;
}

function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

function makeBatches(next: () => number): Batch[] {
  let orderId = 0;
  return Array.from({ length: BATCHES }, (_, batch) => {
    const clock = START + (batch + 1) * 7_000_000;
    const rows = Array.from({ length: ROWS_A_BATCH }, () => {
      orderId += 1;
      const late = next() < 0.1 ? Math.floor(next() * 1_200_000_000) : Math.floor(next() * 7_000_000);
      return {
        // One in fifty repeats an id that came before; one in fifty breaks a constraint.
        order_id: next() < 0.02 ? `o${Math.max(1, orderId - 30)}` : `o${orderId}`,
        shopper_id: `s${Math.floor(next() * next() * 40)}`,
        ordered_at: { micros: clock - late },
        amount: next() < 0.05 ? null : Math.round(next() * 20_000) / 100,
        items: next() < 0.02 ? 0 : 1 + Math.floor(next() * 9),
      };
    });
    return { clock, rows };
  });
}

async function start(dataDir: string): Promise<Server> {
  const child = spawn(process.execPath, [fixture("replay-server.mjs"), dataDir], { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr!.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  let output = "";
  for await (const chunk of child.stdout!) {
    output += String(chunk);
    if (output.includes("\n")) return { child, ...(JSON.parse(output) as { url: string; control: string }) };
  }
  throw new Error(`the server did not start: ${errors}`);
}

async function send(server: Server, batch: Batch): Promise<boolean> {
  try {
    await fetch(`${server.control}/?to=${batch.clock}`);
    const answer = await fetch(`${server.url}/events/orders`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(batch.rows),
    });
    const body = (await answer.json()) as { accepted: number; duplicates: number; rejected: number };
    if (answer.status === 429) return false;
    expect(body.accepted + body.duplicates + body.rejected).toBe(batch.rows.length);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false; // the connection broke: nobody knows what arrived
    throw error;
  }
}

async function readVectors(server: Server, next: () => number): Promise<void> {
  try {
    const answer = await fetch(`${server.url}/services/shopper_model/vector`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ entities: { shopper_id: `s${Math.floor(next() * 12)}` } }),
    });
    expect(answer.status).toBe(200);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

interface Digest {
  readonly stateCount: number;
  readonly eventCount: number;
  readonly featureRowCount: number;
  readonly audit: { readonly compared: number };
}

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
      server.child.kill("SIGKILL");
      await once(server.child, "exit");
      killed += 1;
      await pending;
      server = await start(dataDir);
      i -= 1; // what was not acknowledged is sent again, and so is what perhaps was
      continue;
    }
    if (!(await pending)) i -= 1;
    else if (i % 4 === 0) await readVectors(server, readFrom);
  }
  expect(killed).toBe(kills);
  // The serving log is a buffered sample: what was served just before a kill need not be in it, this is.
  for (let i = 0; i < 40; i++) await readVectors(server, readFrom);
  server.child.kill("SIGTERM");
  await once(server.child, "exit");
  const { stdout } = await promisify(execFile)(process.execPath, [fixture("digest.mjs"), dataDir]);
  return JSON.parse(stdout) as Digest;
}

describe("a server killed during ingest", () => {
  it(`ends as one that was not, after ${KILLS} kills (seed ${SEED})`, { timeout: 240_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-kill-"));
    try {
      const batches = makeBatches(random(SEED));
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
