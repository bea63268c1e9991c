/** A platform that polls a real server: who polls and who does not, what is seen of it, and a restart at any moment. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Definition } from "../../src/define/definition.ts";
import { count, entity, http, type HttpPollOptions, stream, t, view } from "../../src/index.ts";
import { readPollStatus } from "../../src/platform/data-folder.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import type { PlatformOptions } from "../../src/platform/platform-options.ts";
import { randomFrom } from "../ingest/payments.ts";
import { quote, QuoteApi } from "../ingest/http-poll/quote-api.ts";
import { firstSeed } from "../first-seed.ts";

const SEED = firstSeed();

const symbol = entity("symbol", { symbol: t.string() });

function definitionsOf(
  options: Partial<HttpPollOptions> = {},
  parts: { readonly isPolled: boolean } = { isPolled: true },
): Definition[] {
  const poll = http({
    url: api.url,
    every: "100ms",
    rows: "data.items",
    columns: { quoted_at: { path: "ts", unit: "s" } },
    cursor: { column: "quoted_at", param: "since", more: 5 },
    ...options,
  });
  const quotes = stream("quotes", {
    columns: { quote_id: t.string(), symbol: t.string(), price: t.float64(), quoted_at: t.timestamp() },
    eventTime: "quoted_at",
    id: "quote_id",
    ...(parts.isPolled ? { poll } : {}),
  });
  return [
    symbol,
    quotes,
    view("by_symbol", { version: 1, entity: symbol, source: quotes, features: { quotes: count() } }),
  ];
}

let api: QuoteApi;
let dataDir: string;
let platform: Platform | null = null;
beforeEach(async () => {
  api = await new QuoteApi().open();
  api.style = "since";
  dataDir = await mkdtemp(join(tmpdir(), "onefold-polled-"));
});
afterEach(async () => {
  await platform?.close();
  platform = null;
  await api.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function open(
  definitions: Definition[] = definitionsOf(),
  options: Partial<PlatformOptions> = {},
): Promise<Platform> {
  platform = await openPlatform({ dataDir, definitions, ...options });
  return platform;
}

function offer(rows: number): void {
  for (let n = 0; n < rows; n++) api.rows.push(quote(api.rows.length));
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + 120_000;
  while (!(await isSo())) {
    if (performance.now() > giveUpAt) throw new Error("it did not come to be so within two minutes");
    await sleep(10);
  }
}

/** As many quotes as were folded, over all symbols. */
async function folded(): Promise<number> {
  const all = await Promise.all(
    ["S0", "S1", "S2"].map(async (one) => (await platform!.features("symbol", one)).features["quotes"] as number),
  );
  return all.reduce((sum, one) => sum + one, 0);
}

const metricsText = async (): Promise<string> => (await fetch(`${(await server()).url}/metrics`)).text();

let serving: Awaited<ReturnType<Platform["serve"]>> | null = null;
async function server(): Promise<NonNullable<typeof serving>> {
  serving ??= await platform!.serve({ port: 0 });
  return serving;
}
afterEach(async () => {
  await serving?.close();
  serving = null;
});

