/**
 * What training sets are measured on: payments of many users over 90 days, label rows at random times, and ten
 * features over three windows. A user has about 100 payments, at any size: more events are more users.
 *
 * The events lie in the archive of a data folder, as an import leaves them, and beside it as a plain Parquet file of
 * three columns for those who read that.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import type { Definition } from "../../src/define/definition.ts";
import { col, count, entity, last, mean, service, stream, sum, t, view } from "../../src/index.ts";
import { openEventArchive } from "../../src/offline-store/delta-event-archive.ts";
import { openOfflineStore } from "../../src/offline-store/delta-table.ts";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import { openFileRegistry } from "../../src/registry/file-registry.ts";

const EVENTS_A_USER = 100;
const EVENTS_A_LABEL = 10;
const START = "2026-01-01 00:00:00+00";
const DAYS = 90;
const LARGE_AMOUNT = 75;
const HISTORY_BASE = -(2 ** 52);

const user = entity("user", { user_id: t.string() });
const payments = stream("payments", {
  columns: {
    user_id: t.string(),
    paid_at: t.timestamp(),
    amount: t.float64(),
    country: t.string(),
    terminal: t.int64(),
  },
  eventTime: "paid_at",
});
const spending = view("spending", {
  version: 1,
  entity: user,
  source: payments,
  features: {
    count_1h: count().over("1h"),
    count_24h: count().over("24h"),
    count_30d: count().over("30d"),
    sum_1h: sum("amount").over("1h"),
    sum_24h: sum("amount").over("24h"),
    sum_30d: sum("amount").over("30d"),
    mean_1h: mean("amount").over("1h"),
    mean_24h: mean("amount").over("24h"),
    mean_30d: mean("amount").over("30d"),
    large_30d: count().over("30d").where(col("amount").gt(LARGE_AMOUNT)),
  },
});
/** What Feast has, too. */
const latest = view("latest", { version: 1, entity: user, source: payments, features: { amount: last("amount") } });

export const SERVICES = { windows: "spending_model", latest: "latest_model" } as const;
export const definitions: readonly Definition[] = [
  user,
  payments,
  spending,
  latest,
  service(SERVICES.windows, { features: [spending] }),
  service(SERVICES.latest, { features: [latest] }),
];
export const COUNTS: readonly string[] = ["count_1h", "count_24h", "count_30d", "large_30d"];
export const AMOUNTS: readonly string[] = ["sum_1h", "sum_24h", "sum_30d", "mean_1h", "mean_24h", "mean_30d"];
/** SQL of a payment that `large_30d` counts. */
export const IS_LARGE: string = `amount > ${LARGE_AMOUNT}`;

export interface Workload {
  readonly events: number;
  readonly labels: number;
  readonly dataDir: string;
  /** user_id, paid_at, amount; in the order of time. */
  readonly eventFile: string;
  /** label_id, user_id, event_timestamp; in no order. */
  readonly labelFile: string;
}

export async function makeWorkload(folder: string, events: number): Promise<Workload> {
  await mkdir(folder, { recursive: true });
  const labels = Math.ceil(events / EVENTS_A_LABEL);
  const workload: Workload = {
    events,
    labels,
    dataDir: join(folder, "data"),
    eventFile: join(folder, "events.parquet"),
    labelFile: join(folder, "labels.parquet"),
  };
  const users = Math.ceil(events / EVENTS_A_USER);
  const spanMicros = DAYS * 86_400_000_000;
  const stepMicros = Math.floor(spanMicros / events);
  const engine = await openDuckDb({});
  try {
    const userOf = (number: string): string => `'user-' || (hash(${number}) % ${users})`;
    await engine.run(`COPY (SELECT ${userOf("i")} AS user_id,
        TIMESTAMPTZ '${START}' + to_microseconds((i * ${stepMicros} + hash(i + 1) % ${stepMicros})::BIGINT) AS paid_at,
        (hash(i + 2) % 1000003)::DOUBLE / 10007 AS amount
      FROM range(${events}) r(i) ORDER BY i) TO ${sqlText(workload.eventFile)} (FORMAT parquet, COMPRESSION zstd)`);
    await engine.run(`COPY (SELECT i AS label_id, ${userOf("i + 3")} AS user_id,
        TIMESTAMPTZ '${START}' + to_microseconds((hash(i + 4) % ${spanMicros})::BIGINT) AS event_timestamp
      FROM range(${labels}) r(i)) TO ${sqlText(workload.labelFile)} (FORMAT parquet, COMPRESSION zstd)`);
    const registry = await openFileRegistry(join(workload.dataDir, "registry"), { clock: systemClock });
    await registry.apply(definitions);
    const store = openOfflineStore(join(workload.dataDir, "offline"), engine, { clock: systemClock });
    const archive = await openEventArchive(store, engine, registry.source("payments").definition);
    const first = parseMicros(START.replace(" ", "T").replace("+00", "Z"));
    await archive.appendHistory(await archive.files(), {
      engine,
      select: `SELECT user_id, paid_at, amount, 'C' || (hash(file_row_number) % 200) AS country, file_row_number % 5000 AS terminal,
          paid_at AS _event_time, paid_at AS _known_time, ${HISTORY_BASE} + file_row_number AS _offset, NULL::VARCHAR AS _id
        FROM read_parquet(${sqlText(workload.eventFile)}, file_row_number = true)`,
      firstKnownTime: first,
      lastKnownTime: first + spanMicros,
    });
    return workload;
  } finally {
    await engine.close();
  }
}
