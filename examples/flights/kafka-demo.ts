/**
 * The flights demo through Kafka and Redis, beside the same flights embedded: `npm run demo -- --kafka --redis`.
 *
 *     topics ─▶ onefold worker ─▶ Redis ─▶ vectors ─▶ serving log ─┐
 *                     └─▶ Delta tables ─▶ training set, audit ◀────┘
 *
 * Both runs are given the same events in the same order, ask for the same vectors at the same moments and build a
 * training set for the same labels. It fails unless the served values, the bytes of the training sets and the audits' counts
 * are equal. docs/demo.md says what is the same in the two and what is not.
 */
import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { type Definition, type Micros, openOnlineServer, openPlatform, type Platform, ReplayClock } from "onefold";
import { openKafka } from "../../test/services/kafka.ts";
import { openRedis } from "../../test/services/redis.ts";
import { elapsedSeconds, formatCount, say, section, withProgress } from "./console.ts";
import * as features from "./features.ts";
import { FlightTopics, type Source } from "./flight-topics.ts";
import { HttpClient } from "./http-client.ts";
import { type Period, prepareFlights, type PreparedFlights } from "./prepare.ts";
import { httpPush, type Push, replay, type Replayed } from "./replay.ts";
import { type WorkerHealth, runOnefold, WorkerProcess } from "./worker-process.ts";

/** What runs in about three minutes on two cores. */
const TWO_WEEKS: Period = {
  start: "2001-06-17",
  trainFrom: "2001-06-24",
  cut: "2001-06-30",
  end: "2001-07-01",
  sampledSixteenths: 4,
};
const ALL: Period = { ...TWO_WEEKS, start: "2001-01-01", trainFrom: "2001-06-01" };
const SMALL: Period = {
  start: "2001-02-27",
  trainFrom: "2001-02-27 14:00:00",
  cut: "2001-02-27 20:00:00",
  end: "2001-02-27 20:40:00",
  sampledSixteenths: 4,
};

const CONNECTIONS = 8;
/** Routes of each source: one for each way in which its views are keyed. */
const ROUTES: Readonly<Record<Source, number>> = { departures: 2, arrivals: 3 };
const DEFINITIONS_FILE = "examples/flights/features.ts";

const { values: options } = parseArgs({
  options: {
    kafka: { type: "boolean", default: false },
    redis: { type: "boolean", default: false },
    /** All six months. */
    all: { type: "boolean", default: false },
    /** Most of one day, of which 40 minutes are live. */
    small: { type: "boolean", default: false },
    folder: { type: "string", default: ".demo" },
  },
});
if (!options.kafka || !options.redis) {
  console.error("workers fold from Kafka into Redis: give both --kafka and --redis, or neither");
  process.exit(2);
}
const period = options.small ? SMALL : options.all ? ALL : TWO_WEEKS;
const folder = options.folder;
const definitions: Definition[] = Object.values(features);
const featureNames = features.delayModel.features.map((feature) => feature.as);

interface Outcome {
  readonly replayed: Replayed;
  readonly deadLetters: number;
  readonly trainingRows: number;
  readonly trainingSha256: string;
  readonly audit: { readonly vectors: number; readonly compared: number; readonly mismatched: number };
}

function micros(isoDate: string): Micros {
  return (Date.parse(`${isoDate.replace(" ", "T")}${isoDate.includes(" ") ? "Z" : ""}`) * 1000) as Micros;
}

/** The training set of the labels, and the audit of what was served. */
async function trainAndAudit(platform: Platform, flights: PreparedFlights, name: string) {
  const out = join(folder, `training-${name}.parquet`);
  const { manifest } = await withProgress("build the training set", (onProgress) =>
    platform.train({
      service: features.delayModel.name,
      labels: flights.labels,
      out,
      timeColumn: "departed_at",
      knowledge: "as-known",
      boundary: "exclusive",
      onProgress,
    }),
  );
  const { vectors, compared, mismatched, missing, pending, clean } = await withProgress("audit", (onProgress) =>
    platform.audit({ onProgress }),
  );
  if (missing > 0 || pending > 0) throw new Error(`the audit could not compare ${missing + pending} values`);
  say(`${formatCount(compared)} served values computed again: ${clean ? "all equal" : `${mismatched} differ`}`);
  const { rows, sha256 } = manifest.output!;
  return { trainingRows: rows, trainingSha256: sha256, audit: { vectors, compared, mismatched } };
}

