/**
 * The flights demo: three million real flights through the whole platform, and a model that shows why it matters.
 * Run it with `npm run demo`; docs/demo.md says what it does and how to read it.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { type Definition, type Micros, openPlatform, type Platform, ReplayClock } from "onefold";
import { areaStandardError, areaUnderCurve } from "./auc.ts";
import { driftAlert } from "./drift-alert.ts";
import { elapsedSeconds, formatCount, say, section, withProgress } from "./console.ts";
import * as features from "./features.ts";
import { HttpClient } from "./http-client.ts";
import type { Latency, LatencyTask } from "./latency-worker.ts";
import * as leakyFeatures from "./leaky-features.ts";
import { fitLogisticRegression } from "./model.ts";
import { type Period, prepareFlights, type PreparedFlights } from "./prepare.ts";
import { httpPush, replay, type Replayed, vectorRequest } from "./replay.ts";
import { type LabelledTable, readTrainingTable, type TrainingTable } from "./training-table.ts";

const WHOLE: Period = {
  start: "2001-01-01",
  trainFrom: "2001-05-31",
  cut: "2001-06-28",
  end: "2001-07-01",
  sampledSixteenths: 4,
};
const SMALL: Period = {
  start: "2001-02-10",
  trainFrom: "2001-02-16",
  cut: "2001-02-27",
  end: "2001-02-28",
  sampledSixteenths: 3,
};

const SERVICE = "delay_model";
const CONNECTIONS = 8;

const { values: options } = parseArgs({
  options: {
    /** A few days of February only. */
    small: { type: "boolean", default: false },
    /** Leaves the server up at the end. */
    keep: { type: "boolean", default: false },
    /** Everything is written under here; emptied first. */
    folder: { type: "string", default: ".demo" },
  },
});
const { keep, folder } = options;
const period = options.small ? SMALL : WHOLE;
const featureNames = features.delayModel.features.map((feature) => feature.as);

function micros(isoDate: string): Micros {
  return (Date.parse(isoDate) * 1000) as Micros;
}

async function importHistory(platform: Platform, source: string, file: string): Promise<number> {
  const result = await withProgress(`import ${source}`, (onProgress) =>
    platform.importHistory(source, [file], { onProgress }),
  );
  say(
    `${source}: ${formatCount(result.accepted)} events, ${result.duplicates} exact duplicates left out, ${result.rejected} rejected`,
  );
  return result.accepted;
}

async function buildTrainingSet(
  platform: Platform,
  labels: string,
  out: string,
  boundary: "inclusive" | "exclusive",
): Promise<TrainingTable> {
  await withProgress("build the training set", (onProgress) =>
    platform.train({
      service: SERVICE,
      labels,
      out,
      timeColumn: "departed_at",
      knowledge: "as-known",
      boundary,
      onProgress,
    }),
  );
  return readTrainingTable(out, featureNames);
}

async function leakyTrainingSet(flights: PreparedFlights): Promise<TrainingTable> {
  const dataDir = join(folder, "leaky");
  const definitions: Definition[] = [leakyFeatures.arrivals, ...leakyFeatures.others, ...leakyFeatures.views];
  const platform = await openPlatform({ dataDir, clock: new ReplayClock(micros(period.end)), definitions });
  try {
    await platform.apply(definitions);
    await importHistory(platform, "departures", flights.allDepartures);
    await importHistory(platform, "arrivals", flights.flightsAtDeparture);
    return await buildTrainingSet(platform, flights.labels, join(folder, "training-leaky.parquet"), "inclusive");
  } finally {
    await platform.close();
  }
}

/** The vectors that were served for the flights of `heldOut`, in its order. */
function servedTable(heldOut: LabelledTable, served: Replayed["served"]): LabelledTable {
  const vectors = heldOut.flights.map((flight) => {
    const vector = served.get(flight);
    if (vector === undefined) throw new Error(`no vector was served for flight ${flight}`);
    return vector;
  });
  const columns = featureNames.map((_, i) => Float64Array.from(vectors, (vector) => vector[i] ?? Number.NaN));
  return { ...heldOut, columns };
}

