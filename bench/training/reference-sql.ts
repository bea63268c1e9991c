/**
 * The same features in DuckDB SQL, written by hand in three forms; the fastest is what `train` is measured against.
 *
 * - `window`: labels among the events, one RANGE window a feature window.
 * - `prefix`: running count and sums an event, and for each edge of a window an ASOF join to the last event before it;
 *   a window is the difference of two. Its sums are those of all events less those before, so they round otherwise.
 * - `range`: labels joined with the events of the longest window, grouped, each feature with its filter.
 *
 * A window of length W at t covers (t - W, t].
 */
import { sqlText } from "../../src/offline-store/engine.ts";
import { IS_LARGE, type Workload } from "./workload.ts";

const WINDOWS = [
  ["1h", "INTERVAL 1 HOUR"],
  ["24h", "INTERVAL 24 HOURS"],
  ["30d", "INTERVAL 720 HOURS"],
] as const;

export const SQL_FORMS = ["window", "prefix", "range"] as const;
export type SqlForm = (typeof SQL_FORMS)[number];

/** A statement that writes label_id, user_id, event_timestamp and the features, in the labels' order. */
export function referenceSql(form: SqlForm, workload: Workload, out: string): string {
  const events = `read_parquet(${sqlText(workload.eventFile)})`;
  const labels = `read_parquet(${sqlText(workload.labelFile)})`;
  const query = { window: windowSql, prefix: prefixSql, range: rangeSql }[form](events, labels);
  return `COPY (${query}) TO ${sqlText(out)} (FORMAT parquet, COMPRESSION zstd)`;
}

function windowSql(events: string, labels: string): string {
  const features = WINDOWS.map(
    ([name]) => `count(amount) OVER w_${name} AS count_${name}, sum(amount) OVER w_${name} AS sum_${name},
      avg(amount) OVER w_${name} AS mean_${name}`,
  );
  const windows = WINDOWS.map(
    ([name, interval]) => `w_${name} AS (PARTITION BY user_id ORDER BY t
      RANGE BETWEEN ${interval} - INTERVAL 1 MICROSECOND PRECEDING AND CURRENT ROW)`,
  );
  return `SELECT label_id, user_id, t AS event_timestamp, * EXCLUDE (label_id, user_id, t, amount) FROM (
      SELECT label_id, user_id, t, amount, ${features.join(", ")},
        count(CASE WHEN ${IS_LARGE} THEN 1 END) OVER w_30d AS large_30d
      FROM (SELECT NULL AS label_id, user_id, paid_at AS t, amount FROM ${events}
        UNION ALL SELECT label_id, user_id, event_timestamp, NULL FROM ${labels})
      WINDOW ${windows.join(", ")})
    WHERE label_id IS NOT NULL ORDER BY label_id`;
}

function prefixSql(events: string, labels: string): string {
  const edges = [["now", "INTERVAL 0 HOURS"], ...WINDOWS] as const;
  const joins = edges.map(
    ([name, interval]) => `ASOF LEFT JOIN running r_${name}
      ON l.user_id = r_${name}.user_id AND l.event_timestamp - ${interval} >= r_${name}.paid_at`,
  );
  const since = (column: string, name: string): string =>
    `coalesce(r_now.${column}, 0) - coalesce(r_${name}.${column}, 0)`;
  const features = WINDOWS.map(([name]) => {
    const n = since("n", name);
    const s = since("s", name);
    return `${n} AS count_${name}, CASE WHEN ${n} > 0 THEN ${s} END AS sum_${name},
      CASE WHEN ${n} > 0 THEN (${s}) / (${n}) END AS mean_${name}`;
  });
  return `WITH running AS MATERIALIZED (SELECT user_id, paid_at, count(*) OVER w AS n, sum(amount) OVER w AS s,
        count(CASE WHEN ${IS_LARGE} THEN 1 END) OVER w AS large
      FROM ${events} WINDOW w AS (PARTITION BY user_id ORDER BY paid_at ROWS UNBOUNDED PRECEDING))
    SELECT l.label_id, l.user_id, l.event_timestamp, ${features.join(", ")}, ${since("large", "30d")} AS large_30d
    FROM ${labels} l ${joins.join(" ")} ORDER BY l.label_id`;
}

function rangeSql(events: string, labels: string): string {
  const features = WINDOWS.map(([name, interval]) => {
    const inside = `FILTER (WHERE e.paid_at > l.event_timestamp - ${interval})`;
    return `count(e.amount) ${inside} AS count_${name}, sum(e.amount) ${inside} AS sum_${name},
      avg(e.amount) ${inside} AS mean_${name}`;
  });
  return `SELECT l.label_id, any_value(l.user_id) AS user_id, any_value(l.event_timestamp) AS event_timestamp, ${features.join(", ")},
      count(CASE WHEN ${IS_LARGE} THEN 1 END) AS large_30d
    FROM ${labels} l LEFT JOIN ${events} e
      ON e.user_id = l.user_id AND e.paid_at <= l.event_timestamp AND e.paid_at > l.event_timestamp - ${WINDOWS[2][1]}
    GROUP BY l.label_id ORDER BY l.label_id`;
}
