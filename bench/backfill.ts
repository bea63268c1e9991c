/**
 * Backfill: what serving loses while a view is computed anew from history beside it, and how fast that goes.
 * `npm run bench -- backfill [--json] [--events N] [--entities N] [--seconds N] [--rounds N]`.
 *
 * A server with two views on one core, and requests for both at a fixed rate, open loop, from another core. Each round reads
 * the latencies with nothing else going on and then while `onefold backfill`, on the server's core, has the server compute
 * one of them anew; the two are compared.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openDuckDb } from "../src/offline-store/duckdb.ts";
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
  },
});
const [EVENTS, ENTITIES, SECONDS, ROUNDS] = [options.events, options.entities, options.seconds, options.rounds].map(
  Number,
) as [number, number, number, number];
const REQUESTS_PER_SECOND = 1000;
const P99_MS_MAX = 5;
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
  // What asks spins: on the server's core it would take half of it.
  moveToCore(LOAD_CORE);
  const server = await startServer(dataDir);
  const quiet = { p50: [] as number[], p99: [] as number[] };
  const busy = { p50: [] as number[], p99: [] as number[] };
  const rates: number[] = [];
  await latencies(server.httpPort, 1, SECONDS);
  for (let round = 0; round < ROUNDS; round++) {
    const before = await latencies(server.httpPort, 2 * round, SECONDS);
    quiet.p50.push(before.p50);
    quiet.p99.push(before.p99);
    const backfill = startBackfill(dataDir);
    const during: { p50: number; p99: number }[] = [];
    while (!backfill.state.isDone) during.push(await latencies(server.httpPort, 2 * round + 1, 2));
    await backfill.done;
    busy.p50.push(Math.max(...during.map(({ p50 }) => p50)));
    busy.p99.push(Math.max(...during.map(({ p99 }) => p99)));
    rates.push(backfill.state.seconds);
  }
  await server.stop();
  report({ bench: "backfill", case: "seconds", unit: "s", better: "lower", rounds: rates });
  const perSecond = rates.map((seconds) => EVENTS / seconds);
  report({ bench: "backfill", case: "events", unit: "events/s", better: "higher", rounds: perSecond });
  report({ bench: "backfill", case: "p99-goal", unit: "ms", better: "lower", rounds: busy.p99, goal: P99_MS_MAX });
  return [
    ["p50-of-worst-2s", busy.p50, quiet.p50],
    ["p99-of-worst-2s", busy.p99, quiet.p99],
  ];
}

async function latencies(port: number, seed: number, seconds: number): Promise<{ p50: number; p99: number }> {
  const random = new SeededRandom(seed);
  const { latenciesMs } = await runOpenLoop({
    port,
    requestsPerSecond: REQUESTS_PER_SECOND,
    seconds,
    request: () => ({
      path: "/services/model/vector",
      body: `{"entities":{"user_id":"u${random.integer(0, ENTITIES - 1)}"}}`,
    }),
    keptOneIn: Number.MAX_SAFE_INTEGER,
  });
  return { p50: quantileOf(latenciesMs, 0.5), p99: quantileOf(latenciesMs, 0.99) };
}

function startBackfill(dataDir: string) {
  const state = { isDone: false, seconds: 0 };
  const command = [process.execPath, COMMAND, "backfill", "other", "--data", dataDir, "--json"];
  const [program, ...args] = onCore(SERVER_CORE, command);
  const child = spawn(program!, args, { cwd: dataDir, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
  const done = once(child, "close").then(([code]) => {
    state.isDone = true;
    if (code !== 0) throw new Error(`onefold backfill ended with ${String(code)}: ${said}`);
    state.seconds = (JSON.parse(said) as { seconds: number }).seconds;
  });
  done.catch(() => {});
  return { state, done };
}