function countDifferentBits(a: LabelledTable, b: LabelledTable): number {
  let different = 0;
  for (const [i, column] of a.columns.entries()) {
    for (const [row, value] of column.entries()) if (!Object.is(value, b.columns[i]![row])) different++;
  }
  return different;
}

function trainAndScore(set: TrainingTable, served: LabelledTable): { offline: number; served: number } {
  const model = fitLogisticRegression(set.past, set.past.labels);
  return {
    offline: areaUnderCurve(model.predict(set.heldOut), set.heldOut.labels),
    served: areaUnderCurve(model.predict(served), served.labels),
  };
}

function measureLatency(task: LatencyTask): Promise<Latency> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./latency-worker.mjs", import.meta.url), { workerData: task });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
console.log("Onefold demo: will a flight arrive more than 15 minutes late? Asked at the moment it leaves.");

section("(a) History: real US flights of 2001, each as a departure and an arrival");
const flights = await withProgress("read the flights and split them into events", () =>
  prepareFlights(join(folder, "data"), period),
);
say(
  `${formatCount(flights.flights)} flights from ${period.start} to ${period.end}; live replay begins on ${period.cut}`,
);
say("times are local to the airport, so events of different airports can be out of order by some hours");
const clock = new ReplayClock(micros(period.cut));
const definitions: Definition[] = Object.values(features);
const dataDir = join(folder, "honest");
// All that is served is looked at; what is to be told of it is asked in the end.
const sampled = { servingLogSampleRate: 1, driftSampleRate: 1, alerts: false } as const;
const platform = await openPlatform({ dataDir, clock, definitions, ...sampled });
await platform.apply(definitions);
const imported =
  (await importHistory(platform, "departures", flights.departures)) +
  (await importHistory(platform, "arrivals", flights.arrivals));

section("(b) Live: the last days replayed through the HTTP door, vectors asked for before the outcome is known");
const server = await platform.serve({ port: 0, host: "127.0.0.1" });
const client = new HttpClient(server.url, CONNECTIONS);
const replayed = await withProgress("replay", (onProgress) =>
  replay(flights.minutes, clock, client, httpPush(client), featureNames, onProgress),
);
client.close();
clock.advanceTo(micros(period.end));
await platform.settle();
say(
  `${formatCount(replayed.accepted)} events pushed, ${replayed.duplicates} duplicates, ${replayed.rejected} rejected`,
);
say(`${formatCount(replayed.served.size)} flights asked about, ${featureNames.length} features each`);

section("(c) Training sets: the same labels, twice");
say("as known: each flight sees only what was known before it left");
const asKnown = await buildTrainingSet(
  platform,
  flights.labels,
  join(folder, "training-as-known.parquet"),
  "exclusive",
);
const served = servedTable(asKnown.heldOut, replayed.served);
const different = countDifferentBits(asKnown.heldOut, served);
const heldOutValues = served.rows * featureNames.length;
say(
  different === 0
    ? `of ${formatCount(heldOutValues)} held-out training values, all equal what was served live, bit for bit`
    : `${formatCount(different)} of ${formatCount(heldOutValues)} held-out training values differ from what was served live`,
);
say("leaky: delays dated by the departure, as in one flat table of flights (examples/flights/leaky-features.ts)");
const leaky = await leakyTrainingSet(flights);

section("(d) One model, trained on each");
const auc = await withProgress("train and score both", async () => ({
  as_known: trainAndScore(asKnown, served),
  leaky: trainAndScore(leaky, served),
}));
say("");
say("AUC: 0.5 is a coin, 1.0 is perfect. Same model, same labels, same held-out days.");
say("");
say("trained on                    promised offline   delivered live   lost");
for (const [name, row] of [
  ["as known (what Onefold gives)", auc.as_known],
  ["leaky (the classic mistake)", auc.leaky],
] as const) {
  const lost = row.offline - row.served;
  say(
    `${name.padEnd(30)}${row.offline.toFixed(3).padStart(16)}${row.served.toFixed(3).padStart(17)}${lost.toFixed(3).padStart(7)}`,
  );
}
say("");
const lateCount = served.labels.reduce((sum, label) => sum + label, 0);
const margin = 1.96 * areaStandardError(auc.as_known.served, lateCount, served.rows - lateCount);
say(
  `each figure holds to about ±${margin.toFixed(3)} (95%): ${formatCount(lateCount)} of the ${formatCount(served.rows)} held-out flights were late`,
);
say(
  `trained on ${formatCount(asKnown.past.rows)} flights from ${period.trainFrom}; scored on ${formatCount(asKnown.heldOut.rows)} from ${period.cut}`,
);

