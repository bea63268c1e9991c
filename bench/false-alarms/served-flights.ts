/**
 * The vectors that the delay model of the flights example is asked for when flights leave: a training set of them, as known,
 * which is bit for bit what serving returns.
 */
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { delayModel } from "../../examples/flights/features.ts";
import * as features from "../../examples/flights/features.ts";
import { type Period, prepareFlights } from "../../examples/flights/prepare.ts";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import type { Definition, ViewDefinition } from "../../src/define/definition.ts";
import type { FeatureColumn } from "../../src/monitor/drift/drift-window.ts";
import { openPlatform } from "../../src/platform.ts";
import type { ServedVectors } from "./served-vectors.ts";

/** Everything is written into `folder`. */
export async function servedFlights(folder: string, period: Period): Promise<ServedVectors> {
  const flights = await prepareFlights(folder, period);
  const definitions = Object.values(features) as readonly Definition[];
  const clock = new ReplayClock(parseMicros(`${period.end}T00:00:00Z`));
  const platform = await openPlatform({ dataDir: join(folder, "data"), clock, definitions });
  const out = join(folder, "vectors.parquet");
  try {
    await platform.apply(definitions);
    await platform.importHistory("departures", [flights.departures]);
    await platform.importHistory("arrivals", [flights.arrivals]);
    const knowledge = { knowledge: "as-known", boundary: "exclusive" } as const;
    await platform.train({
      service: "delay_model",
      labels: flights.labels,
      out,
      timeColumn: "departed_at",
      ...knowledge,
    });
  } finally {
    await platform.close();
  }
  return readVectors(out);
}

async function readVectors(path: string): Promise<ServedVectors> {
  const columns = delayModel.features.map(({ as, view, version, feature }): FeatureColumn => {
    const { type } = viewOf(view).features.find(({ name }) => name === feature)!;
    return { name: as, view: `${view}@${version}`, type };
  });
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const names = columns.map(({ name }) => `"${name}"::DOUBLE`).join(", ");
    const result = await connection.runAndReadAll(
      `SELECT (epoch_us(departed_at) // 3600000000)::DOUBLE, ${names}
       FROM read_parquet('${path.replaceAll("'", "''")}') ORDER BY departed_at, flight`,
    );
    const [hours, ...values] = result.getColumnsJS() as [number[], ...(number | null)[][]];
    return {
      columns,
      hours: Int32Array.from(hours),
      values: values.map((column) => Float64Array.from(column, (value) => value ?? Number.NaN)),
    };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function viewOf(name: string): ViewDefinition {
  return Object.values(features).find((one) => one.kind === "view" && one.name === name) as ViewDefinition;
}
