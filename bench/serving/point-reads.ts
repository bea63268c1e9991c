/**
 * Cases a and b: one vector a request, over the Redis protocol and over HTTP, each beside Redis GET of a stored
 * blob in the same round. 1% of the accounts change each second meanwhile, but while Redis is measured: then
 * our server has nothing to do, and Redis the core to itself.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SeededRandom } from "../../src/testing/random.ts";
import { cpuMicros } from "./cpu-time.ts";
import { checkReplies, type SeenReply } from "./oracle-check.ts";
import { type PaymentWriter, startWriterThread } from "./payment-writer.ts";
import { POINT_DAYS, pointDefinitions, pointModel } from "./payments.ts";
import { askBeside, CHECKED_ONE_IN, openAsker } from "./plain-asker.ts";
import { CONNECTIONS, httpLoad, type PointLoad, respLoads } from "./point-loads.ts";
import { openRedisWithBlobs, redisLoad, type RedisWithBlobs } from "./redis-load.ts";
import type { BenchRun } from "./run.ts";
import type { RunningServer } from "./server.ts";
import { removeWorld } from "./world.ts";

const BLOB_BYTES = 200;
const CHANGED_SHARE = 0.01;
/**
 * Before anything is measured each load asks so many times as there are accounts, so that 19 of 20 accounts were asked
 * for; how long the first of all takes, of a server that has just started, is a figure of its own.
 */
const WARM_UP_SHARE = 3;
/** What a load of unknown rate is taken for. */
const SLOW_RATE = 15_000;
/** About what Redis answers a second, by the depth of the pipeline. */
const REDIS_RATES: Readonly<Record<number, number>> = { 1: 40_000, 32: 400_000 };
/** For what the writer left to do. */
const SETTLE_MS = 200;

export interface PointCases {
  readonly resp: boolean;
  readonly http: boolean;
}

export async function pointReads(bench: BenchRun, { resp, http }: PointCases): Promise<void> {
  const { accounts } = bench.size;
  const world = await bench.preparePayments("point", pointDefinitions, POINT_DAYS);
  bench.reportBuckets("point", world);
  const redis = await openRedisWithBlobs(accounts, BLOB_BYTES);
  const { measured, written } = await bench.serving(world, async (server) => {
    const asker = openAsker(server, pointModel.name);
    const loads = [
      ...(resp ? respLoads(server, asker, accounts) : []),
      ...(http ? [httpLoad(server, asker, accounts)] : []),
    ];
    const eventsPerSecond = accounts * CHANGED_SHARE;
    const writer = startWriterThread({ port: server.httpPort, accounts, eventsPerSecond, seed: 1 });
    try {
      const measured = await measureLoads(bench, loads, { server, redis, writer });
      return { measured, written: await writer.stop() };
    } finally {
      asker.close();
    }
  });
  await redis.close();
  const checked = await checkReplies(world, measured.seen, written.events);
  await removeWorld(world);
  reportLoads(bench, measured);
  bench.report({
    case: "point-changed",
    unit: "% of accounts a second",
    better: "higher",
    rounds: [(100 * written.events.length) / written.seconds / accounts],
    goal: 0.99,
  });
  bench.reportChecked("point", checked, measured.replies);
}

/** A server under one load: a figure a round. */
interface Rounds {
  readonly requestsPerSecond: number[];
  /** Processor time of the server, with whatever else it did meanwhile; empty where the system does not say. */
  readonly cpuMicrosPerRequest: number[];
}

interface Measured {
  readonly loads: ReadonlyMap<PointLoad, Rounds>;
  /** By the depth of the pipeline. */
  readonly redis: ReadonlyMap<number, Rounds>;
  /** Requests a second when all is asked for the first time. */
  readonly cold: number;
  /** Of all loads together. */
  readonly replies: number;
  readonly seen: readonly SeenReply[];
}

interface Measuring {
  readonly server: RunningServer;
  readonly redis: RedisWithBlobs;
  readonly writer: PaymentWriter;
}

