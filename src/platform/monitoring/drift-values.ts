/**
 * The values that a side of a drift report is made of, wherever they lie: windows of what was served, the serving log,
 * training sets and other files, feature rows, or the label rows that a fit was fitted to.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { OnefoldError } from "../../base/errors.ts";
import { referenceOfId } from "../../define/service-version.ts";
import { formatMicros, type Micros } from "../../base/micros.ts";
import {
  type DriftWindow,
  type FeatureColumn,
  featureProfile,
  mergeWindows,
} from "../../monitor/drift/drift-window.ts";
import type { DriftSide } from "../../monitor/drift/drift-report.ts";
import { type ProfileBuilder, profileBuilder } from "../../monitor/drift/profile-builder.ts";
import { EXACT, type ProfileBounds, profileKindOf, SKETCH } from "../../monitor/drift/profile.ts";
import type { KeptWindows } from "../../monitor/drift/joined-windows.ts";
import type { TimeRange, WindowFolder } from "../../monitor/drift/window-folder.ts";
import { readCsvHeader, csvReaderSql } from "../../offline-store/csv-file.ts";
import { type EngineColumn, type QueryEngine, sqlName } from "../../offline-store/engine.ts";
import { parquetSql } from "../../offline-store/file-sql.ts";
import { readServingLog } from "../../schema/served-vector.ts";
import type { TrainingManifest } from "../../training/manifest.ts";
import type { TrainingPorts } from "../../training/ports.ts";
import { planService, type ServicePlan } from "../../training/service-plan.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { DriftSource } from "./drift-source.ts";
import { fittedRows } from "./fitted-columns.ts";

export interface DriftHouse {
  readonly context: Pick<RuntimeContext, "dataDir" | "openEngine" | "clock"> & {
    readonly offline: Pick<RuntimeContext["offline"], "find">;
  };
  readonly ports: TrainingPorts;
  readonly windows: WindowFolder;
  /** Sketches of what was folded, by view. */
  readonly folded: KeptWindows;
}

interface SideRequest {
  readonly service: string;
  /** As it was asked for. */
  readonly text: string;
  readonly exact: boolean;
  /** What times name: vectors that were served, or what was folded. */
  readonly of: "served" | "folded";
}

/** Throws `VALUES_MISSING` where there are none, and what reading throws. */
export async function driftSide(house: DriftHouse, source: DriftSource, request: SideRequest): Promise<DriftSide> {
  const window = await valuesOf(house, source, request);
  if (window === null) throw noValues(source, request);
  const { text, exact } = request;
  return { source: text, isExact: exact || source.kind === "folded", window };
}

async function valuesOf(house: DriftHouse, source: DriftSource, request: SideRequest): Promise<DriftWindow | null> {
  const { service, exact } = request;
  const bounds = exact ? EXACT : SKETCH;
  switch (source.kind) {
    case "served":
      if (request.of === "folded") {
        return exact ? foldedValues(house, source, service, EXACT) : foldedSketches(house, source, service);
      }
      return exact ? loggedValues(house, source, request) : windowsOf(house, source, service);
    case "chosen":
      return (await house.windows.readBaseline(service))?.window ?? null;
    case "training": {
      const path = join(house.context.dataDir, "training-sets", source.id, "set.parquet");
      return existsSync(path) ? fileValues(house, path, service, bounds) : null;
    }
    case "file":
      return fileValues(house, source.path, service, bounds);
    case "folded":
      return foldedValues(house, source, service, bounds);
    case "fit": {
      const { columns, rows } = await fittedRows(house.ports, service, source.version);
      const builders = columns.map(({ type }) => profileBuilder(profileKindOf(type), bounds));
      for (const [i, column] of columns.entries()) {
        for (const row of rows) builders[i]!.add(column.value(row));
      }
      return {
        ...timeless(service, rows.length, featureColumns(planService(house.ports, referenceOfId(service))), builders),
        fit: source.version,
      };
    }
  }
}

async function windowsOf({ windows }: DriftHouse, range: TimeRange, service: string): Promise<DriftWindow | null> {
  const found = await windows.read(service, range);
  return found.length === 0 ? null : mergeWindows(found);
}

