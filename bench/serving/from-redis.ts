/**
 * Case g: a server past the owner's machine, whose states are on a Redis: one vector a request, over the Redis protocol
 * and over HTTP, beside Redis GET of a stored blob in the same round; and latency at a fixed rate beside that of GET at
 * the same. 1% of the accounts change each second meanwhile, but while Redis and latencies are measured: they are pushed to
 * the owner, which copies them. It and the Redis with the states share the load's core; the Redis that is measured beside has the
 * server's to itself when it is its turn.
 *
 * Answers that stand are given again, so what is asked for the first time is a figure of its own: that waits for a round trip.
 */
import { Redis } from "ioredis";
import { setTimeout as sleep } from "node:timers/promises";
import { openPlatform } from "../../src/platform.ts";
import { openOnlineServer } from "../../src/platform/online/online-server.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { LOAD_CORE, yieldingCore } from "../cores.ts";
import { AgeWatch } from "./age-watch.ts";
import { cpuMicros } from "./cpu-time.ts";
import { runOpenLoop } from "./open-loop.ts";
import { checkReplies, type SeenReply } from "./oracle-check.ts";
import { accountKey } from "./payment-row.ts";
import { startWriterThread } from "./payment-writer.ts";
import { POINT_DAYS, pointDefinitions, pointModel } from "./payments.ts";
import { askBeside, CHECKED_ONE_IN, openAsker } from "./plain-asker.ts";
import { CONNECTIONS, httpLoad, type PointLoad, respLoads } from "./point-loads.ts";
import { openRedisWithBlobs, redisLoad, startRedis } from "./redis-load.ts";
import type { BenchRun } from "./run.ts";
import { startServer } from "./server.ts";
import { quantileOf, removeWorld, type World } from "./world.ts";

const BLOB_BYTES = 200;
/** Of the latency. */
const REQUESTS_PER_SECOND = 1000;
const CHANGED_SHARE = 0.01;
/** Before anything is measured each load asks so many times as there are accounts. */
const WARM_UP_SHARE = 3;
/** What a load of unknown rate is taken for. */
const SLOW_RATE = 8000;
/** For what the writer left to do. */
const SETTLE_MS = 300;
/** About what is answered a second, by the depth of the pipeline. */
const REDIS_RATES: Readonly<Record<number, number>> = { 1: 40_000, 32: 400_000 };
const QUANTILES = [
  ["p50", 0.5],
  ["p99", 0.99],
] as const;

