/**
 * Turns the table of flights into what a platform would have seen: two events a flight, each at its own time.
 *
 * The data says when a flight left and how late it was, not when it landed. So an arrival is put at
 *
 *     departure + max(10 min, estimate + delay),   estimate = 30 min + distance / 460 mph
 *
 * History is what was known before `cut`; the events after it are kept for the live replay, in the order in which
 * they became known.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DuckDBInstance, type DuckDBConnection } from "@duckdb/node-api";

export interface Period {
  /** First day of history, cut between history and replay, end of the replay: ISO dates, UTC. */
  readonly start: string;
  readonly cut: string;
  readonly end: string;
  /** Labels for training are taken from the days `[trainFrom, cut)`. */
  readonly trainFrom: string;
  /** One flight in so many is sampled for labels: a power of 16 or less, see `sampled`. */
  readonly sampledSixteenths: number;
}

export interface LiveMinute {
  /** Microseconds since the epoch. */
  readonly timeMicros: number;
  /** Events that become known in this minute, by source, one JSON text each. */
  readonly departures: string[];
  readonly arrivals: string[];
  /** Departures of this minute whose vectors the model asks for. */
  readonly questions: Question[];
}

export interface Question {
  readonly flight: string;
  readonly origin: string;
  readonly destination: string;
}

export interface PreparedFlights {
  readonly flights: number;
  /** Parquet files of history, by source. */
  readonly departures: string;
  readonly arrivals: string;
  /** The same arrivals and the replayed days' as a table that has only the departure's date. */
  readonly allDepartures: string;
  readonly flightsAtDeparture: string;
  readonly labels: string;
  readonly minutes: LiveMinute[];
  /** The first arrivals after the end, at most a hundred: once they are known, nothing before them can be any more. */
  readonly later: LiveMinute[];
}

const ESTIMATED_MINUTES = "30 + distance / 460.0 * 60";

