/**
 * Feature vectors of 20 features from three views: in process, over HTTP, and over HTTP beside a
 * `node:http` handler that reads the body and answers nothing, in the same run.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { ReplayClock } from "../src/base/clock.ts";
import { type Micros, micros, MICROS_PER_MINUTE, MICROS_PER_SECOND, parseMicros } from "../src/base/micros.ts";
import type { ViewDefinition } from "../src/define/definition.ts";
import { compileViewFold } from "../src/fold/compile.ts";
import type { ViewState } from "../src/fold/view-fold.ts";
import { col, count, entity, last, max, mean, service, stddev, stream, sum, t, view } from "../src/index.ts";
import { openFitStore } from "../src/registry/fit-files.ts";
import { openFileRegistry } from "../src/registry/file-registry.ts";
import { createFeatureReader } from "../src/serve/feature-reader.ts";
import { openHttpServer } from "../src/serve/http.ts";
import type { ServedView, ServePorts } from "../src/serve/ports.ts";
import type { Load, LoadResult } from "./http-load.ts";
import { report } from "./report.ts";

const ROUNDS = 5;
const SECONDS = 2;
const CONNECTIONS = 32;
const AIRPORTS = 200;
const EVENTS = 200_000;

const origin = entity("origin", { origin: t.string() });
const destination = entity("destination", { destination: t.string() });
const route = entity("route", { origin: t.string(), destination: t.string() });
const arrivals = stream("arrivals", {
  columns: { origin: t.string(), destination: t.string(), at: t.timestamp(), delay: t.int64() },
  eventTime: "at",
});
const originDelays = view("origin_delays", {
  entity: origin,
  source: arrivals,
  features: {
    o_count_1h: count().over("1h"),
    o_count_24h: count().over("24h"),
    o_mean_1h: mean("delay").over("1h"),
    o_mean_24h: mean("delay").over("24h"),
    o_spread_24h: stddev("delay").over("24h"),
    o_worst_24h: max("delay").over("24h"),
    o_late_24h: count().where(col("delay").gt(15)).over("24h"),
    o_total: sum("delay"),
  },
});
const destinationDelays = view("destination_delays", {
  entity: destination,
  source: arrivals,
  features: {
    d_count_1h: count().over("1h"),
    d_count_24h: count().over("24h"),
    d_mean_1h: mean("delay").over("1h"),
    d_mean_24h: mean("delay").over("24h"),
    d_worst_24h: max("delay").over("24h"),
    d_late_24h: count().where(col("delay").gt(15)).over("24h"),
    d_last: last("delay"),
  },
});
const routeDelays = view("route_delays", {
  entity: route,
  source: arrivals,
  features: {
    r_count_24h: count().over("24h"),
    r_mean_24h: mean("delay").over("24h"),
    r_mean_20: mean("delay").over({ last: 20 }),
    r_worst: max("delay"),
    r_last: last("delay"),
  },
});
const delayModel = service("delay_model", { features: [originDelays, destinationDelays, routeDelays] });

const clock = new ReplayClock(parseMicros("2001-06-01T00:00:00Z"));
const ports = await openPorts();
const reader = createFeatureReader(ports);
const keys = Array.from({ length: AIRPORTS }, (_, i) => ({
  origin: `A${i}`,
  destination: `A${(i * 7 + 1) % AIRPORTS}`,
}));

const inProcess = measureInProcess();
const passed = [
  report({
    bench: "serving",
    case: "in-process-vector",
    unit: "vectors/s",
    better: "higher",
    rounds: inProcess,
    goal: 50_000,
  }),
  ...(await measureHttp()),
];
process.exitCode = passed.every(Boolean) ? 0 : 1;

function measureInProcess(): number[] {
  const run = (vectors: number): number => {
    const startMs = performance.now();
    for (let i = 0; i < vectors; i++) reader.vector("delay_model", keys[i % keys.length]);
    return (vectors / (performance.now() - startMs)) * 1000;
  };
  run(20_000);
  return Array.from({ length: ROUNDS }, () => run(50_000));
}

async function measureHttp(): Promise<boolean[]> {
  const server = await openHttpServer(reader, ports, { port: 0 });
  const empty = await openEmptyServer();
  const emptyPort = (empty.address() as AddressInfo).port;
  const worker = new Worker(new URL("./http-load.mjs", import.meta.url));
  const requests = keys.map((entities) => {
    const body = JSON.stringify({ entities });
    const head = "POST /services/delay_model/vector HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    return `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  });
  const load = (port: number, connections: number, seconds: number): Promise<LoadResult> =>
    new Promise((resolve) => {
      worker.once("message", resolve);
      worker.postMessage({ port, requests, connections, seconds } satisfies Load);
    });

  for (const port of [server.port, emptyPort]) await load(port, CONNECTIONS, 1);
  const vectors: number[] = [];
  const nothing: number[] = [];
  const latencies: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    nothing.push((await load(emptyPort, CONNECTIONS, SECONDS)).requestsPerSecond);
    vectors.push((await load(server.port, CONNECTIONS, SECONDS)).requestsPerSecond);
    latencies.push((await load(server.port, 1, SECONDS)).p99Ms);
  }
  await worker.terminate();
  await server.close();
  empty.close();
  const shared = { bench: "serving", unit: "req/s", better: "higher", goal: 0.5 } as const;
  return [
    report({
      ...shared,
      case: "http-vector",
      rounds: vectors,
      reference: { name: "node-http-empty", rounds: nothing },
    }),
    report({ bench: "serving", case: "http-vector-p99", unit: "ms", better: "lower", rounds: latencies, goal: 5 }),
  ];
}

function openEmptyServer(): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      response.setHeader("content-length", "2");
      response.end("{}");
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

/** Real registry and folds, states in memory, and a serving log that forgets: what is measured is serving. */
async function openPorts(): Promise<ServePorts> {
  const folder = await mkdtemp(join(tmpdir(), "onefold-bench-"));
  const registry = await openFileRegistry(folder, { clock });
  await registry.apply([
    origin,
    destination,
    route,
    arrivals,
    originDelays,
    destinationDelays,
    routeDelays,
    delayModel,
  ]);
  await rm(folder, { recursive: true });
  const views = new Map<string, ServedView & { readonly states: Map<string, ViewState> }>();
  for (const { definition } of registry.views()) views.set(definition.name, openView(definition));
  foldEvents([...views.values()]);
  return {
    clock,
    registry,
    fits: await openFitStore(folder),
    maxFutureMicros: MICROS_PER_MINUTE,
    revision: () => 0,
    view: (name) => views.get(name)!,
    push: () => Promise.reject(new Error("nothing is pushed here")),
    samples: () => false,
    record: () => {},
    metrics: () => Promise.reject(new Error("nothing is measured here")),
    readiness: () => ({ ready: true, waitingFor: [] }),
  };

  function openView(definition: ViewDefinition): ServedView & { readonly states: Map<string, ViewState> } {
    const states = new Map<string, ViewState>();
    const of = registry.entity(definition.entity).definition;
    const fold = compileViewFold(definition, arrivals, of);
    return {
      definition,
      entity: of,
      source: arrivals,
      fold,
      epoch: 0,
      states,
      state: (key) => states.get(key) ?? null,
    };
  }
}

function foldEvents(views: readonly (ServedView & { readonly states: Map<string, ViewState> })[]): void {
  let seed = 1;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let offset = 0; offset < EVENTS; offset++) {
    const time = (clock.now() + MICROS_PER_SECOND) as Micros;
    clock.advanceTo(micros(time));
    const { origin, destination } = { origin: Math.floor(random() * AIRPORTS), destination: Math.floor(random() * 20) };
    const row = [`A${origin}`, `A${(origin * 7 + 1 + destination) % AIRPORTS}`, time, Math.floor(random() * 60) - 10];
    for (const { fold, states } of views) {
      const key = fold.keyOf(row);
      let state = states.get(key);
      if (state === undefined) states.set(key, (state = fold.empty()));
      fold.fold(state, { offset, eventTime: time, knownTime: time, row });
    }
  }
}