async function measureLoads(
  { size }: BenchRun,
  loads: readonly PointLoad[],
  { server, redis, writer }: Measuring,
): Promise<Measured> {
  const { seconds, accounts } = size;
  const random = new SeededRandom(2);
  const rates = new Map<PointLoad, number>();
  let cold: number | null = null;
  // Pipelines first: what they are answered is kept for those that ask one at a time, too.
  for (const load of [...loads].sort((a, b) => b.pipeline - a.pipeline)) {
    const warmUp = (share: number): ReturnType<PointLoad["run"]> =>
      load.run(share * accounts, (share * accounts) / SLOW_RATE);
    cold ??= (await warmUp(1)).requestsPerSecond;
    rates.set(load, (await warmUp(WARM_UP_SHARE)).requestsPerSecond);
  }
  const rounds = new Map(loads.map((load) => [load, noRounds()]));
  const redisRounds = new Map(loads.map(({ pipeline }) => [pipeline, noRounds()]));
  const seen: SeenReply[] = [];
  let replies = 0;
  for (let round = 0; round < size.rounds; round++) {
    writer.pause();
    await sleep(SETTLE_MS);
    for (const [pipeline, measured] of redisRounds) {
      const requests = REDIS_RATES[pipeline]! * seconds;
      const shape = { connections: CONNECTIONS, pipeline, requests, randomBelow: accounts };
      await measureInto(measured, redis.pid, async () => {
        return {
          requestsPerSecond: await redisLoad({ port: redis.port, command: redis.get, ...shape }),
          replies: requests,
        };
      });
    }
    writer.resume();
    for (const [load, measured] of rounds) {
      const rate = rates.get(load)!;
      const running = measureInto(measured, server.pid, () => load.run(Math.round(rate * seconds), seconds));
      const asked = { service: pointModel.name, accounts, random, ask: load.ask };
      seen.push(...(await askBeside({ ...asked, checksPerSecond: rate / CHECKED_ONE_IN, load: running })));
      replies += await running;
    }
  }
  return { loads: rounds, redis: redisRounds, cold: cold!, replies, seen };
}

function noRounds(): Rounds {
  return { requestsPerSecond: [], cpuMicrosPerRequest: [] };
}

/** Resolves to the number of replies. */
async function measureInto(rounds: Rounds, pid: number, run: () => ReturnType<PointLoad["run"]>): Promise<number> {
  const before = cpuMicros(pid);
  const { requestsPerSecond, replies } = await run();
  const after = cpuMicros(pid);
  rounds.requestsPerSecond.push(requestsPerSecond);
  if (before !== null && after !== null) rounds.cpuMicrosPerRequest.push((after - before) / replies);
  return replies;
}

function reportLoads(bench: BenchRun, { loads, redis, cold }: Measured): void {
  for (const [{ name, pipeline }, { requestsPerSecond, cpuMicrosPerRequest }] of loads) {
    const beside = redis.get(pipeline)!;
    const shared = { case: name, unit: "req/s", better: "higher", rounds: requestsPerSecond } as const;
    const reference = { name: "redis-get", rounds: beside.requestsPerSecond };
    if (pipeline === 1) bench.report({ ...shared, reference, goal: 0.6 });
    else bench.report({ ...shared, goal: 100_000 });
    if (cpuMicrosPerRequest.length === 0) continue;
    bench.report({
      case: `${name}-cpu`,
      unit: "us of CPU a request",
      better: "lower",
      rounds: cpuMicrosPerRequest,
      reference: { name: "redis-get", rounds: beside.cpuMicrosPerRequest },
    });
  }
  const [first] = [...loads.keys()].sort((a, b) => b.pipeline - a.pipeline);
  bench.report({ case: `${first!.name}-cold`, unit: "req/s", better: "higher", rounds: [cold] });
  const pipelined = redis.get(32)?.requestsPerSecond;
  if (pipelined === undefined) return;
  bench.report({ case: "a-redis-get-pipelined-32", unit: "req/s", better: "higher", rounds: pipelined });
}
