/**
 * Backfill: what serving loses while a view is computed anew from history beside it, and how fast that goes.
 * `npm run bench -- backfill [--json] [--events N] [--entities N] [--seconds N] [--rounds N] [--rate N]
 * [--timeline]`.
 *
 * A server with two views on one core, and requests for both at a fixed rate (1,000 a second), open loop, from another core,
 * over connections that stay. Each round reads the latencies with nothing else going on and then while `onefold backfill`, on the server's
 * core, has the server compute one of them anew, and two seconds longer. All of either is compared, and the worst two
 * seconds, of which the longer has more to be the worst of.
 * `--timeline` prints the p99 of each half second of both.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { openDuckDb } from "../src/offline-store/duckdb.ts";
import { helpersYield } from "../src/cli/helper-threads.ts";
import { count, entity, last, max, mean, service, stream, sum, t, view } from "../src/index.ts";
import { openPlatform } from "../src/platform.ts";
import { SeededRandom } from "../src/testing/random.ts";
import { LOAD_CORE, moveToCore, onCore, SERVER_CORE } from "./cores.ts";
import { report } from "./report.ts";
import { runOpenLoop } from "./serving/open-loop.ts";
import { startServer } from "./serving/server.ts";
import { quantileOf } from "./serving/world.ts";

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean" },
    events: { type: "string", default: "2000000" },
    entities: { type: "string", default: "100000" },
    seconds: { type: "string", default: "10" },
    rounds: { type: "string", default: "3" },
    rate: { type: "string", default: "1000" },
    timeline: { type: "boolean", default: false },
  },
});
const { events, entities, seconds: roundSeconds, rounds: roundCount, rate } = options;
const [EVENTS, ENTITIES, SECONDS, ROUNDS, REQUESTS_PER_SECOND] = [events, entities, roundSeconds, roundCount, rate].map(
  Number,
) as [number, number, number, number, number];
const P99_MS_MAX = 5;
const WINDOW_MS = 2000;
const TIMELINE_MS = 500;
/** Of all rounds together: more than any machine takes. */
const LOAD_SECONDS_MAX = 3600;
const ANSWERS_MAX = REQUESTS_PER_SECOND * LOAD_SECONDS_MAX;
const COMMAND = join(process.cwd(), "dist", "cli", "main.js");

const user = entity("user", { user_id: t.string() });
const payments = stream("payments", {
  columns: { user_id: t.string(), at: t.timestamp(), amount: t.float64(), country: t.string() },
  eventTime: "at",
});
const features = {
  n_1h: count().over("1h"),
  n_7d: count().over("7d"),
  sum_24h: sum("amount").over("24h"),
  mean_7d: mean("amount").over("7d"),
  max_30d: max("amount").over("30d"),
  country: last("country"),
};
const served = view("served", { entity: user, source: payments, features });
const other = view("other", { entity: user, source: payments, features });
const model = service("model", { features: [served, other.prefix("other_")] });