async function replayLive(url: string, clock: ReplayClock, flights: PreparedFlights, push: Push | null) {
  const client = new HttpClient(url, CONNECTIONS);
  try {
    return await withProgress("replay", (onProgress) =>
      replay(flights.minutes, clock, client, push ?? httpPush(client), featureNames, onProgress),
    );
  } finally {
    client.close();
  }
}

async function runEmbedded(flights: PreparedFlights): Promise<Outcome> {
  const clock = new ReplayClock(micros(period.cut));
  const platform = await openPlatform({
    dataDir: join(folder, "embedded"),
    clock,
    definitions,
    servingLogSampleRate: 1,
  });
  try {
    await platform.apply(definitions);
    for (const source of ["departures", "arrivals"] as const) {
      await withProgress(`import ${source}`, (onProgress) =>
        platform.importHistory(source, [flights[source]], { onProgress }),
      );
    }
    const server = await platform.serve({ port: 0, host: "127.0.0.1" });
    const replayed = await replayLive(server.url, clock, flights, null);
    await server.close();
    clock.advanceTo(micros(period.end));
    await platform.settle();
    const deadLetters = (await platform.deadLetters().list()).length;
    return { replayed, deadLetters, ...(await trainAndAudit(platform, flights, "embedded")) };
  } finally {
    await platform.close();
  }
}

interface Services {
  readonly kafka: string;
  readonly redis: string;
}

async function runStreamed(flights: PreparedFlights, services: Services): Promise<Outcome> {
  // Of this run alone, in a Kafka and a Redis that others may use.
  const prefix = `flights-${randomUUID().slice(0, 8)}`;
  const online = `${services.redis}?prefix=${prefix}:&timeout_ms=10000`;
  const [dataDir, archive] = [join(folder, "streamed"), join(folder, "archive")];
  const topics = await FlightTopics.create(services.kafka);
  const kafkaArgs = ["--definitions", DEFINITIONS_FILE, "--kafka", services.kafka, "--kafka-prefix", prefix];
  await runOnefold(["apply", ...kafkaArgs, "--data", dataDir]);
  const worker = await WorkerProcess.start([
    ...kafkaArgs,
    "--online",
    online,
    "--archive",
    archive,
    "--archive-every",
    "2s",
  ]);
  try {
    const isFolded = ({ folded, duplicates, dead_letters }: WorkerHealth): boolean => {
      const { departures, arrivals } = topics.sent;
      return folded + duplicates === departures * ROUTES.departures + (arrivals - dead_letters) * ROUTES.arrivals;
    };
    const startedMs = performance.now();
    for (const source of ["departures", "arrivals"] as const) {
      const total = null;
      await withProgress(`send ${source}`, (onProgress) =>
        topics.sendFile(source, flights[source], (done) => onProgress({ phase: "records", done, total })),
      );
    }
    const history = topics.sent.departures + topics.sent.arrivals;
    await withProgress("fold", (onProgress) =>
      worker.until((health) => {
        onProgress({ phase: "folded, once for each route", done: health.folded, total: null });
        return isFolded(health);
      }, 250),
    );
    const seconds = (performance.now() - startedMs) / 1000;
    say(
      `${formatCount(history)} events sent, routed and folded: ${formatCount(Math.round(history / seconds))} events/s`,
    );

    const clock = new ReplayClock(micros(period.cut));
    const server = await openOnlineServer({ dataDir, online, definitions, clock, servingLogSampleRate: 1 });
    const http = await server.serve({ port: 0, host: "127.0.0.1" });
    let seen = await worker.health();
    const push: Push = async (minute) => {
      for (const source of ["departures", "arrivals"] as const) {
        await topics.send(
          source,
          minute[source].map((text) => ({ timeMicros: clock.now(), text })),
        );
      }
      const before = seen;
      seen = await worker.until(isFolded, 1);
      const rejected = seen.dead_letters - before.dead_letters;
      // An event that came twice came twice on every route.
      const count = minute.departures.length + minute.arrivals.length;
      return { accepted: count - rejected, duplicates: 0, rejected };
    };
    const replayed = await replayLive(http.url, clock, flights, push);
    await server.settle();
    await http.close();
    await server.close();

    for (const { timeMicros, arrivals } of flights.later) {
      await topics.send(
        "arrivals",
        arrivals.map((text) => ({ timeMicros, text })),
      );
    }
    await withProgress("archive", () =>
      worker.until((health) => isFolded(health) && health.archived === health.folded, 100),
    );
    const { dead_letters: deadLetters } = await worker.health();
    await worker.stop();
    const workerTables = { folder: archive, prefix };
    const platform = await openPlatform({ dataDir, mode: "read", definitions, workerTables });
    try {
      return { replayed, deadLetters, ...(await trainAndAudit(platform, flights, "streamed")) };
    } finally {
      await platform.close();
    }
  } finally {
    await worker.stop();
    await topics.remove(prefix);
    await topics.close();
    await removeKeys(services.redis, prefix);
  }
}

