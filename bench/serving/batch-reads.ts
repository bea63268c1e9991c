/**
 * Case d: 50 features of each of 100 accounts a request. Latency at 200 requests a second over HTTP, and how many
 * accounts a second one core answers: over HTTP, and over the Redis protocol as text and packed. Beside the latency, round by
 * round, what a bare socket takes to answer the same requests with as many bytes.
 */
import { SeededRandom } from "../../src/testing/random.ts";
import type { Value } from "../../src/schema/value.ts";
import { LOAD_CORE, onCore } from "../cores.ts";
import { runWrkScript } from "../wrk.ts";
import { cpuMicros } from "./cpu-time.ts";
import { EmptyServer } from "./empty-server.ts";
import { type OpenLoad, type OpenLoadResult, runOpenLoop } from "./open-loop.ts";
import { checkReplies, type SeenReply } from "./oracle-check.ts";
import { accountKey, RANDOM_ACCOUNT } from "./payment-row.ts";
import { fifty } from "./payments.ts";
import { CHECKED_ONE_IN } from "./plain-asker.ts";
import { redisLoad } from "./redis-load.ts";
import type { BenchRun } from "./run.ts";
import type { RunningServer } from "./server.ts";
import { quantileOf, type World } from "./world.ts";

const ACCOUNTS_PER_REQUEST = 100;
const REQUESTS_PER_SECOND = 200;
const P99_MS_MAX = 3;
const ACCOUNTS_PER_SECOND_MIN = 100_000;
const CONNECTIONS = 4;
/** Accounts a second of warming up: each load asks for about four times as many as there are. */
const WARM_UP_RATE = 5000;
const PATH = `/services/${fifty.name}/vectors`;

export async function batchReads(bench: BenchRun, world: World, options: { readonly tools: boolean }): Promise<void> {
  const { rounds, seconds, accounts } = bench.size;
  const latencies: Record<"p50" | "p99" | "late" | "empty", number[]> = { p50: [], p99: [], late: [], empty: [] };
  const seen: SeenReply[] = [];
  let replies = 0;
  let cold = 0;
  const throughputs = options.tools ? [httpRate, fmgetRate, packedRate] : [];
  const rates = throughputs.map((): number[] => []);
  const cpus: number[] = [];
  await bench.serving(world, async (server) => {
    // Each account is asked for before anything is measured; how fast the first time, is a figure of its own.
    const startMs = performance.now();
    await askAllOverHttp(server, accounts);
    cold = (1000 * accounts) / (performance.now() - startMs);
    for (const rate of throughputs) await rate(server, accounts, accounts / WARM_UP_RATE);
    const { answerBytes } = await measureLatency(server.httpPort, accounts, 1, rounds);
    const empty = await EmptyServer.start(answerBytes);
    for (let round = 0; round < rounds; round++) {
      const before = cpuMicros(server.pid);
      const measured = await measureLatency(server.httpPort, accounts, seconds, round);
      const { latenciesMs, latenessP99Ms, answered, kept } = measured;
      const after = cpuMicros(server.pid);
      if (before !== null && after !== null) cpus.push((after - before) / answered);
      latencies.p50.push(quantileOf(latenciesMs, 0.5));
      latencies.p99.push(quantileOf(latenciesMs, 0.99));
      latencies.late.push(latenessP99Ms);
      replies += answered;
      seen.push(...kept);
      const { request } = batchesOf(accounts, seconds, round);
      const beside = await empty.ask({ requestsPerSecond: REQUESTS_PER_SECOND, seconds, request });
      latencies.empty.push(quantileOf(beside.latenciesMs, 0.99));
      for (const [i, rate] of throughputs.entries()) rates[i]!.push(await rate(server, accounts, seconds));
    }
    empty.stop();
  });
  bench.report({ case: "d-p50", unit: "ms", better: "lower", rounds: latencies.p50 });
  bench.report({ case: "d-p99", unit: "ms", better: "lower", rounds: latencies.p99, goal: P99_MS_MAX });
  bench.report({ case: "d-empty-answer-p99", unit: "ms", better: "lower", rounds: latencies.empty });
  bench.report({ case: "d-sender-late-p99", unit: "ms", better: "lower", rounds: latencies.late });
  if (cpus.length > 0) bench.report({ case: "d-cpu", unit: "us of CPU a request", better: "lower", rounds: cpus });
  bench.report({ case: "d-http-rows-cold", unit: "accounts/s", better: "higher", rounds: [cold] });
  for (const [i, name] of ["d-http-rows", "d-resp-rows", "d-resp-packed-rows"].slice(0, rates.length).entries()) {
    const shared = { unit: "accounts/s", better: "higher", goal: ACCOUNTS_PER_SECOND_MIN } as const;
    bench.report({ case: name, rounds: rates[i]!, ...shared });
  }
  bench.reportChecked("d", await checkReplies(world, seen, []), replies * ACCOUNTS_PER_REQUEST);
}