export async function readsFromRedis(bench: BenchRun): Promise<void> {
  const { accounts, rounds, seconds } = bench.size;
  const world = await bench.preparePayments("online", pointDefinitions, POINT_DAYS);
  const states = await startRedis(LOAD_CORE);
  const online = `redis://127.0.0.1:${states.port}`;
  await publish(world, online);
  const blobs = await openRedisWithBlobs(accounts, BLOB_BYTES);
  const random = new SeededRandom(7);
  const figures = new Map<string, number[]>();
  const note = (name: string, value: number): void => void figures.set(name, [...(figures.get(name) ?? []), value]);
  const noteCpu = (name: string, before: number | null, after: number | null, requests: number): void => {
    if (before !== null && after !== null) note(`${name} cpu`, (after - before) / requests);
  };
  const seen: SeenReply[] = [];
  let replies = 0;
  const owner = await startServer(world.dataDir, { publish: online, core: LOAD_CORE });
  const eventsPerSecond = accounts * CHANGED_SHARE;
  const writer = startWriterThread({ port: owner.httpPort, accounts, eventsPerSecond, seed: 1 });
  await bench.serving(
    world,
    async (server) => {
      const asker = openAsker(server, pointModel.name);
      const ages = new AgeWatch(server.httpPort, pointModel.name, { account: accountKey(0) });
      const loads = [...respLoads(server, asker, accounts), httpLoad(server, asker, accounts)];
      const rates = new Map<PointLoad, number>();
      const warmUp = async (load: PointLoad, share: number): Promise<number> =>
        (await load.run(share * accounts, (share * accounts) / SLOW_RATE)).requestsPerSecond;
      note("cold", await warmUp(loads[0]!, 1));
      for (const load of loads) rates.set(load, await warmUp(load, WARM_UP_SHARE));
      for (let round = 0; round < rounds; round++) {
        writer.pause();
        await sleep(SETTLE_MS);
        for (const pipeline of [1, 32]) {
          const requests = REDIS_RATES[pipeline]! * seconds;
          const shape = { connections: CONNECTIONS, pipeline, requests, randomBelow: accounts };
          const before = cpuMicros(blobs.pid);
          note(`redis ${pipeline}`, await redisLoad({ port: blobs.port, command: blobs.get, ...shape }));
          noteCpu(`redis ${pipeline}`, before, cpuMicros(blobs.pid), requests);
        }
        writer.resume();
        for (const load of loads) {
          const rate = rates.get(load)!;
          const before = cpuMicros(server.pid);
          const running = load.run(Math.round(rate * seconds), seconds).then((result) => {
            note(load.name, result.requestsPerSecond);
            noteCpu(load.name, before, cpuMicros(server.pid), result.replies);
            return result.replies;
          });
          const asked = { service: pointModel.name, accounts, random, ask: load.ask };
          const heard = await askBeside({ ...asked, checksPerSecond: rate / CHECKED_ONE_IN, load: running });
          for (const one of heard) seen.push({ ...one, lateMicros: ages.largest(one.askedAt, one.heardAt) });
          replies += await running;
        }
        writer.pause();
        await sleep(SETTLE_MS);
        // The Redis with the states is on this core: each request would wait for what asks for the next ones, and for the owner.
        const [latencies, beside] = await yieldingCore(async () => [
          await vectorLatencies(server.httpPort, accounts, seconds, random),
          await getLatencies(blobs.port, accounts, seconds, random),
        ]);
        for (const [name, share] of QUANTILES) {
          note(`latency ${name}`, quantileOf(latencies, share));
          note(`redis latency ${name}`, quantileOf(beside, share));
        }
      }
      asker.close();
      await ages.stop();
      for (const [name, share] of QUANTILES) {
        const rounds = [quantileOf(ages.agesMs, share)];
        bench.report({ case: `g-snapshot-age-${name}`, unit: "ms", better: "lower", rounds });
      }
      bench.report({ case: "g-resp-unpipelined-cold", unit: "req/s", better: "higher", rounds: figures.get("cold")! });
      for (const { name, pipeline } of loads) {
        bench.report({
          case: name.replace(/^[ab]-/, "g-"),
          unit: "req/s",
          better: "higher",
          rounds: figures.get(name)!,
          reference: { name: "redis-get", rounds: figures.get(`redis ${pipeline}`)! },
        });
        const cpu = figures.get(`${name} cpu`);
        if (cpu === undefined) continue;
        bench.report({
          case: `${name.replace(/^[ab]-/, "g-")}-cpu`,
          unit: "us of CPU a request",
          better: "lower",
          rounds: cpu,
          reference: { name: "redis-get", rounds: figures.get(`redis ${pipeline} cpu`)! },
        });
      }
      for (const [name] of QUANTILES) {
        bench.report({
          case: `g-1k-${name}`,
          unit: "ms",
          better: "lower",
          rounds: figures.get(`latency ${name}`)!,
          reference: { name: "redis-get", rounds: figures.get(`redis latency ${name}`)! },
        });
      }
    },
    { online },
  );
  const { events } = await writer.stop();
  await owner.stop();
  await Promise.all([states.close(), blobs.close()]);
  bench.reportChecked("g", await checkReplies(world, seen, events), replies);
  await removeWorld(world);
}

/** Copies a world's states to Redis; resolves once a server could answer from there. */
async function publish({ dataDir }: World, online: string): Promise<void> {
  const owner = await openPlatform({ dataDir, publish: online });
  const server = await openOnlineServer({ dataDir, online });
  while (
    !(await server.request("GET", "/ready").then(
      () => true,
      () => false,
    ))
  )
    await sleep(50);
  await server.close();
  await owner.close();
}

async function vectorLatencies(
  port: number,
  accounts: number,
  seconds: number,
  random: SeededRandom,
): Promise<Float64Array> {
  const path = `/services/${pointModel.name}/vector`;
  const request = (): { path: string; body: string } => {
    return { path, body: `{"entities":{"account":"${accountKey(random.integer(0, accounts - 1))}"}}` };
  };
  const shape = { requestsPerSecond: REQUESTS_PER_SECOND, seconds, keptOneIn: Number.POSITIVE_INFINITY };
  return (await runOpenLoop({ port, request, ...shape })).latenciesMs;
}

/** As `runOpenLoop`, of GET: from when each was due. */
async function getLatencies(
  port: number,
  accounts: number,
  seconds: number,
  random: SeededRandom,
): Promise<Float64Array> {
  const client = new Redis({ port, host: "127.0.0.1", enableReadyCheck: false, disableClientInfo: true });
  await client.ping();
  const latencies = new Float64Array(REQUESTS_PER_SECOND * seconds);
  const asked: Promise<void>[] = [];
  const startMs = performance.now() + 10;
  for (let n = 0; n < latencies.length; n++) {
    const dueMs = startMs + (n * 1000) / REQUESTS_PER_SECOND;
    while (performance.now() < dueMs) await new Promise(setImmediate);
    const key = `k${String(random.integer(0, accounts - 1)).padStart(12, "0")}`;
    asked.push(client.get(key).then(() => void (latencies[n] = performance.now() - dueMs)));
  }
  await Promise.all(asked);
  client.disconnect();
  return latencies.sort();
}