async function removeKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url);
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
    if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
  }
  await redis.quit();
}

/** Served values that are not the same bits in both. */
function countDifferent(a: Replayed["served"], b: Replayed["served"]): number {
  let different = Math.abs(a.size - b.size) * featureNames.length;
  for (const [flight, values] of a) {
    const others = b.get(flight) ?? [];
    for (const [i, value] of values.entries()) if (!Object.is(value, others[i])) different++;
  }
  return different;
}

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
console.log("Onefold demo: the flights embedded, and through Kafka and Redis. Are they the same?");

section("(a) Flights");
const flights = await withProgress("read the flights and split them into events", () =>
  prepareFlights(join(folder, "data"), period),
);
say(`${formatCount(flights.flights)} flights from ${period.start} to ${period.end}; live from ${period.cut}`);

section("(b) Embedded: history imported, the live part pushed over HTTP");
const embedded = await runEmbedded(flights);

section("(c) Through Kafka and Redis: everything sent to topics, folded by onefold worker, served from Redis");
const kafka = await withProgress("start Kafka", () => openKafka());
const redis = await withProgress("start Redis", () => openRedis());
let streamed: Outcome;
try {
  streamed = await runStreamed(flights, { kafka: kafka.address, redis: redis.url });
} finally {
  await Promise.all([kafka.close(), redis.close()]);
}

section("(d) The same?");
const different = countDifferent(embedded.replayed.served, streamed.replayed.served);
const values = embedded.replayed.served.size * featureNames.length;
const checks: readonly (readonly [string, unknown, unknown])[] = [
  ["training set, sha256 of the file", embedded.trainingSha256, streamed.trainingSha256],
  ["label rows", embedded.trainingRows, streamed.trainingRows],
  ["vectors served", embedded.replayed.served.size, streamed.replayed.served.size],
  [`served values that differ, of ${formatCount(values)}`, 0, different],
  ["vectors audited", embedded.audit.vectors, streamed.audit.vectors],
  ["values audited", embedded.audit.compared, streamed.audit.compared],
  ["values that the audit found wrong", embedded.audit.mismatched, streamed.audit.mismatched],
  ["dead letters", embedded.deadLetters, streamed.deadLetters],
];
for (const [what, a, b] of checks) {
  say(`${a === b ? "equal" : "DIFFERENT"}  ${what}: ${a}${a === b ? "" : ` embedded, ${b} through Kafka`}`);
}
const isEqual = checks.every(([, a, b]) => a === b) && embedded.audit.mismatched === 0;
console.log(
  JSON.stringify({
    demo: "flights-kafka-redis",
    flights: flights.flights,
    equal: isEqual,
    training_rows: streamed.trainingRows,
    training_sha256: streamed.trainingSha256,
    served: { vectors: streamed.replayed.served.size, different },
    audit: streamed.audit,
    dead_letters: streamed.deadLetters,
    seconds: elapsedSeconds(),
  }),
);
if (!isEqual) process.exitCode = 1;
