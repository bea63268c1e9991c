/**
 * A server for the notebook clients/python/examples/flights.ipynb: two weeks of flights as history, and a clock that
 * stands at a noon. Run it with `npm run notebook -- --serve`; it prints one line of JSON and stays up until Ctrl-C.
 *
 * Into its folder it writes `labels.parquet`, flights of the past with what became of them, and `leaving.ndjson`, the
 * flights that leave at this very minute.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Definition, openPlatform, parseMicros, ReplayClock } from "onefold";
import * as features from "./features.ts";
import { type LiveMinute, prepareFlights } from "./prepare.ts";

const NOW = "2001-02-26T12:00:00Z";
const PERIOD = {
  start: "2001-02-12",
  trainFrom: "2001-02-19",
  cut: NOW.replace("Z", ""),
  end: "2001-02-27",
  sampledSixteenths: 4,
};

const { values: options } = parseArgs({
  options: {
    /** Everything is written under here; emptied first. */
    folder: { type: "string", default: ".demo/notebook" },
    port: { type: "string", default: "8080" },
  },
});
const { folder } = options;

/** The flights that leave now, with the delay that each turned out to have. */
function leavingFlights([first, ...later]: readonly LiveMinute[]): object[] {
  if (first === undefined || first.timeMicros !== parseMicros(NOW)) throw new Error(`no flight leaves at ${NOW}`);
  const arrivals = [first, ...later].flatMap((minute) => minute.arrivals.map((text) => JSON.parse(text) as Arrival));
  const delays = new Map(arrivals.map(({ flight, delay }) => [flight, delay]));
  return first.departures.flatMap((text) => {
    const departure = JSON.parse(text) as { readonly flight: string };
    const delay = delays.get(departure.flight);
    return delay === undefined ? [] : [{ ...departure, delay }];
  });
}

interface Arrival {
  readonly flight: string;
  readonly delay: number;
}

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
const flights = await prepareFlights(folder, PERIOD);
const leaving = leavingFlights(flights.minutes);
await writeFile(
  join(folder, "leaving.ndjson"),
  leaving.map((flight) => `${JSON.stringify(flight)}\n`),
);
const definitions: Definition[] = Object.values(features);
const platform = await openPlatform({
  dataDir: join(folder, "data"),
  clock: new ReplayClock(parseMicros(NOW)),
  definitions,
  trainingJobs: {
    module: fileURLToPath(new URL("./cli/main.js", import.meta.resolve("onefold"))),
    arguments: ["train-job"],
  },
});
await platform.apply(definitions);
await platform.importHistory("departures", [flights.departures]);
await platform.importHistory("arrivals", [flights.arrivals]);
const server = await platform.serve({ port: Number(options.port) });
process.stdout.write(`${JSON.stringify({ url: server.url, folder, now: NOW })}\n`);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    await server.close();
    await platform.close();
    process.exit(0);
  });
}