/** Of the service's features that views fold. */
async function foldedSketches(
  { folded, ports }: DriftHouse,
  range: TimeRange,
  service: string,
): Promise<DriftWindow | null> {
  const { program, views } = planService(ports, referenceOfId(service));
  const features: DriftWindow["features"][number][] = [];
  let vectors = 0;
  for (const { name: view } of views) {
    const found = await folded.read(view, range);
    if (found.length === 0) continue;
    const merged = mergeWindows(found);
    const profiles = new Map(merged.features.map((feature) => [feature.name, feature]));
    for (const { name, from, feature, isTransformed } of program.outputs) {
      const profile = from === view && !isTransformed ? profiles.get(feature) : undefined;
      if (profile !== undefined) features.push({ ...profile, name });
    }
    vectors += merged.vectors;
  }
  if (features.length === 0) return null;
  const { fromMicros: startMicros, untilMicros: endMicros } = range;
  return { service, fit: null, startMicros, endMicros, vectors, features };
}

export function featureColumns({ program }: ServicePlan): FeatureColumn[] {
  return program.outputs.map(({ name, from, type }) => ({ name, view: from, type }));
}

/** Vectors of the serving log, which holds those of a part of the entities. */
async function loggedValues(
  { context, ports }: DriftHouse,
  range: TimeRange,
  { service }: SideRequest,
): Promise<DriftWindow | null> {
  const plan = planService(ports, referenceOfId(service));
  const { outputs } = plan.program;
  const columns = featureColumns(plan);
  const builders = columns.map(({ type }) => profileBuilder(profileKindOf(type), EXACT));
  let vectors = 0;
  for await (const served of readServingLog(join(context.dataDir, "serving-log"))) {
    const { asOf } = served.token;
    if (served.service !== service || asOf < range.fromMicros || asOf >= range.untilMicros) continue;
    const { computed } = served;
    if (computed !== undefined) {
      // Of another definition the values are called otherwise.
      if (computed.fingerprint !== plan.fingerprint) continue;
      computed.values.forEach((value, i) => builders[i]?.add(value));
    } else {
      const places = new Map(served.features.map((name, i) => [name, i]));
      outputs.forEach(({ from, feature }, i) =>
        builders[i]!.add(served.values[places.get(`${from}:${feature}`) ?? -1] ?? null),
      );
    }
    vectors++;
  }
  if (vectors === 0) return null;
  const { fromMicros: startMicros, untilMicros: endMicros } = range;
  return { ...timeless(service, vectors, columns, builders), startMicros, endMicros };
}

async function fileValues(
  { context, ports }: DriftHouse,
  path: string,
  service: string,
  bounds: ProfileBounds,
): Promise<DriftWindow> {
  const named = await columnNames(path, service);
  const columns = featureColumns(planService(ports, referenceOfId(service))).map((column) => ({
    ...column,
    column: named.get(column.name) ?? column.name,
  }));
  const table = path.endsWith(".csv") ? csvReaderSql(path, await readCsvHeader(path)) : parquetSql(path);
  const engine = await context.openEngine();
  try {
    const present = new Set((await engine.rows(`DESCRIBE SELECT * FROM ${table}`)).map((row) => row["column_name"]));
    const found = columns.filter(({ column }) => present.has(column));
    if (found.length === 0) {
      throw new OnefoldError("VALUES_MISSING", `no column of ${path} is named like a feature of service "${service}"`, {
        hint: `its features are ${columns.map(({ name }) => name).join(", ")}`,
      });
    }
    const { rows, builders } = await countRows(engine, `FROM ${table}`, found, bounds);
    return timeless(service, rows, found, builders);
  } finally {
    await engine.close();
  }
}

/** Columns of a training set of several services by the feature's name in this one, as its manifest has them; none else. */
async function columnNames(path: string, service: string): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(`${path}.manifest.json`, "utf8").catch(() => "{}");
  const { features = [] } = JSON.parse(text) as Partial<TrainingManifest>;
  const own = features.filter((feature) => feature.service === service);
  return new Map(own.map(({ serviceFeature, name }) => [serviceFeature, name]));
}