function batchesOf(
  accounts: number,
  seconds: number,
  seed: number,
): { readonly batches: readonly (readonly string[])[]; readonly request: OpenLoad["request"] } {
  const random = new SeededRandom(seed);
  const batches = Array.from({ length: REQUESTS_PER_SECOND * seconds }, () =>
    Array.from({ length: ACCOUNTS_PER_REQUEST }, () => accountKey(random.integer(0, accounts - 1))),
  );
  const body = (keys: readonly string[]): string => {
    return `{"entities":[${keys.map((key) => `{"account":"${key}"}`).join(",")}]}`;
  };
  return { batches, request: (n) => ({ path: PATH, body: body(batches[n]!) }) };
}

async function measureLatency(
  port: number,
  accounts: number,
  seconds: number,
  seed: number,
): Promise<Omit<OpenLoadResult, "kept"> & { readonly kept: readonly SeenReply[]; readonly answerBytes: number }> {
  const { batches, request } = batchesOf(accounts, seconds, seed);
  const shape = { requestsPerSecond: REQUESTS_PER_SECOND, seconds, keptOneIn: CHECKED_ONE_IN };
  const result = await runOpenLoop({ port, request, ...shape });
  const kept = result.kept.flatMap(({ n, body, askedAt, heardAt }) => {
    const { results } = JSON.parse(body) as { readonly results: { features: Readonly<Record<string, Value>> }[] };
    return results.map(({ features }, i): SeenReply => {
      return { key: batches[n]![i]!, service: fifty.name, values: Object.values(features), askedAt, heardAt };
    });
  });
  return { ...result, kept, answerBytes: result.kept[0]!.answerBytes };
}

/** Every account once, in their order. */
async function askAllOverHttp({ httpPort }: RunningServer, accounts: number): Promise<void> {
  for (let from = 0; from < accounts; from += ACCOUNTS_PER_REQUEST) {
    const count = Math.min(ACCOUNTS_PER_REQUEST, accounts - from);
    const entities = Array.from({ length: count }, (_, i) => ({ account: accountKey(from + i) }));
    const headers = { "content-type": "application/json" };
    const url = `http://127.0.0.1:${httpPort}${PATH}`;
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify({ entities }) });
    if (!response.ok) throw new Error(`${PATH}: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }
}

/** Accounts a second. */
async function httpRate({ httpPort: port }: RunningServer, accounts: number, wantedSeconds: number): Promise<number> {
  const before = '{"account":"a';
  const after = '"}';
  const length = (before.length + 12 + after.length + 1) * ACCOUNTS_PER_REQUEST - 1 + '{"entities":[]}'.length;
  const head = `POST ${PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
  const script = `
local head, before, after = ${JSON.stringify(`${head}{"entities":[`)}, ${JSON.stringify(before)}, ${JSON.stringify(after)}
math.randomseed(os.time())
request = function()
  local rows = {}
  for i = 1, ${ACCOUNTS_PER_REQUEST} do
    rows[i] = before .. string.format("%012d", math.random(0, ${accounts - 1})) .. after
  end
  return head .. table.concat(rows, ",") .. "]}"
end
`;
  const seconds = Math.max(1, Math.round(wantedSeconds));
  const under = onCore(LOAD_CORE, []);
  const rate = await runWrkScript({ port, connections: CONNECTIONS, seconds, under, script });
  return rate * ACCOUNTS_PER_REQUEST;
}

/** Accounts a second, 100 in a command. */
async function fmgetRate({ respPort: port }: RunningServer, accounts: number, seconds: number): Promise<number> {
  const keys = Array.from({ length: ACCOUNTS_PER_REQUEST }, () => RANDOM_ACCOUNT);
  const command = ["FMGET", fifty.name, String(ACCOUNTS_PER_REQUEST), ...keys];
  const requests = Math.ceil(200 * seconds);
  const shape = { connections: CONNECTIONS, pipeline: 1, requests, randomBelow: accounts };
  return ACCOUNTS_PER_REQUEST * (await redisLoad({ port, command, ...shape }));
}

/** Accounts a second, 100 commands in a pipeline. */
function packedRate({ respPort: port }: RunningServer, accounts: number, seconds: number): Promise<number> {
  const command = ["FGETPACKED", fifty.name, RANDOM_ACCOUNT];
  const requests = Math.ceil(20_000 * seconds);
  const shape = { connections: CONNECTIONS, pipeline: ACCOUNTS_PER_REQUEST, requests, randomBelow: accounts };
  return redisLoad({ port, command, ...shape });
}
