/**
 * Exposures as label rows: for each answer that an experiment gave a unit, its time, keys, request data and token, so that a
 * training set as served has the very bytes that were served, and the audit holds them against the log.
 */
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import { type EntityDefinition, formatViewName, type ServiceDefinition } from "../define/definition.ts";
import { formatVariant } from "../define/experiment-definition.ts";
import { requestColumnsOf } from "../define/request-columns.ts";
import type { RegistryOfAnyTime } from "../registry/registry-of-any-time.ts";
import { valueToJson } from "../schema/check-value.ts";
import { decodeEntityKey } from "../schema/entity-key.ts";
import type { ServedVector } from "../schema/served-vector.ts";
import type { Column } from "../schema/value.ts";
import { encodeVectorToken } from "../schema/vector-token.ts";

export interface ExposureLabelsRequest {
  /** What was served may have been retired since. */
  readonly registry: RegistryOfAnyTime;
  /** For example `readServingLog(folder)`. */
  readonly vectors: AsyncIterable<ServedVector>;
  readonly experiment: string;
  /** `service@version`, one of the experiment's. */
  readonly variant: string;
  /** Where to: lines of JSON. */
  readonly path: string;
}

export interface ExposureLabels {
  readonly rows: number;
  readonly tokenColumn: string;
  /** By entity. */
  readonly keyColumns: Readonly<Record<string, readonly string[]>>;
}

const TOKEN_COLUMN = "token";

/** Throws `EXPERIMENT_UNKNOWN`, `REQUEST_INVALID`, `LOG_CORRUPT`, `FILE_UNREADABLE`, and `VALUES_MISSING` where there are none. */
export async function writeExposureLabels(request: ExposureLabelsRequest): Promise<ExposureLabels> {
  const { registry, experiment, variant, path } = request;
  const { variants } = registry.experiment(experiment).definition;
  if (!variants.some((one) => formatVariant(one) === variant)) {
    throw new OnefoldError("REQUEST_INVALID", `${experiment} does not serve ${variant}`, {
      candidates: variants.map(formatVariant),
    });
  }
  const requestColumns = columnsOf(registry.service(variant).definition, registry);
  const keyColumns: Record<string, readonly string[]> = {};
  const out = createWriteStream(path);
  let rows = 0;
  for await (const vector of request.vectors) {
    const { exposure, keys, token } = vector;
    if (exposure?.experiment !== experiment || exposure.variant !== variant) continue;
    const row: Record<string, unknown> = { exposed_at: formatMicros(token.asOf), unit: exposure.unit, variant };
    for (const [name, key] of Object.entries(keys)) {
      const entity = registry.entity(name).definition;
      const names = (keyColumns[name] ??= keyNames(entity, Object.keys(keys), registry));
      Object.assign(row, keyValues(entity, names, key));
    }
    requestColumns.forEach(({ name, type }, i) => {
      row[name] = valueToJson(vector.computed?.request[i] ?? null, type);
    });
    row[TOKEN_COLUMN] = encodeVectorToken(token);
    rows++;
    if (!out.write(`${JSON.stringify(row)}\n`)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
  if (rows > 0) return { rows, tokenColumn: TOKEN_COLUMN, keyColumns };
  throw new OnefoldError("VALUES_MISSING", `the serving log has no exposure of ${experiment} to ${variant}`, {
    hint: "ask for vectors by the experiment's name; its option exposures says of which share of the units they are kept",
  });
}

/** What the key parts of an entity are called, unlike those of the other entities. */
function keyNames(
  entity: EntityDefinition,
  entities: readonly string[],
  registry: RegistryOfAnyTime,
): readonly string[] {
  const others = entities
    .filter((name) => name !== entity.name)
    .flatMap((name) => registry.entity(name).definition.keys.map((key) => key.name));
  return entity.keys.map(({ name }) => (others.includes(name) ? `${entity.name}.${name}` : name));
}

function keyValues(entity: EntityDefinition, names: readonly string[], key: string): Record<string, unknown> {
  const types = entity.keys.map(({ type }) => type);
  const values = decodeEntityKey(key, types);
  return Object.fromEntries(
    names.map((name, i) => {
      const value = values[i]!;
      const isTime = types[i]!.name === "timestamp";
      return [name, isTime ? formatMicros(value as Micros) : valueToJson(value, types[i]!)];
    }),
  );
}

/** In the order that the serving log has their values in. */
function columnsOf(service: ServiceDefinition, registry: RegistryOfAnyTime): readonly Column[] {
  const onDemand = new Map(registry.onDemandViews().map(({ definition }) => [formatViewName(definition), definition]));
  return requestColumnsOf(service.features, (name, version) => onDemand.get(formatViewName({ name, version })) ?? null)
    .columns;
}
