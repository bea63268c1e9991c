/**
 * Whatever an API does and whenever the process ends: each row that it ever offered is in the log, and folded, once.
 *
 * Random styles, faults and crashes against the real server, with the source's real pipeline on a disk that forgets
 * what was not synced. Time is the test's.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isOnefoldError } from "../../../src/base/errors.ts";
import type { PollReport } from "../../../src/ingest/http-poll/source-poll.ts";
import type { SourcePipeline } from "../../../src/ingest/source-pipeline.ts";
import { randomFrom } from "../payments.ts";
import { folded, idsInLog, newWorld, openPoll, openQuotes, pollOnce, quotes, STYLES } from "./polled-quotes.ts";
import { type Fault, quote, QuoteApi, type Style } from "./quote-api.ts";

const root = mkdtempSync(join(tmpdir(), "onefold-poll-restarts-"));
let api: QuoteApi;
beforeAll(async () => {
  api = await new QuoteApi().open();
});
afterAll(async () => {
  await api.close();
  rmSync(root, { recursive: true, force: true });
});

const STEPS = 14;
const CRASHED = new Error("crashed");

const FAULTS: readonly Fault[] = [
  { kind: "status", status: 500 },
  { kind: "status", status: 429, retryAfter: "3" },
  { kind: "status", status: 410 },
  { kind: "status", status: 401 },
  { kind: "reset" },
  { kind: "cut", chunked: true },
  { kind: "cut", chunked: false },
  { kind: "text", body: "{" },
  { kind: "text", body: "[]]" },
  { kind: "gzip" },
  { kind: "redirect", to: "/quotes" },
];

interface Case {
  readonly style: Style;
  readonly seed: number;
  readonly requestsMax: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  style: fc.constantFrom(...(Object.keys(STYLES) as Style[])),
  seed: fc.integer({ min: 1, max: 2 ** 31 }),
  requestsMax: fc.constantFrom(1, 2, 3, 100),
});

async function run({ style, seed, requestsMax }: Case): Promise<void> {
  const random = randomFrom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  api.rows.length = 0;
  api.faults.length = 0;
  api.style = style;
  const source = quotes(api.url, { ...STYLES[style], requestsMax });
  let world = newWorld(mkdtempSync(join(root, "data-")));
  let pipeline = await openQuotes(world, source);
  let poll = openPoll(world, source, (rows) => push(rows));
  let crash: "before" | "during" | "after" | null = null;

  async function push(rows: readonly unknown[]): ReturnType<SourcePipeline["push"]> {
    const when = crash;
    if (when === "before") throw CRASHED;
    const pushed = pipeline.push(rows);
    if (when === "during") {
      pushed.catch(() => undefined);
      for (let turns = Math.floor(random() * 4); turns > 0; turns--)
        await new Promise((resolve) => setImmediate(resolve));
      throw CRASHED;
    }
    const result = await pushed;
    if (when === "after") throw CRASHED;
    return result;
  }

  async function restart(): Promise<void> {
    world = { ...world, storage: world.storage.crash(random() < 0.5 ? undefined : random), store: world.store.crash() };
    await pipeline.close().catch(() => undefined);
    pipeline = await openQuotes(world, source);
    poll = openPoll(world, source, (rows) => push(rows));
  }

  for (let step = 0; step < STEPS; step++) {
    for (let count = Math.floor(random() * 8); count > 0; count--) api.rows.push(quote(api.rows.length));
    while (random() < 0.4) api.faults.push(pick(FAULTS));
    crash = random() < 0.4 ? pick(["before", "during", "after"] as const) : null;
    const stop = new AbortController();
    if (random() < 0.2) setTimeout(() => stop.abort(), random() * 4);
    const report: PollReport = { requests: 0, rows: 0, accepted: 0 };
    const fault = await poll.poll(report, stop.signal).then(
      () => null,
      (error: unknown) => error,
    );
    if (fault !== null && fault !== CRASHED && !isOnefoldError(fault)) throw fault;
    if (fault === CRASHED || random() < 0.1) await restart();
    world.clock.time += Math.floor(random() * 60_000_000);
  }

  api.faults.length = 0;
  crash = null;
  // Enough for an answer that was begun to be ended, and for a whole one after it.
  const requests = 2 * Math.ceil(api.rows.length / api.limit);
  // A page that a fault led elsewhere may look like a circle once: it is said, and the answer is begun anew.
  let circles = 0;
  for (let polls = Math.ceil(requests / requestsMax) + 4; polls > 0; polls--) {
    await pollOnce(poll).catch((error: unknown) => {
      if (!isOnefoldError(error) || !error.message.includes("was read already") || circles++ > 0) throw error;
    });
  }
  expect((await idsInLog(pipeline)).toSorted()).toEqual(api.rows.map((row) => row.quote_id).toSorted());
  const counts: Record<string, number> = { S0: 0, S1: 0, S2: 0 };
  for (const row of api.rows) counts[row.symbol]!++;
  expect(folded(pipeline, world)).toEqual(counts);
  expect(pipeline.deadLetters.openCount).toBe(0);
  await pipeline.close();
}

describe("a polled source", () => {
  it("folds each row that its API ever offered once, whatever the API does and whenever the process ends", async () => {
    await fc.assert(fc.asyncProperty(cases, run), { numRuns: 40 });
  }, 240_000);
});
