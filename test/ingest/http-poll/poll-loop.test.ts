/** When a source is polled: with a clock that the test holds, against the real server. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { diagnostics } from "../../../src/base/diagnostics.ts";
import type { HttpPollOptions } from "../../../src/define/http-poll.ts";
import { PollLoop } from "../../../src/ingest/http-poll/poll-loop.ts";
import { readPollStatus } from "../../../src/ingest/http-poll/poll-status.ts";
import { backOffMicros } from "../../../src/ingest/http-poll/retry-after.ts";
import type { PollPorts } from "../../../src/ingest/http-poll/source-poll.ts";
import type { SourcePipeline } from "../../../src/ingest/source-pipeline.ts";
import { idsInLog, newWorld, NOON, openQuotes, quotes, STYLES, type World } from "./polled-quotes.ts";
import { quote, QuoteApi } from "./quote-api.ts";

const SECOND = 1_000_000;
const root = mkdtempSync(join(tmpdir(), "onefold-poll-loop-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let api: QuoteApi;
let world: World;
let pipeline: SourcePipeline;
let loop: PollLoop | null = null;
beforeEach(async () => {
  api = await new QuoteApi().open();
  api.style = "since";
  world = newWorld(mkdtempSync(join(root, "data-")));
  pipeline = await openQuotes(world, quotes(api.url, STYLES.since));
  for (let n = 0; n < 3; n++) api.rows.push(quote(n));
});
afterEach(async () => {
  await loop?.close();
  loop = null;
  await api.close();
  await pipeline.close();
});

/** Waits take no time but move the clock; each is handed out when the loop asks for it, and goes on when released. */
class Waits {
  readonly asked: number[] = [];
  #next: { resolve: () => void; promise: Promise<void> } = deferred();
  #release: (() => void) | null = null;

  readonly wait = async (micros: number, signal: AbortSignal): Promise<void> => {
    this.asked.push(micros);
    this.#next.resolve();
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#release = done;
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
    if (!signal.aborted) world.clock.time += micros;
  };

  /** Resolves with what the loop waits for next. */
  async next(): Promise<number> {
    await this.#next.promise;
    return this.asked.at(-1)!;
  }

  async goOn(): Promise<number> {
    await this.next();
    this.#next = deferred();
    this.#release!();
    return this.next();
  }
}

function deferred(): { resolve: () => void; promise: Promise<void> } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { resolve, promise };
}

/** As a process that starts has it. */
function start(options: Partial<HttpPollOptions> = {}, push?: PollPorts["push"]): Waits {
  const source = quotes(api.url, { ...STYLES.since, ...options });
  const waits = new Waits();
  loop = new PollLoop({
    dataDir: world.folder,
    source,
    poll: source.poll!,
    clock: world.clock,
    random: () => 0.5,
    fetch,
    environment: () => undefined,
    push: push ?? ((rows) => pipeline.push(rows)),
    wait: waits.wait,
  });
  return waits;
}