/** Writes the files into `folder`. About 6 s for the whole data on two cores. */
export async function prepareFlights(folder: string, period: Period): Promise<PreparedFlights> {
  await mkdir(folder, { recursive: true });
  const instance = await DuckDBInstance.create(":memory:", {
    memory_limit: "900MB",
    temp_directory: join(folder, "tmp"),
  });
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    await loadFlights(connection, period);
    const paths = {
      departures: join(folder, "departures.parquet"),
      arrivals: join(folder, "arrivals.parquet"),
      allDepartures: join(folder, "departures-whole.parquet"),
      flightsAtDeparture: join(folder, "flights-at-departure.parquet"),
      labels: join(folder, "labels.parquet"),
    };
    const departures = "SELECT flight, departed_at, origin, destination FROM flights";
    const arrivals = "SELECT flight, departed_at, arrived_at, origin, destination, delay FROM flights";
    const cut = `TIMESTAMP '${period.cut}'`;
    await copy(connection, `${departures} WHERE departed_at < ${cut} ORDER BY departed_at, flight`, paths.departures);
    await copy(connection, `${arrivals} WHERE arrived_at < ${cut} ORDER BY arrived_at, flight`, paths.arrivals);
    await copy(connection, `${departures} ORDER BY departed_at, flight`, paths.allDepartures);
    await copy(
      connection,
      "SELECT flight, departed_at, origin, destination, delay FROM flights ORDER BY departed_at, flight",
      paths.flightsAtDeparture,
    );
    await copy(
      connection,
      `SELECT DISTINCT flight, origin, destination, departed_at, CAST(delay > 15 AS INTEGER) AS arrived_late,
              departed_at >= ${cut} AS held_out
       FROM flights
       WHERE ${sampled(period)} AND delay >= -90 AND departed_at >= TIMESTAMP '${period.trainFrom}'
       ORDER BY departed_at, flight`,
      paths.labels,
    );
    const [[flights]] = (await connection.runAndReadAll("SELECT count(*)::DOUBLE FROM flights")).getRowsJS() as [
      [number],
    ];
    return {
      ...paths,
      flights,
      minutes: await readLiveMinutes(connection, period),
      later: await readLaterArrivals(connection, period),
    };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function loadFlights(connection: DuckDBConnection, period: Period): Promise<void> {
  const file = fileURLToPath(new URL("../data/flights-3m.parquet", import.meta.resolve("vega-datasets")));
  await connection.run(`
    CREATE TABLE flights AS
    SELECT left(md5(concat_ws('|', date, origin, destination, delay, distance)), 16) AS flight,
           date AS departed_at,
           date + to_minutes(CAST(greatest(10, round(${ESTIMATED_MINUTES} + delay)) AS BIGINT)) AS arrived_at,
           origin, destination, delay
    FROM read_parquet('${file.replaceAll("'", "''")}')
    WHERE date >= TIMESTAMP '${period.start}' AND date < TIMESTAMP '${period.end}'`);
}

/** A flight's id is a hash, so its first digit draws a fair and repeatable sample. */
function sampled(period: Period): string {
  return `flight < '${period.sampledSixteenths.toString(16)}'`;
}

async function copy(connection: DuckDBConnection, query: string, path: string): Promise<void> {
  await connection.run(`COPY (${query}) TO '${path.replaceAll("'", "''")}' (FORMAT parquet, COMPRESSION snappy)`);
}

/** The replayed days, minute by minute. Two flights of one minute come in the order of their ids. */
async function readLiveMinutes(connection: DuckDBConnection, period: Period): Promise<LiveMinute[]> {
  const cut = `TIMESTAMP '${period.cut}'`;
  const end = `TIMESTAMP '${period.end}'`;
  const minutes = new Map<number, LiveMinute>();
  const minuteAt = (timeMicros: number): LiveMinute => {
    let minute = minutes.get(timeMicros);
    if (minute === undefined)
      minutes.set(timeMicros, (minute = { timeMicros, departures: [], arrivals: [], questions: [] }));
    return minute;
  };
  const departures = await rows<[number, string, string, string, string, boolean]>(
    connection,
    `SELECT epoch_us(departed_at)::DOUBLE, flight, ${iso("departed_at")}, origin, destination,
            ${sampled(period)} AND delay >= -90
     FROM flights WHERE departed_at >= ${cut} AND departed_at < ${end} ORDER BY departed_at, flight`,
  );
  let previous = "";
  for (const [time, flight, departed_at, origin, destination, isSampled] of departures) {
    const minute = minuteAt(time);
    minute.departures.push(JSON.stringify({ flight, departed_at, origin, destination }));
    if (isSampled && flight !== previous) minute.questions.push({ flight, origin, destination });
    previous = flight;
  }

  for (const [time, arrival] of await readArrivals(connection, `arrived_at >= ${cut} AND arrived_at < ${end}`)) {
    minuteAt(time).arrivals.push(arrival);
  }
  return [...minutes.values()].sort((a, b) => a.timeMicros - b.timeMicros);
}

async function readLaterArrivals(connection: DuckDBConnection, { end }: Period): Promise<LiveMinute[]> {
  const found = await readArrivals(connection, `arrived_at >= TIMESTAMP '${end}'`, "LIMIT 100");
  return found.map(([timeMicros, arrival]) => ({ timeMicros, departures: [], arrivals: [arrival], questions: [] }));
}

/** With the time at which each becomes known, in microseconds. */
async function readArrivals(connection: DuckDBConnection, where: string, limit = ""): Promise<[number, string][]> {
  const arrivals = await rows<[number, string, string, string, string, string, number]>(
    connection,
    `SELECT epoch_us(arrived_at)::DOUBLE, flight, ${iso("departed_at")}, ${iso("arrived_at")}, origin, destination, delay::DOUBLE
     FROM flights WHERE ${where} ORDER BY arrived_at, flight ${limit}`,
  );
  return arrivals.map(([time, flight, departed_at, arrived_at, origin, destination, delay]) => [
    time,
    JSON.stringify({ flight, departed_at, arrived_at, origin, destination, delay }),
  ]);
}

function iso(column: string): string {
  return `strftime(${column}, '%Y-%m-%dT%H:%M:%SZ') AS ${column}`;
}

async function rows<T>(connection: DuckDBConnection, query: string): Promise<T[]> {
  return (await connection.runAndReadAll(query)).getRowsJS() as T[];
}
