/**
 * The stream: events from Kafka through the fold into Redis, and embedded.
 *
 *     npm run bench -- stream [--case a|b|c|d|e]... [--json] [--quick]
 *
 * | case | what |
 * |---|---|
 * | a | events a second of one worker, beside consumers that count, and that write raw values to Redis |
 * | b | events a second of the embedded pipeline on one core |
 * | c | from when an event is due until it can be read: p50 and p99 at fixed rates, through Kafka and embedded |
 * | d | two workers beside one |
 * | e | the cost of an event with 10,000 to 1,000,000 entities: 8 partitions over 4 workers, simulated |
 *
 * Workload: payments of 100,000 accounts, half of them of 1% of the accounts (`stream/workload.ts`), folded into 10
 * features over 3 windows. A worker writes each state that a fetch has changed once, embedded that is every 50 ms.
 * Kafka and Redis are started, or named by ONEFOLD_KAFKA and ONEFOLD_REDIS_URL. `--quick` shows that everything runs;
 * its figures mean nothing.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { KafkaConnection } from "../src/ingest/kafka/connection.ts";
import { kafkaSettings } from "../src/ingest/kafka/settings.ts";
import { openKafka } from "../test/services/kafka.ts";
import { openRedis } from "../test/services/redis.ts";
import { embeddedRate } from "./stream/embedded-rate.ts";
import { oneWorker, twoWorkers } from "./stream/kafka-rates.ts";
import { latencyEmbedded, latencyThroughKafka } from "./stream/latency.ts";
import { FULL, QUICK, StreamRun } from "./stream/run.ts";
import { entitiesInSimulation } from "./stream/simulation.ts";
import type { Addresses } from "./stream/worker-group.ts";

const CASES = ["a", "b", "c", "d", "e"];

const { values: options } = parseArgs({
  options: {
    case: { type: "string", multiple: true, default: CASES },
    json: { type: "boolean" },
    quick: { type: "boolean", default: false },
  },
});
const unknown = options.case.find((one) => !CASES.includes(one));
if (unknown !== undefined) {
  console.error(`there is no case ${unknown}; the cases are ${CASES.join(", ")}`);
  process.exit(2);
}
const asked = (name: string): boolean => options.case.includes(name);

const folder = await mkdtemp(join(tmpdir(), "onefold-bench-"));
const run = new StreamRun(options.quick ? QUICK : FULL);
try {
  if (asked("b")) await embeddedRate(run, folder);
  if (asked("c")) await latencyEmbedded(run, folder);
  if (asked("e")) await entitiesInSimulation(run);
  if (asked("a") || asked("c") || asked("d")) await withServices(throughKafka);
  process.exitCode = run.passed ? 0 : 1;
} catch (error) {
  // Not what a missed goal ends with.
  console.error(error);
  process.exitCode = 2;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function throughKafka(connection: KafkaConnection, addresses: Addresses): Promise<void> {
  if (asked("a")) await oneWorker(run, connection, addresses);
  if (asked("c")) await latencyThroughKafka(run, connection, addresses);
  if (asked("d")) await twoWorkers(run, connection, addresses);
}

async function withServices(work: typeof throughKafka): Promise<void> {
  const closing: (() => Promise<unknown>)[] = [];
  try {
    const kafka = await openKafka();
    closing.push(() => kafka.close());
    const redis = await openRedis();
    closing.push(() => redis.close());
    const connection = new KafkaConnection(kafkaSettings({ brokers: kafka.address.split(","), prefix: "bench" }));
    closing.push(() => connection.close());
    await work(connection, { kafka: kafka.address, redisUrl: redis.url });
  } finally {
    for (const close of closing.toReversed()) await close();
  }
}