describe("a polled source", () => {
  it("is polled at once, then every so often, counted from the beginning of a poll", async () => {
    const slowPush: PollPorts["push"] = (rows) => {
      world.clock.time += 2 * SECOND;
      return pipeline.push(rows);
    };
    const waits = start({}, slowPush);
    expect(await waits.next()).toBe(3 * SECOND);
    expect(loop!.status).toMatchObject({
      failures: 0,
      lastError: null,
      lastRows: 3,
      lastAccepted: 3,
      nextDueAt: NOON + 5 * SECOND,
    });
    // The last row comes again, as the API's `since` includes it.
    expect(await waits.goOn()).toBe(3 * SECOND);
    expect(world.clock.time).toBe(NOON + 7 * SECOND);
    const slower: PollPorts["push"] = (rows) => {
      world.clock.time += 60 * SECOND;
      return pipeline.push(rows);
    };
    await loop!.close();
    expect(await start({}, slower).next()).toBe(50_000);
  });

  it("that fails is polled later each time, and as before once it succeeds; what it last failed with stays to be seen", async () => {
    const waits = start();
    await waits.next();
    const status = { kind: "status", status: 500 } as const;
    api.faults.push(...Array.from({ length: 10 }, () => status));
    const delays: number[] = [];
    for (let n = 0; n < 10; n++) delays.push((await waits.goOn()) / SECOND);
    // Three quarters of 1, 2, 4, ... seconds, as the random number is a half; no more than of 5 minutes.
    expect(delays).toEqual([0.75, 1.5, 3, 6, 12, 24, 48, 96, 192, 225]);
    expect(loop!.status).toMatchObject({
      failures: 10,
      lastError: { code: "POLL_REFUSED", message: "it answers 500" },
    });
    expect(await waits.goOn()).toBe(5 * SECOND);
    expect(loop!.status).toMatchObject({
      failures: 0,
      lastError: { code: "POLL_REFUSED" },
      lastSuccessAt: world.clock.time,
    });
  });

  it("is left alone for as long as its API wants, by the next process too", async () => {
    api.faults.push({ kind: "status", status: 429, retryAfter: "120" });
    const waits = start();
    expect(await waits.next()).toBe(120 * SECOND);
    world.clock.time += 20 * SECOND;
    await loop!.close();
    const later = start();
    expect(await later.next()).toBe(100 * SECOND);
    expect(api.asked).toHaveLength(1);
    await later.goOn();
    expect(api.asked).toHaveLength(2);
    expect(await idsInLog(pipeline)).toHaveLength(3);
  });

  it("is not asked more often for a Retry-After of nothing", async () => {
    api.faults.push({ kind: "status", status: 503, retryAfter: "0" });
    expect(await start().next()).toBe(0.75 * SECOND);
  });

  it("is closed at once while its API does not answer, and counts no failure", async () => {
    api.faults.push({ kind: "hang" });
    start({ timeout: "10m" });
    while (api.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await loop!.close();
    expect(loop!.status).toMatchObject({ failures: 0, lastError: null, nextDueAt: null });
    expect(await readPollStatus(world.folder, "quotes")).toEqual(loop!.status);
  });

  it("is closed only once a push under way is acknowledged and what it leaves behind is stored", async () => {
    const gate = deferred();
    const reached = deferred();
    start({}, async (rows) => {
      reached.resolve();
      await gate.promise;
      return pipeline.push(rows);
    });
    await reached.promise;
    const closed = loop!.close();
    expect(
      await Promise.race([closed.then(() => "closed"), new Promise((resolve) => setTimeout(resolve, 30, "open"))]),
    ).toBe("open");
    gate.resolve();
    await closed;
    expect(await idsInLog(pipeline)).toHaveLength(3);
    expect(loop!.status).toMatchObject({ lastAccepted: 3, cursor: String(api.rows[2]!.ts) });
    await start().next();
    expect(api.asked.at(-1)).toContain(`since=${api.rows[2]!.ts}`);
  });

  it("keeps its cursor where a push is not acknowledged", async () => {
    const waits = start({}, () => Promise.reject(new Error("the disk is full")));
    await waits.next();
    expect(loop!.status).toMatchObject({
      failures: 1,
      cursor: null,
      lastError: { code: "INTERNAL", message: "the disk is full" },
    });
    await loop!.close();
    await start().next();
    expect(api.asked).toEqual(["/quotes", "/quotes"]);
    expect(await idsInLog(pipeline)).toHaveLength(3);
  });

  it("tells monitoring of every poll", async () => {
    const told: unknown[] = [];
    const listener = (message: unknown): unknown => told.push(message);
    diagnostics.polled.subscribe(listener);
    try {
      const waits = start();
      await waits.next();
      api.faults.push({ kind: "status", status: 500 });
      await waits.goOn();
      expect(told).toEqual([
        { source: "quotes", outcome: "rows", code: null, requests: 1, rows: 3, durationMs: 0 },
        { source: "quotes", outcome: "failed", code: "POLL_REFUSED", requests: 1, rows: 0, durationMs: 0 },
      ]);
    } finally {
      diagnostics.polled.unsubscribe(listener);
    }
  });
});

describe("the back-off", () => {
  it("lies in the upper half of a second doubled with each failure, up to five minutes", () => {
    for (const [failures, wholeSeconds] of [
      [1, 1],
      [4, 8],
      [9, 256],
      [10, 300],
      [5000, 300],
    ] as const) {
      expect(backOffMicros(failures, () => 0)).toBe((wholeSeconds / 2) * SECOND);
      expect(backOffMicros(failures, () => 1)).toBe(wholeSeconds * SECOND);
    }
  });
});