/** Of the service's features that views fold; nothing is folded of what is computed at the request. */
async function foldedValues(
  { context, ports }: DriftHouse,
  { fromMicros, untilMicros }: TimeRange,
  service: string,
  bounds: ProfileBounds,
): Promise<DriftWindow | null> {
  const { program, views } = planService(ports, referenceOfId(service));
  const features: DriftWindow["features"][number][] = [];
  let vectors = 0;
  const engine = await context.openEngine();
  try {
    for (const { name: view } of views) {
      const table = await context.offline.find(`features/${view}`);
      const files = table === null ? [] : (await table.snapshot()).files;
      if (files.length === 0) continue;
      const paths = files.map((file) => file.path);
      const rowsOf = `FROM ${parquetSql(paths, "union_by_name = true")}
        WHERE epoch_us(_minute) >= ${fromMicros} AND epoch_us(_minute) < ${untilMicros}`;
      const present = new Set((await engine.rows(`DESCRIBE SELECT * ${rowsOf}`)).map((row) => row["column_name"]));
      const columns = program.outputs
        .filter(({ from, feature, isTransformed }) => from === view && !isTransformed && present.has(feature))
        .map(({ name, from, feature, type }) => ({ name, view: from, type, column: feature }));
      if (columns.length === 0) continue;
      const { rows, builders } = await countRows(engine, rowsOf, columns, bounds);
      vectors += rows;
      features.push(...columns.map((column, i) => featureProfile(column, builders[i]!.profile())));
    }
  } finally {
    await engine.close();
  }
  if (vectors === 0) return null;
  return { service, fit: null, startMicros: fromMicros, endMicros: untilMicros, vectors, features };
}

async function countRows(
  engine: QueryEngine,
  from: string,
  columns: readonly (FeatureColumn & { readonly column?: string })[],
  bounds: ProfileBounds,
): Promise<{ readonly rows: number; readonly builders: readonly ProfileBuilder[] }> {
  const builders = columns.map(({ type }) => profileBuilder(profileKindOf(type), bounds));
  const specs = columns.map(({ name, column = name, type }): { sql: string; as: EngineColumn } => {
    const cell = sqlName(column);
    const kind = profileKindOf(type);
    if (kind === "category") return { sql: `${cell}::VARCHAR`, as: { as: "text" } };
    const number = kind === "numeric" ? `${cell}::DOUBLE` : `CASE WHEN ${cell} IS NULL THEN NULL ELSE 1 END::DOUBLE`;
    return { sql: number, as: { as: "number" } };
  });
  const select = `SELECT ${specs.map(({ sql }) => sql).join(", ")} ${from}`;
  let rows = 0;
  for await (const batch of engine.stream(
    select,
    specs.map(({ as }) => as),
  )) {
    rows += batch.rowCount;
    for (const [i, builder] of builders.entries()) {
      const cells = batch.columns[i]!;
      const validity = batch.validity[i]!;
      for (let row = 0; row < batch.rowCount; row++) builder.add(validity?.[row] === 0 ? null : cells[row]);
    }
  }
  return { rows, builders };
}

/** Times are not known of it. */
function timeless(
  service: string,
  vectors: number,
  columns: readonly FeatureColumn[],
  builders: readonly ProfileBuilder[],
): DriftWindow {
  const features = columns.map((column, i) => featureProfile(column, builders[i]!.profile()));
  return { service, fit: null, startMicros: Number.NaN, endMicros: Number.NaN, vectors, features };
}

function noValues(source: DriftSource, { service, text, exact }: SideRequest): OnefoldError {
  const message = `there are no values of service "${service}" in ${text}`;
  if (source.kind === "served") {
    const range = `${formatMicros(source.fromMicros as Micros)} to ${formatMicros(source.untilMicros as Micros)}`;
    const hint = exact
      ? "the serving log holds vectors of a part of the entities: see --sample of onefold serve"
      : "a server looks at a part of what it serves, and writes it down every half minute: see --drift-sample";
    return new OnefoldError("VALUES_MISSING", message, { where: range, hint });
  }
  const hint =
    source.kind === "chosen" ? "choose one: onefold drift --service S --baseline training:ID --choose" : undefined;
  return new OnefoldError("VALUES_MISSING", message, hint === undefined ? {} : { hint });
}