section("(e) Audit: every served vector computed again from the log, and compared to the bit");
const audit = await withProgress("audit", (onProgress) => platform.audit({ onProgress }));
say(`${formatCount(audit.compared)} values compared, ${audit.mismatched} mismatched`);

section("(f) Serving latency, over HTTP, as a client on this machine sees it");
const bodies = flights.minutes.flatMap((minute) => minute.questions.map(vectorRequest)).slice(0, 2000);
const task = { url: server.url, path: `/services/${SERVICE}/vector`, bodies };
const oneByOne = await measureLatency({ ...task, requests: 5000, concurrency: 1 });
const together = await measureLatency({ ...task, requests: 10000, concurrency: CONNECTIONS });
const formatLatency = (latency: Latency): string =>
  `p50 ${latency.p50Ms.toFixed(2)} ms, p99 ${latency.p99Ms.toFixed(2)} ms, ${formatCount(Math.round(latency.requestsPerSecond))} vectors/s`;
say(`one request at a time: ${formatLatency(oneByOne)}`);
say(`${CONNECTIONS} at a time:          ${formatLatency(together)}`);
const deadLetters = await platform.deadLetters().list();
const summary = {
  demo: "flights",
  events: imported + replayed.accepted,
  dead_letters: deadLetters.length,
  training_rows: asKnown.rows,
  audit: { compared: audit.compared, mismatched: audit.mismatched },
  auc,
  serving_ms: { p50: oneByOne.p50Ms, p99: oneByOne.p99Ms },
  drift_alert: null as readonly { readonly hour: number; readonly unit: string; readonly features: string[] }[] | null,
};
say(`peak memory: ${formatCount(Math.round(process.resourceUsage().maxRSS / 1024))} MB`);

if (keep) {
  console.log(`
The server stays up, its clock standing at ${period.end}. Try:
  curl -s ${server.url}/features/origin/ORD
  curl -s -X POST ${server.url}/services/${SERVICE}/vector -H 'content-type: application/json' \\
    -d '{"entities": {"origin": "JFK", "destination": "LAX", "route": ["JFK", "LAX"]}, "metadata": true}'
  curl -s ${server.url}/registry/views/route_delays
Press Ctrl-C to stop it.
`);
} else {
  await server.close();
  await platform.close();
  section("(g) Drift: delays begin to come in seconds instead of minutes, and nobody says so");
  const asked = { dataDir, definitions, clock, minutes: flights.minutes, featureNames };
  const judged = await withProgress("the day after", () =>
    driftAlert({ ...asked, service: SERVICE, connections: CONNECTIONS }),
  );
  for (const { hour, isChanged, firing } of judged) {
    say(
      `${hour}:00, in ${isChanged ? "seconds" : "minutes"}: the default alert of drift fires for ${firing.length} features`,
    );
  }
  const drifted = judged.at(-1)!.firing;
  for (const { feature, distance, threshold } of drifted.slice(0, 3)) {
    say(
      `  ${feature}: distance ${distance.toFixed(2)} from the same hours of the day before, news from ${threshold.toFixed(2)} on`,
    );
  }
  summary.drift_alert = judged.map(({ hour, isChanged, firing }) => {
    return { hour, unit: isChanged ? "seconds" : "minutes", features: firing.map(({ feature }) => feature) };
  });
}

console.log(JSON.stringify({ ...summary, seconds: elapsedSeconds() }));
