/**
 * The HTTP door: vectors of 20 features from three views, in process, and over HTTP with 32 keep-alive
 * connections beside what answers a request with the least work, in the same run: `node:http`, bare `node:net`,
 * Redis. The whole server under its whole workload is the benchmark `serving`.
 *
 * The rounds of all of them are interleaved, so that other work on the machine meets them alike. Load comes
 * from wrk where it is installed, else from a thread of this process.
 */
import { Worker } from "node:worker_threads";
import { createFeatureReader } from "../src/serve/feature-reader.ts";
import { type HttpOptions, openHttpServer } from "../src/serve/http.ts";
import type { Load, LoadResult } from "./http-load.ts";
import { openBareDoor, openBareNet, openBehindReadsNet, openEmptyHttp, openRedis } from "./reference-servers.ts";
import { report } from "./report.ts";
import { openServingPorts, servedKeys } from "./serving-ports.ts";
import { isInstalled, runWrk } from "./wrk.ts";

const ROUNDS = 5;
const SECONDS = 2;
const CONNECTIONS = 32;
const REDIS_REQUESTS = 60_000;
const SERVICE = "delay_model";
const KEPT_BYTES = 16 * 1024 * 1024;

const ports = await openServingPorts();
const reader = createFeatureReader(ports);

const passed = [
  report({
    bench: "http",
    case: "in-process",
    unit: "vectors/s",
    better: "higher",
    rounds: measureInProcess(),
    goal: 50_000,
  }),
  ...(await measureHttp()),
];
process.exitCode = passed.every(Boolean) ? 0 : 1;

function measureInProcess(): number[] {
  const run = (vectors: number): number => {
    const startMs = performance.now();
    for (let i = 0; i < vectors; i++) reader.vector(SERVICE, servedKeys[i % servedKeys.length]);
    return (vectors / (performance.now() - startMs)) * 1000;
  };
  run(20_000);
  return Array.from({ length: ROUNDS }, () => run(50_000));
}

async function measureHttp(): Promise<boolean[]> {
  const open = (options: HttpOptions) => openHttpServer(reader, ports, { port: 0, ...options });
  const fast = await open({});
  const ordinary = await open({ hotPath: false });
  const keeping = createFeatureReader({ ...ports, keptVectorsBytesMax: KEPT_BYTES });
  const kept = await openHttpServer(keeping, ports, { port: 0 });
  const emptyHttp = await openEmptyHttp();
  const answer = await answerOf(fast.url);
  const bareNet = await openBareNet(answer);
  const behindReads = await openBehindReadsNet(answer);
  const bareDoor = await openBareDoor("/services/{name}/vector", answer.slice(answer.indexOf("\r\n\r\n") + 4));
  const redis = (await isInstalled("redis-benchmark")) ? await openRedis() : null;
  if (redis === null) console.error("redis-server is not installed: the case beside it is left out");
  const worker = new Worker(new URL("./http-load.mjs", import.meta.url));
  const inThread = (load: Load): Promise<LoadResult> =>
    new Promise((resolve) => {
      worker.once("message", resolve);
      worker.postMessage(load);
    });
  const hasWrk = await isInstalled("wrk");
  const requests = servedKeys.map(requestText);
  const rate = async (port: number, seconds = SECONDS): Promise<number> => {
    const load: Load = { port, requests, connections: CONNECTIONS, seconds };
    return hasWrk ? runWrk(load) : (await inThread(load)).requestsPerSecond;
  };

  const servers = { fast, kept, ordinary, emptyHttp, bareNet, behindReads, bareDoor };
  for (const { port } of Object.values(servers)) await rate(port, 1);
  const rates: Record<keyof typeof servers | "redis", number[]> = {
    fast: [],
    kept: [],
    ordinary: [],
    emptyHttp: [],
    bareNet: [],
    behindReads: [],
    bareDoor: [],
    redis: [],
  };
  const latencies: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of Object.keys(servers) as (keyof typeof servers)[]) {
      rates[name].push(await rate(servers[name].port));
    }
    if (redis !== null) rates.redis.push(await redis.get(CONNECTIONS, REDIS_REQUESTS, answer.length));
    latencies.push((await inThread({ port: fast.port, requests, connections: 1, seconds: SECONDS })).p99Ms);
  }
  await worker.terminate();
  for (const server of Object.values(servers)) await server.close();
  redis?.close();

  const shared = { bench: "http", unit: "req/s", better: "higher" } as const;
  const beside = (name: string, rounds: readonly number[]) => ({ reference: { name, rounds } });
  /** Read each time, and kept: these states never change. */
  const vectors = { ...shared, rounds: rates.fast };
  const repeated = { ...shared, rounds: rates.kept };
  const door = { ...shared, rounds: rates.bareDoor };
  const besideRedis = redis === null ? null : beside("redis-get", rates.redis);
  return [
    ...(besideRedis === null
      ? []
      : [
          report({ ...vectors, ...besideRedis, case: "vector-beside-redis", goal: 0.6 }),
          report({ ...repeated, ...besideRedis, case: "kept-beside-redis", goal: 0.6 }),
          report({ ...door, ...besideRedis, case: "door-beside-redis", goal: 0.6 }),
        ]),
    report({ ...vectors, ...beside("node-http-empty", rates.emptyHttp), case: "vector", goal: 0.5 }),
    report({ ...repeated, ...beside("node-http-empty", rates.emptyHttp), case: "kept", goal: 0.5 }),
    report({ ...vectors, ...beside("ordinary-server", rates.ordinary), case: "vector-beside-ordinary", goal: 2 }),
    report({ ...repeated, ...beside("ordinary-server", rates.ordinary), case: "kept-beside-ordinary", goal: 2 }),
    report({ ...vectors, ...beside("node-net-bare", rates.bareNet), case: "vector-beside-bare-net", goal: 0.5 }),
    report({ ...repeated, ...beside("node-net-bare", rates.bareNet), case: "kept-beside-bare-net", goal: 0.5 }),
    report({ ...door, ...beside("node-net-bare", rates.bareNet), case: "door-beside-bare-net", goal: 0.6 }),
    report({
      ...shared,
      rounds: rates.behindReads,
      ...beside("node-net-bare", rates.bareNet),
      case: "writes-behind-reads",
    }),
    report({ bench: "http", case: "vector-p99", unit: "ms", better: "lower", rounds: latencies, goal: 5 }),
  ];
}

function requestText(entities: unknown): string {
  const body = JSON.stringify({ entities });
  const head = `POST /services/${SERVICE}/vector HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
  return `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** An answer as the server sends it, head and body. */
async function answerOf(url: string): Promise<string> {
  const response = await fetch(`${url}/services/${SERVICE}/vector`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ entities: servedKeys[0] }),
  });
  const head = [...response.headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `HTTP/1.1 200 OK\r\n${head}\r\n${await response.text()}`;
}
