/**
 * The whole server under the whole workload: `onefold serve` on one core and the load on the other, events being
 * pushed meanwhile, 1% of the replies checked against the naive oracle.
 *
 *     npm run bench -- serving [--case a|b|c|d|e|f|g]... [--json] [--quick] [--accounts N] [--stored N,N,N] [--profile]
 *
 * | case | what |
 * |---|---|
 * | a | the Redis protocol beside Redis GET, one request at a time and 32 in a pipeline |
 * | b | HTTP beside Redis GET |
 * | c | latency at fixed rates of 30 windowed features while 5,000 events a second are ingested |
 * | d | 100 entities x 50 features a request |
 * | e | the workload that Feast publishes figures of, by its own wire |
 * | f | bytes stored a feature value |
 * | g | serving from Redis (`--online`) beside Redis GET: throughput, and latency at a fixed rate |
 *
 * `--quick` shows that everything runs; its figures mean nothing. `--accounts` serves fewer than 100,000.
 * `--stored` says of how many entities f counts the bytes, with 1, 20 and 500 events each.
 * `--profile` prints where each server's time went.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { helpersYield } from "../src/cli/helper-threads.ts";
import { batchReads } from "./serving/batch-reads.ts";
import { feastReads } from "./serving/feast-reads.ts";
import { readsFromRedis } from "./serving/from-redis.ts";
import { WIDE_DAYS, wideDefinitions } from "./serving/payments.ts";
import { pointReads } from "./serving/point-reads.ts";
import { BenchRun, FULL, QUICK, type Size } from "./serving/run.ts";
import { storedBytes } from "./serving/stored-bytes.ts";
import { readsUnderIngest } from "./serving/under-ingest.ts";
import { removeWorld } from "./serving/world.ts";

const CASES = ["a", "b", "c", "d", "e", "f", "g"];

const { values: options } = parseArgs({
  options: {
    case: { type: "string", multiple: true, default: CASES },
    json: { type: "boolean" },
    accounts: { type: "string" },
    stored: { type: "string" },
    quick: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
  },
});
const unknown = options.case.find((one) => !CASES.includes(one));
if (unknown !== undefined) {
  console.error(`there is no case ${unknown}; the cases are ${CASES.join(", ")}`);
  process.exit(2);
}
const [one, twenty, fiveHundred, ...more] = (options.stored ?? "").split(",").map(Number);
const stored: Size["storedEntities"] | null = options.stored === undefined ? null : [one!, twenty!, fiveHundred!];
if (stored !== null && (more.length > 0 || !stored.every((count) => Number.isSafeInteger(count) && count > 0))) {
  console.error("--stored takes three numbers of entities: with 1 event, with 20, and with 500");
  process.exit(2);
}
const asked = (name: string): boolean => options.case.includes(name);

const missing = ["redis-server", "redis-benchmark", "wrk"].filter((tool) => !isInstalled(tool));
if (missing.length > 0) {
  console.error(`not installed: ${missing.join(", ")} (Debian: apt-get install redis-server redis-tools wrk)`);
  console.error("cases a, b and g, the throughput of d and the memory of f on Redis cannot be measured without them");
  if (asked("a") || asked("b") || asked("g")) process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), "onefold-bench-"));
try {
  const size = options.quick ? QUICK : FULL;
  const accounts = Number(options.accounts ?? size.accounts);
  const hasRedis = !missing.includes("redis-server");
  const storedEntities = stored ?? size.storedEntities;
  const bench = new BenchRun({
    size: { ...size, accounts, storedEntities },
    folder,
    hasRedis,
    profiles: options.profile,
  });
  if (asked("a") || asked("b")) await pointReads(bench, { resp: asked("a"), http: asked("b") });
  // From here on this process asks at a fixed rate: on its core, its other threads are as much in its way as in a server's.
  helpersYield();
  if (asked("c") || asked("d")) {
    const world = await bench.preparePayments("wide", wideDefinitions, WIDE_DAYS);
    bench.reportBuckets("wide", world);
    // First what needs the world as its history made it.
    if (asked("d")) await batchReads(bench, world, { tools: missing.length === 0 });
    if (asked("c")) await readsUnderIngest(bench, world);
    await removeWorld(world);
  }
  if (asked("e")) await feastReads(bench);
  if (asked("f")) await storedBytes(bench);
  if (asked("g")) await readsFromRedis(bench);
  process.exitCode = bench.passed ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function isInstalled(tool: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