const folder = mkdtempSync(join(tmpdir(), "onefold-bench-"));
try {
  await makeHistory();
  const figures = await measure(join(folder, "data"));
  let passes = true;
  for (const [name, rounds, beside] of figures) {
    const reference = beside === null ? {} : { reference: { name: "without it", rounds: beside } };
    passes = report({ bench: "backfill", case: name, unit: "ms", better: "lower", rounds, ...reference }) && passes;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function makeHistory(): Promise<void> {
  const engine = await openDuckDb({});
  const path = join(folder, "history.parquet");
  await engine.run(`COPY (SELECT 'u' || (hash(i) % ${ENTITIES}) AS user_id,
      TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_milliseconds(i * 1000) AS at, (i % 9973) / 100.0 AS amount, 'C' || (i % 40) AS country
    FROM range(${EVENTS}) r(i)) TO '${path}' (FORMAT parquet)`);
  await engine.close();
  const platform = await openPlatform({ dataDir: join(folder, "data") });
  await platform.apply([user, payments, served, other, model]);
  await platform.importHistory("payments", [path]);
  await platform.close();
}

type Figure = readonly [name: string, rounds: number[], beside: number[] | null];

async function measure(dataDir: string): Promise<Figure[]> {
  // What asks is hardly ever idle: on the server's core it would take half of it.
  moveToCore(LOAD_CORE);
  helpersYield();
  const server = await startServer(dataDir);
  const quiet = { p50: [] as number[], p99: [] as number[], allP99: [] as number[] };
  const busy = { p50: [] as number[], p99: [] as number[], allP99: [] as number[] };
  const rates: number[] = [];
  const backfills = Array.from({ length: ROUNDS }, () => prepareBackfill(dataDir));
  const load = startLoad(server.httpPort);
  await sleep(SECONDS * 1000);
  const spans: { readonly into: typeof quiet; readonly fromMs: number; readonly toMs: number }[] = [];
  for (const backfill of backfills) {
    const quietFromMs = performance.now();
    await sleep(SECONDS * 1000);
    const busyFromMs = performance.now();
    const { seconds } = await backfill();
    // What a switch leaves to be done (states that are read for the first time, former ones that go) is part of it.
    await sleep(WINDOW_MS);
    spans.push({ into: quiet, fromMs: quietFromMs, toMs: busyFromMs });
    spans.push({ into: busy, fromMs: busyFromMs, toMs: performance.now() });
    rates.push(seconds);
  }
  const { latenessP99Ms } = await load.stop();
  await server.stop();
  // Only now: whoever sorts answers asks for none meanwhile.
  for (const { into, fromMs, toMs } of spans) {
    const worst = load.worstWindow(fromMs, toMs);
    if (options.timeline) {
      console.error(`${into === quiet ? "without" : "beside"} it, p99 in ms: ${load.timeline(fromMs, toMs).join(" ")}`);
    }
    into.p50.push(worst.p50);
    into.p99.push(worst.p99);
    into.allP99.push(load.p99(fromMs, toMs));
  }
  report({ bench: "backfill", case: "seconds", unit: "s", better: "lower", rounds: rates });
  const perSecond = rates.map((seconds) => EVENTS / seconds);
  report({ bench: "backfill", case: "events", unit: "events/s", better: "higher", rounds: perSecond });
  report({ bench: "backfill", case: "sender-late-p99", unit: "ms", better: "lower", rounds: [latenessP99Ms] });
  report({ bench: "backfill", case: "p99-goal", unit: "ms", better: "lower", rounds: busy.p99, goal: P99_MS_MAX });
  return [
    ["p50-of-worst-2s", busy.p50, quiet.p50],
    ["p99-of-worst-2s", busy.p99, quiet.p99],
    ["p99", busy.allP99, quiet.allP99],
  ];
}

/** Requests at the fixed rate until they are stopped. */
function startLoad(port: number) {
  const random = new SeededRandom(1);
  // Columns, as an object an answer would be garbage to look through while latencies are read.
  const answers = { dueMs: new Float64Array(ANSWERS_MAX), latencyMs: new Float64Array(ANSWERS_MAX), count: 0 };
  const stopping = new AbortController();
  const done = runOpenLoop({
    port,
    requestsPerSecond: REQUESTS_PER_SECOND,
    seconds: LOAD_SECONDS_MAX,
    request: () => ({
      path: "/services/model/vector",
      body: `{"entities":{"user_id":"u${random.integer(0, ENTITIES - 1)}"}}`,
    }),
    keptOneIn: Number.MAX_SAFE_INTEGER,
    until: stopping.signal,
    onAnswer: (dueMs, latencyMs) => {
      answers.dueMs[answers.count] = dueMs;
      answers.latencyMs[answers.count++] = latencyMs;
    },
  });
  done.catch(() => {});
  const within = (fromMs: number, toMs: number): Float64Array =>
    answers.latencyMs
      .subarray(0, answers.count)
      .filter((_, i) => answers.dueMs[i]! >= fromMs && answers.dueMs[i]! < toMs)
      .sort();
  return {
    p99: (fromMs: number, toMs: number): number => quantileOf(within(fromMs, toMs), 0.99),
    timeline(fromMs: number, toMs: number): string[] {
      const parts: string[] = [];
      for (let startMs = fromMs; startMs + TIMELINE_MS < toMs; startMs += TIMELINE_MS) {
        parts.push(quantileOf(within(startMs, startMs + TIMELINE_MS), 0.99).toPrecision(3));
      }
      return parts;
    },
    /** The highest median and the highest 99th percentile of two seconds, of which the last end at `toMs`. */
    worstWindow(fromMs: number, toMs: number): { readonly p50: number; readonly p99: number } {
      const starts = [Math.max(fromMs, toMs - WINDOW_MS)];
      for (let startMs = fromMs; startMs + WINDOW_MS < toMs; startMs += WINDOW_MS) starts.push(startMs);
      const windows = starts.map((startMs) => within(startMs, Math.min(toMs, startMs + WINDOW_MS)));
      const worst = (share: number): number =>
        Math.max(...windows.map((latenciesMs) => quantileOf(latenciesMs, share)));
      return { p50: worst(0.5), p99: worst(0.99) };
    },
    stop() {
      stopping.abort();
      return done;
    },
  };
}

/** A command that waits to be begun: to start it only then would hold up the load, whose memory the system copies for it. */
function prepareBackfill(dataDir: string) {
  const command = [process.execPath, COMMAND, "backfill", "other", "--data", dataDir, "--json"];
  const waiting = ["-c", 'read begin && exec "$@"', "sh", ...onCore(SERVER_CORE, command)];
  const child = spawn("sh", waiting, { cwd: dataDir, stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
  const ended = once(child, "close");
  return async (): Promise<{ readonly seconds: number }> => {
    child.stdin.write("begin\n");
    const [code] = await ended;
    if (code !== 0) throw new Error(`onefold backfill ended with ${String(code)}: ${said}`);
    return JSON.parse(said) as { readonly seconds: number };
  };
}
