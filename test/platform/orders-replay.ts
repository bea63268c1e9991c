/**
 * Orders pushed batch by batch to a server whose clock is the test's, so that one that is disturbed stamps what an
 * undisturbed one does; and a digest of all that is stored, by which the two are compared.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "vitest";
import { parseMicros } from "../../src/base/micros.ts";

export const ROWS_A_BATCH = 25;
const START = parseMicros("2026-01-01T00:00:00Z");
const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

export interface Batch {
  readonly clock: number;
  readonly rows: readonly Record<string, unknown>[];
}

export interface Server {
  readonly child: ChildProcess;
  readonly url: string;
  readonly control: string;
}

export function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

export function makeBatches(next: () => number, count: number): Batch[] {
  let orderId = 0;
  return Array.from({ length: count }, (_, batch) => {
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

export async function start(dataDir: string): Promise<Server> {
  const child = spawn(process.execPath, [fixture("replay-server.mjs"), dataDir], { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr!.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  // One that ends by itself says why where the test is read.
  child.once("exit", (code, signal) => {
    if (code !== 0 && signal !== "SIGKILL") process.stderr.write(`the server ended (${signal ?? code}): ${errors}\n`);
  });
  let output = "";
  for await (const chunk of child.stdout!) {
    output += String(chunk);
    if (output.includes("\n")) return { child, ...(JSON.parse(output) as { url: string; control: string }) };
  }
  throw new Error(`the server did not start: ${errors}`);
}

/** What became of a batch: `acknowledged`, or the code that it was refused with; `broken` where nobody knows. */
export async function send(server: Server, batch: Batch): Promise<string> {
  try {
    await fetch(`${server.control}/?to=${batch.clock}`);
    const answer = await fetch(`${server.url}/events/orders`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(batch.rows),
    });
    const body = (await answer.json()) as PushAnswer;
    if (answer.status !== 200) return body.error?.code ?? `status ${answer.status}`;
    expect(body.accepted + body.duplicates + body.rejected).toBe(batch.rows.length);
    return "acknowledged";
  } catch (error) {
    if (error instanceof TypeError) return "broken"; // the connection broke: nobody knows what arrived
    throw error;
  }
}

export async function readVectors(server: Server, next: () => number): Promise<void> {
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

interface PushAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly error?: { readonly code: string };
}

export interface Digest {
  readonly stateCount: number;
  readonly eventCount: number;
  readonly featureRowCount: number;
  readonly audit: { readonly compared: number };
}

/** Lets a server store all that it has, and end. */
export async function stop({ child }: Server): Promise<void> {
  child.kill("SIGTERM");
  await once(child, "exit");
}

/** Kills a server. */
export async function kill({ child }: Server): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** What a data folder holds that nobody owns, and its audit. */
export async function digestOf(dataDir: string): Promise<Digest> {
  const { stdout } = await promisify(execFile)(process.execPath, [fixture("digest.mjs"), dataDir]);
  return JSON.parse(stdout) as Digest;
}
