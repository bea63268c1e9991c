/**
 * Cases a and b: one vector a request, over the Redis protocol and over HTTP, each beside Redis GET of a stored
 * blob in the same round. 1% of the accounts change each second meanwhile, but while Redis is measured: then
 * our server has nothing to do, and Redis the core to itself.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SeededRandom } from "../../src/testing/random.ts";
import { checkReplies, type SeenReply } from "./oracle-check.ts";
import { PaymentWriter } from "./payment-writer.ts";
import { POINT_DAYS, pointDefinitions, pointModel } from "./payments.ts";
import { askBeside, CHECKED_ONE_IN, openAsker } from "./plain-asker.ts";
import { CONNECTIONS, httpLoad, type PointLoad, respLoads } from "./point-loads.ts";
import { openRedisWithBlobs, redisLoad, type RedisWithBlobs } from "./redis-load.ts";
import type { BenchRun } from "./run.ts";
import { removeWorld } from "./world.ts";

const BLOB_BYTES = 200;
const CHANGED_SHARE = 0.01;
/** Of the requests that estimate a rate, so that the measured ones take the time they should. */
const WARM_UP_REQUESTS = 20_000;
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
    const writer = PaymentWriter.start({ port: server.httpPort, accounts, eventsPerSecond, seed: 1 });
    const measured = await measureLoads(bench, loads, redis, writer);
    asker.close();
    return { measured, written: await writer.stop() };
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

interface Measured {
  /** Requests a second by load, and Redis' by the depth of the pipeline: one a round. */
  readonly rounds: ReadonlyMap<PointLoad, number[]>;
  readonly redisRounds: ReadonlyMap<number, number[]>;
  /** Of all loads together. */
  readonly replies: number;
  readonly seen: readonly SeenReply[];
}

async function measureLoads(
  { size }: BenchRun,
  loads: readonly PointLoad[],
  redis: RedisWithBlobs,
  writer: PaymentWriter,
): Promise<Measured> {
  const { seconds, accounts } = size;
  const random = new SeededRandom(2);
  const rates = new Map<PointLoad, number>();
  for (const load of loads) rates.set(load, (await load.run(WARM_UP_REQUESTS, 1)).requestsPerSecond);
  const rounds = new Map(loads.map((load) => [load, [] as number[]]));
  const redisRounds = new Map(loads.map(({ pipeline }) => [pipeline, [] as number[]]));
  const seen: SeenReply[] = [];
  let replies = 0;
  for (let round = 0; round < size.rounds; round++) {
    writer.pause();
    await sleep(SETTLE_MS);
    for (const [pipeline, measured] of redisRounds) {
      const requests = REDIS_RATES[pipeline]! * seconds;
      const shape = { connections: CONNECTIONS, pipeline, requests, randomBelow: accounts };
      measured.push(await redisLoad({ port: redis.port, command: redis.get, ...shape }));
    }
    writer.resume();
    for (const [load, measured] of rounds) {
      const rate = rates.get(load)!;
      const running = load.run(Math.round(rate * seconds), seconds);
      const asked = { service: pointModel.name, accounts, random, ask: load.ask };
      const count = running.then((result) => result.replies);
      seen.push(...(await askBeside({ ...asked, checksPerSecond: rate / CHECKED_ONE_IN, load: count })));
      measured.push((await running).requestsPerSecond);
      replies += await count;
    }
  }
  return { rounds, redisRounds, replies, seen };
}

function reportLoads(bench: BenchRun, { rounds, redisRounds }: Measured): void {
  for (const [{ name, pipeline }, measured] of rounds) {
    const shared = { case: name, unit: "req/s", better: "higher", rounds: measured } as const;
    const reference = { name: "redis-get", rounds: redisRounds.get(pipeline)! };
    if (pipeline === 1) bench.report({ ...shared, reference, goal: 0.6 });
    else bench.report({ ...shared, goal: 100_000 });
  }
  const pipelined = redisRounds.get(32);
  if (pipelined === undefined) return;
  bench.report({ case: "a-redis-get-pipelined-32", unit: "req/s", better: "higher", rounds: pipelined });
}
