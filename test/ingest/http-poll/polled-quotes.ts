/** A polled source in front of `QuoteApi`, its pipeline over memory that may crash, and a poll of it. */
import { parseMicros, type Micros } from "../../../src/base/micros.ts";
import type { EntityDefinition, StreamDefinition, ViewDefinition } from "../../../src/define/definition.ts";
import { t } from "../../../src/define/column-type.ts";
import { http, type HttpPollOptions } from "../../../src/define/http-poll.ts";
import { stream } from "../../../src/define/source.ts";
import { compileViewFold } from "../../../src/fold/compile.ts";
import { createReadBuffer } from "../../../src/fold/view-fold.ts";
import type { Fetch } from "../../../src/ingest/http-poll/poll-answer.ts";
import { type PollPorts, type PollReport, SourcePoll } from "../../../src/ingest/http-poll/source-poll.ts";
import { openSourcePipeline } from "../../../src/ingest/open-source-pipeline.ts";
import type { SourcePipeline } from "../../../src/ingest/source-pipeline.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { ForgetfulStorage } from "../../../src/testing/forgetful-storage.ts";
import { TestClock } from "../payments.ts";
import type { Style } from "./quote-api.ts";

export const NOON: Micros = parseMicros("2026-01-01T12:00:00Z");

const symbol: EntityDefinition = {
  kind: "entity",
  name: "symbol",
  keys: [{ name: "symbol", type: { name: "string" } }],
};
const definition: ViewDefinition = {
  kind: "view",
  name: "by_symbol",
  version: 1,
  entity: "symbol",
  source: "quotes",
  key: ["symbol"],
  features: [{ name: "quotes", type: { name: "int64" }, aggregation: { fn: "count" } }],
  online: true,
  offline: true,
  freshness: "real-time",
  exactEvents: 128,
};

/** How each style of the API is polled. */
export const STYLES: Readonly<Record<Style, Partial<HttpPollOptions>>> = {
  list: {},
  since: { rows: "data.items", cursor: { column: "quoted_at", param: "since", more: 5 } },
  "newest-first": {
    rows: "items",
    pages: { token: "next", param: "page" },
    cursor: { column: "quoted_at", param: "since" },
  },
  linked: { pages: "link", cursor: { column: "quoted_at", param: "since" } },
  numbered: { rows: "items", pages: { number: "page" } },
  sequence: { rows: "items", cursor: { answer: "next", param: "after", more: "has_more" } },
};

export function quotes(url: string, options: Partial<HttpPollOptions> = {}): StreamDefinition {
  return stream("quotes", {
    columns: { quote_id: t.string(), symbol: t.string(), price: t.float64(), quoted_at: t.timestamp() },
    eventTime: "quoted_at",
    id: "quote_id",
    maxFuture: "1m",
    poll: http({ url, every: "5s", columns: { quoted_at: { path: "ts", unit: "s" } }, ...options }),
  });
}

export interface World {
  readonly storage: ForgetfulStorage;
  readonly store: MemoryOnlineStore;
  readonly clock: TestClock;
  /** A real folder, for how far the polls have come. */
  readonly folder: string;
}

export function newWorld(folder: string): World {
  const clock = new TestClock();
  clock.time = NOON;
  return { storage: new ForgetfulStorage(), store: new MemoryOnlineStore(), clock, folder };
}

export function openQuotes({ storage, store, clock }: World, source: StreamDefinition): Promise<SourcePipeline> {
  const fold = compileViewFold(definition, source, symbol);
  return openSourcePipeline({
    source,
    views: [{ definition, entity: symbol, fold }],
    storage,
    store,
    clock,
    folder: "data",
    flushMs: 1,
  });
}

export function openPoll(
  world: World,
  source: StreamDefinition,
  push: PollPorts["push"],
  ports: { readonly environment?: Readonly<Record<string, string>>; readonly fetch?: Fetch } = {},
): SourcePoll {
  return new SourcePoll(world.folder, source, source.poll!, {
    clock: world.clock,
    fetch: ports.fetch ?? fetch,
    environment: (name) => ports.environment?.[name],
    push,
  });
}

export async function pollOnce(poll: SourcePoll): Promise<PollReport & { readonly outcome: string }> {
  const report: PollReport = { requests: 0, rows: 0, accepted: 0 };
  const outcome = await poll.poll(report, new AbortController().signal);
  return { ...report, outcome };
}

/** Ids in the log, in order, each as often as it is there. */
export async function idsInLog(pipeline: SourcePipeline): Promise<string[]> {
  const ids: string[] = [];
  for await (const events of pipeline.log.read(0)) ids.push(...events.map((event) => event.row[0] as string));
  return ids;
}

/** How many quotes of each symbol were folded. */
export function folded(pipeline: SourcePipeline, world: World): Record<string, number> {
  const runner = pipeline.runner("by_symbol@1")!;
  const buffer = createReadBuffer(runner.view.fold.features.length);
  const counts: Record<string, number> = {};
  for (const key of ["S0", "S1", "S2"]) {
    runner.view.fold.read(runner.state(key), world.clock.now(), buffer);
    counts[key] = buffer.values[0] as number;
  }
  return counts;
}