describe("a polled source", () => {
  it("is polled by a process that serves: its rows are in the next vector, and in the archive", async () => {
    offer(12);
    await (await open()).apply(definitionsOf());
    await server();
    await until(async () => (await folded()) === 12);
    offer(3);
    await until(async () => (await folded()) === 15);
    await platform!.settle();
    expect(await platform!.offlineRows("events/quotes")).toHaveLength(15);
    expect((await platform!.audit({ states: true })).clean).toBe(true);
  });

  it("is not polled by who applies, reads, or serves with poll: false, and is by who asks for it", async () => {
    offer(2);
    await (await open(definitionsOf(), { poll: false })).apply(definitionsOf());
    await platform!.serve({ port: 0 }).then((one) => one.close());
    const beside = await openPlatform({ dataDir, mode: "read" });
    await beside.request("GET", "/registry/sources/quotes");
    expect(() => beside.startPolls()).toThrow("one can only read, not poll");
    await beside.close();
    await sleep(250);
    expect(api.asked).toEqual([]);
    platform!.startPolls();
    platform!.startPolls();
    await until(async () => (await folded()) === 2);
    await platform!.close();
    const asked = api.asked.length;
    await sleep(250);
    expect(api.asked).toHaveLength(asked);
  });

  it("that is down leaves the platform ready, and is seen to be down", async () => {
    api.faults.push(...Array.from({ length: 1000 }, () => ({ kind: "status", status: 500 }) as const));
    await (await open()).apply(definitionsOf());
    await server();
    await until(() => api.asked.length >= 1);
    expect(await platform!.request("GET", "/ready")).toEqual({ status: "ready" });
    await until(async () => (await readPollStatus(dataDir, "quotes")).failures > 0);
    expect(await readPollStatus(dataDir, "quotes")).toMatchObject({
      lastSuccessAt: null,
      lastError: { code: "POLL_REFUSED", message: "it answers 500", where: api.url },
      nextDueAt: expect.any(Number),
    });
    const text = await metricsText();
    expect(text).toMatch(/^onefold_polls_total\{source="quotes",outcome="failed"\} [1-9]/m);
    expect(text).toMatch(/^onefold_poll_failures_total\{source="quotes",code="POLL_REFUSED"\} [1-9]/m);
    expect(text).toMatch(/^onefold_poll_failing\{source="quotes"\} [1-9]/m);
    expect(text).not.toMatch(/^onefold_poll_since_success_seconds\{/m);
    api.faults.length = 0;
    offer(4);
    await until(async () => (await folded()) === 4);
    await until(async () => (await metricsText()).includes('onefold_poll_failing{source="quotes"} 0'));
    const later = await metricsText();
    expect(later).toMatch(/^onefold_poll_since_success_seconds\{source="quotes"\} 0/m);
    expect(later).toMatch(/^onefold_poll_due_in_seconds\{source="quotes"\} /m);
    expect(later).toMatch(/^onefold_poll_rows_total\{source="quotes"\} [4-9]/m);
    expect(later).toMatch(/^onefold_poll_seconds_count\{source="quotes"\} /m);
  });

  it("follows its definition: another address, no poll any more, and one again, without another meaning of what is stored", async () => {
    offer(6);
    await (await open()).apply(definitionsOf());
    await server();
    await until(async () => (await folded()) === 6);
    const plan = await platform!.apply(definitionsOf({ url: `${api.url}/v2` }));
    expect(plan.changes.filter(({ change }) => change !== "unchanged")).toMatchObject([
      { kind: "stream", name: "quotes", change: "change" },
    ]);
    await until(() => api.asked.at(-1)!.startsWith("/quotes/v2?since="));
    await platform!.apply(definitionsOf({}, { isPolled: false }));
    const asked = api.asked.length;
    offer(1);
    await sleep(250);
    expect(api.asked).toHaveLength(asked);
    expect(await folded()).toBe(6);
    expect(await metricsText()).not.toMatch(/^onefold_poll_due_in_seconds\{/m);
    await platform!.apply(definitionsOf());
    await until(async () => (await folded()) === 7);
  });

  it("is shown with its poll, as it was written, and pushes and imports go on beside it", async () => {
    await (await open()).apply(definitionsOf({ headers: { Authorization: { env: "ONEFOLD_TEST_TOKEN" } } }));
    expect(await platform!.request("GET", "/registry/sources/quotes")).toMatchObject({
      poll: {
        url: api.url,
        every: "100ms",
        headers: [{ name: "Authorization", env: "ONEFOLD_TEST_TOKEN" }],
        rows: "data.items",
        cursor: { param: "since", column: "quoted_at", start: null, more: 5 },
      },
    });
    await platform!.push("quotes", [{ quote_id: "p", symbol: "S0", price: 1, quoted_at: "2026-01-01T00:00:00Z" }]);
    expect(await folded()).toBe(1);
  });

  it("goes on from where it stood in a process that has not loaded the definitions file", async () => {
    offer(6);
    await (await open()).apply(definitionsOf());
    await server();
    await until(async () => (await readPollStatus(dataDir, "quotes")).cursor !== null);
    await platform!.close();
    serving = null;
    const asked = api.asked.length;
    await open([]);
    platform!.startPolls();
    await until(() => api.asked.length > asked);
    expect(api.asked[asked]).toBe(`/quotes?since=${api.rows.at(-1)!.ts}`);
  });

  it(`loses nothing and doubles nothing when the platform is closed and opened at random moments (seed ${SEED})`, async () => {
    const random = randomFrom(SEED);
    await (await open()).apply(definitionsOf());
    let cuts = 0;
    for (let restarts = 0; restarts < 8; restarts++) {
      await platform!.close();
      offer(1 + Math.floor(random() * 20));
      // Failures in a row are remembered over restarts, and each doubles the wait: three, and it is over in seconds.
      if (cuts < 3 && random() < 0.5) {
        api.faults.push({ kind: "cut", chunked: true });
        cuts += 1;
      }
      await open();
      platform!.startPolls();
      await sleep(random() * 40);
    }
    await until(async () => (await folded()) === api.rows.length);
    await sleep(150);
    await platform!.settle();
    const ids = (await platform!.offlineRows("events/quotes")).map((row) => row["quote_id"]);
    expect(ids.toSorted()).toEqual(api.rows.map((row) => row.quote_id).toSorted());
  });
});
