/** Case c: from when an event is due until a server can read it, through Kafka and Redis, and embedded. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { planRoutes } from "../../src/ingest/kafka/routes.ts";
import type { KafkaConnection } from "../../src/ingest/kafka/connection.ts";
import { spaceOf } from "../../src/ingest/kafka/view-places.ts";
import { openRedisStore } from "../../src/online-store/redis/redis-store.ts";
import { openPlatform } from "../../src/platform.ts";
import { probeLatencies, type ProbeLoad, quantileOf } from "./probes.ts";
import type { StreamRun } from "./run.ts";
import { type Addresses, WorkerGroup } from "./worker-group.ts";
import { workload } from "./workload.ts";

const KAFKA_GOAL_MS = 1000;
const KAFKA_AIM_MS = 100;
const EMBEDDED_GOAL_MS = 20;

type Path = Pick<ProbeLoad, "send" | "areServable">;

/** By rate, p50 and p99 of each round. */
async function measure(run: StreamRun, path: Path, settled: () => Promise<unknown>) {
  const { eventsPerSecond: rates, latencySeconds: seconds, latencyRounds, accounts } = run.size;
  const measured = new Map(rates.map((rate) => [rate, { p50: [] as number[], p99: [] as number[] }]));
  // A first round warms up and is not counted.
  for (let round = -1; round < latencyRounds; round++) {
    for (const eventsPerSecond of round < 0 ? rates.slice(0, 1) : rates) {
      const name = `probe-${randomUUID().slice(0, 8)}`;
      const latencies = await probeLatencies({ ...path, eventsPerSecond, seconds, accounts, name });
      await settled();
      if (round < 0) continue;
      const { p50, p99 } = measured.get(eventsPerSecond)!;
      p50.push(quantileOf(latencies, 0.5));
      p99.push(quantileOf(latencies, 0.99));
    }
  }
  return measured;
}

export async function latencyThroughKafka(
  run: StreamRun,
  connection: KafkaConnection,
  addresses: Addresses,
): Promise<void> {
  const group = await WorkerGroup.start(connection, addresses, 1);
  const store = await openRedisStore({ url: group.redisUrl });
  const [routes] = planRoutes(workload(group.topic).definitions, "any");
  const space = spaceOf(routes!.routes[0]!.views[0]!);
  try {
    const path: Path = {
      send: (rows) => group.send(rows),
      areServable: async (accounts) => {
        const { states } = await store.read(accounts.map((key) => ({ space, key })));
        return states.map((state) => state !== null);
      },
    };
    for (const [rate, { p50, p99 }] of await measure(run, path, () => group.folded())) {
      const name = `c-kafka-${rate / 1000}k`;
      run.report({ case: `${name}-p50`, unit: "ms", better: "lower", rounds: p50 });
      run.report({ case: `${name}-p99`, unit: "ms", better: "lower", rounds: p99, goal: KAFKA_GOAL_MS });
      run.report({ case: `${name}-p99-aim`, unit: "ms", better: "lower", rounds: p99, goal: KAFKA_AIM_MS });
    }
  } finally {
    await store.close();
    await group.stop();
  }
}

export async function latencyEmbedded(run: StreamRun, folder: string): Promise<void> {
  const { definitions } = workload();
  const platform = await openPlatform({ dataDir: join(folder, "latency"), definitions });
  try {
    await platform.apply(definitions);
    const path: Path = {
      send: (rows) => platform.push("payments", rows),
      areServable: (accounts) =>
        Promise.all(
          accounts.map(async (account) => {
            const { features } = await platform.features("account", account, ["spending:payments_24h"]);
            return Object.values(features).some((value) => value === 1);
          }),
        ),
    };
    for (const [rate, { p50, p99 }] of await measure(run, path, () => platform.settle())) {
      const name = `c-embedded-${rate / 1000}k`;
      run.report({ case: `${name}-p50`, unit: "ms", better: "lower", rounds: p50 });
      run.report({ case: `${name}-p99`, unit: "ms", better: "lower", rounds: p99, goal: EMBEDDED_GOAL_MS });
    }
  } finally {
    await platform.close();
  }
}
