/**
 * Case c: 30 windowed features of ten views at fixed rates of requests, while 5,000 events a second are pushed,
 * each folding into every view. With what share of a core the server took, all its threads, and how many requests it
 * answered before the load gave up waiting, 20 seconds behind the last. Beside it, round by round while nothing is pushed,
 * what a bare socket takes to answer the same requests with as many bytes.
 */
import { SeededRandom } from "../../src/testing/random.ts";
import type { Value } from "../../src/schema/value.ts";
import type { BenchCase } from "../report.ts";
import { cpuMicros } from "./cpu-time.ts";
import { EmptyServer } from "./empty-server.ts";
import { type KeptAnswer, type OpenLoad, type OpenLoadResult, runOpenLoop } from "./open-loop.ts";
import { checkReplies, type SeenReply } from "./oracle-check.ts";
import { startWriter } from "./payment-writer.ts";
import { accountKey } from "./payment-row.ts";
import { thirty } from "./payments.ts";
import { CHECKED_ONE_IN } from "./plain-asker.ts";
import type { BenchRun } from "./run.ts";
import { quantileOf, type World } from "./world.ts";

const RATES = [5000, 10_000] as const;
const EVENTS_PER_SECOND = 5000;
const QUANTILES = [
  ["p50", 0.5],
  ["p99", 0.99],
  ["p99.9", 0.999],
] as const;
const P99_MS_MAX = 5;

export async function readsUnderIngest(bench: BenchRun, world: World): Promise<void> {
  const { accounts, rounds, seconds } = bench.size;
  const figures = new Map<string, number[]>();
  const note = (name: string, value: number): void => {
    figures.set(name, [...(figures.get(name) ?? []), value]);
  };
  const seen: SeenReply[] = [];
  let replies = 0;
  const written = await bench.serving(world, async ({ httpPort: port, pid }) => {
    const writer = startWriter({ port, accounts, eventsPerSecond: EVENTS_PER_SECOND, seed: 3 });
    const { result: first } = await measureRate({ port, accounts, requestsPerSecond: RATES[0], seconds, seed: 4 });
    const empty = await EmptyServer.start(first.kept[0]!.answerBytes);
    for (let round = 0; round < rounds; round++) {
      for (const requestsPerSecond of RATES) {
        const seed = 5 + round * RATES.length;
        const [busyBefore, startMs] = [cpuMicros(pid), performance.now()];
        const { result, kept } = await measureRate({ port, accounts, requestsPerSecond, seconds, seed });
        const busy = cpuMicros(pid);
        if (busyBefore !== null && busy !== null) {
          const share = (busy - busyBefore) / 1000 / (performance.now() - startMs);
          note(`c-${requestsPerSecond / 1000}k-core`, 100 * share);
        }
        note(`c-${requestsPerSecond / 1000}k-answered`, (100 * result.answered) / result.latenciesMs.length);
        for (const [name, share] of QUANTILES) {
          note(`c-${requestsPerSecond / 1000}k-${name}`, quantileOf(result.latenciesMs, share));
        }
        note(`c-${requestsPerSecond / 1000}k-sender-late-p99`, result.latenessP99Ms);
        replies += result.answered;
        seen.push(...kept);
      }
      writer.pause();
      for (const requestsPerSecond of RATES) {
        const { request } = requestsOf({ accounts, requestsPerSecond, seconds, seed: round });
        const { latenciesMs } = await empty.ask({ requestsPerSecond, seconds, request });
        note(`c-${requestsPerSecond / 1000}k-empty-answer-p99`, quantileOf(latenciesMs, 0.99));
      }
      writer.resume();
    }
    empty.stop();
    return writer.stop();
  });
  for (const [name, measured] of figures) {
    const goal = name.endsWith("k-p99") ? { goal: P99_MS_MAX } : {};
    bench.report({ case: name, ...unitOf(name), rounds: measured, ...goal });
  }
  const ingested = written.events.length / written.seconds;
  bench.report({ case: "c-ingested", unit: "events/s", better: "higher", rounds: [ingested], goal: EVENTS_PER_SECOND });
  bench.reportChecked("c", await checkReplies(world, seen, written.events), replies);
}

function unitOf(name: string): Pick<BenchCase, "unit" | "better"> {
  if (name.endsWith("-core")) return { unit: "% of a core", better: "lower" };
  if (name.endsWith("-answered")) return { unit: "% of requests", better: "higher" };
  return { unit: "ms", better: "lower" };
}

interface Asked {
  readonly accounts: number;
  readonly requestsPerSecond: number;
  readonly seconds: number;
  readonly seed: number;
}

function requestsOf({ accounts, requestsPerSecond, seconds, seed }: Asked): {
  readonly keys: readonly string[];
  readonly request: OpenLoad["request"];
} {
  const random = new SeededRandom(seed);
  const keys = Array.from({ length: requestsPerSecond * seconds }, () => accountKey(random.integer(0, accounts - 1)));
  const path = `/services/${thirty.name}/vector`;
  return { keys, request: (n) => ({ path, body: `{"entities":{"account":"${keys[n]!}"}}` }) };
}

async function measureRate({ port, ...asked }: Asked & { readonly port: number }): Promise<{
  readonly result: OpenLoadResult;
  readonly kept: readonly SeenReply[];
}> {
  const { keys, request } = requestsOf(asked);
  const { requestsPerSecond, seconds } = asked;
  const result = await runOpenLoop({ port, requestsPerSecond, seconds, request, keptOneIn: CHECKED_ONE_IN });
  return { result, kept: result.kept.map((answer) => seenReply(answer, keys[answer.n]!)) };
}

function seenReply({ body, askedAt, heardAt }: KeptAnswer, key: string): SeenReply {
  const { features } = JSON.parse(body) as { readonly features: Readonly<Record<string, Value>> };
  return { key, service: thirty.name, values: Object.values(features), askedAt, heardAt };
}
