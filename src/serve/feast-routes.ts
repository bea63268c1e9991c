/**
 * Feast's HTTP wire, as its own client speaks it (`online_store: {type: remote}`): features by column, and
 * rows pushed by column. A caller's fault is answered with a 4xx that this client does not retry.
 */
import { namesOf } from "../schema/value.ts";
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { SourceDefinition } from "../define/definition.ts";
import type { NamedPlan } from "./experiment-plan.ts";
import { type FeastHead, FeastHeads, KnownRequest, type OnlineFeaturesRequest } from "./feast-heads.ts";
import { type FeastColumns, FeastRows } from "./feast-rows.ts";
import type { FeatureReader } from "./feature-reader.ts";
import type { ServePorts } from "./ports.ts";
import { consumerHeaders, errorSchema, type JsonSchema, nameSchema, type Route, type RouteAnswer } from "./route.ts";
import { snapshotAgeHeaders } from "./snapshot-age.ts";
import { BATCH_MAX, VECTORS_PER_TURN } from "./vector-batch.ts";

const columnsSchema: JsonSchema = {
  type: "object",
  additionalProperties: { type: "array" },
  description: "lists of equal length by column",
};
const readErrors: Readonly<Record<number, JsonSchema>> = {
  400: errorSchema,
  404: errorSchema,
  409: errorSchema,
  503: errorSchema,
};
const pushErrors: Readonly<Record<number, JsonSchema>> = {
  400: errorSchema,
  404: errorSchema,
  409: errorSchema,
  422: errorSchema,
  507: errorSchema,
};

export function feastRoutes(reader: FeatureReader, ports: ServePorts): Route[] {
  return [
    {
      method: "POST",
      path: "/get-online-features",
      summary: "Feast's wire: features of many entities, by column",
      reads: "wide-json",
      isHot: true,
      known: new FeastHeads(),
      schemas: {
        body: {
          type: "object",
          required: ["entities"],
          properties: {
            entities: { ...columnsSchema, description: "key columns, and request data, by column" },
            features: { type: "array", items: nameSchema, maxItems: 5000, description: "view:feature" },
            feature_service: { type: ["string", "null"] },
            full_feature_names: { type: "boolean", description: "names features view__feature" },
          },
        },
        headers: consumerHeaders,
        answerHeaders: snapshotAgeHeaders,
        answers: { ...readErrors, 200: onlineFeaturesSchema },
      },
      handle: ({ body, consumer }) =>
        answerOnlineFeatures(reader, ports.registry, body as OnlineFeaturesRequest | KnownRequest, consumer ?? ""),
    },
    {
      method: "POST",
      path: "/push",
      summary: "Feast's wire: push rows to a source, by column",
      reads: "wide-json",
      schemas: {
        body: {
          type: "object",
          required: ["push_source_name", "df"],
          properties: {
            push_source_name: { ...nameSchema, description: "the source" },
            df: columnsSchema,
            to: {
              enum: ["online", "offline", "online_and_offline"],
              description: "every event goes to both stores, whatever is asked",
            },
          },
        },
        answers: { ...pushErrors, 200: { type: "null" } },
      },
      handle: async (request) => {
        const { push_source_name: name, df } = request.body as { push_source_name: string; df: FeastColumns };
        return pushColumns(ports, sourceNamed(ports, name), df);
      },
    },
    {
      method: "POST",
      path: "/write-to-online-store",
      summary: "Feast's wire: push rows to the source of a view (or to a source), by column",
      reads: "wide-json",
      schemas: {
        body: {
          type: "object",
          required: ["feature_view_name", "df"],
          properties: {
            feature_view_name: { ...nameSchema, description: "a source, or a view: then its source" },
            df: columnsSchema,
          },
        },
        answers: { ...pushErrors, 200: { type: "null" } },
      },
      handle: async (request) => {
        const { feature_view_name: name, df } = request.body as { feature_view_name: string; df: FeastColumns };
        return pushColumns(ports, sourceOfView(ports, name), df);
      },
    },
  ];
}

/** In the turn that asks, where states are read in it and there are not many rows. */
function answerOnlineFeatures(
  reader: FeatureReader,
  registry: ServePorts["registry"],
  body: OnlineFeaturesRequest | KnownRequest,
  consumer: string,
): RouteAnswer | Promise<RouteAnswer> {
  const { entities } = body;
  const head: FeastHead = body instanceof KnownRequest ? body.head : body;
  const plan = body instanceof KnownRequest ? reader.knownPlan(head, () => planOf(reader, head)) : planOf(reader, head);
  const rowCount = rowCountOf(entities, "entities");
  if (rowCount > BATCH_MAX) {
    throw new OnefoldError("REQUEST_INVALID", `${rowCount} entities, at most ${BATCH_MAX} are answered at once`, {
      where: "entities",
    });
  }
  const fullNames = head.full_feature_names === true && isService(head);
  const rows = new FeastRows({ plan, entities, rowCount, reader, registry, consumer, fullNames });
  if (reader.fetch !== null) return reader.fetch(rows.vectors()).then((states) => rows.answerInTurns(states));
  return rowCount <= VECTORS_PER_TURN ? rows.answer() : rows.answerInTurns();
}

function isService({ feature_service: service }: FeastHead): boolean {
  return service !== undefined && service !== null && service !== "";
}

function planOf(reader: FeatureReader, head: FeastHead): NamedPlan {
  const { features = [] } = head;
  if (isService(head) === features.length > 0) {
    throw new OnefoldError("REQUEST_INVALID", "give either features or feature_service", { where: "features" });
  }
  return isService(head)
    ? reader.named(head.feature_service!)
    : reader.referencePlan(features, head.full_feature_names === true);
}

function rowCountOf(columns: FeastColumns, where: string): number {
  const lists = Object.entries(columns);
  const [first] = lists;
  if (first === undefined) throw new OnefoldError("REQUEST_INVALID", `${where} has no columns`, { where });
  const other = lists.find(([, values]) => values.length !== first[1].length);
  if (other === undefined) return first[1].length;
  throw new OnefoldError(
    "REQUEST_INVALID",
    `${where} has ${first[1].length} values of ${first[0]} and ${other[1].length} of ${other[0]}`,
    { where },
  );
}

/** Feast answers an unknown source with 422. */
function sourceNamed(ports: ServePorts, name: string): SourceDefinition {
  const known = ports.registry.sources().map(({ definition }) => definition);
  const found = known.find((source) => source.name === name);
  if (found !== undefined) return found;
  throw new OnefoldError("PUSH_SOURCE_UNKNOWN", `there is no source "${name}" to push to`, {
    candidates: nearestNames(
      name,
      known.map((source) => source.name),
    ),
  });
}

function sourceOfView(ports: ServePorts, name: string): SourceDefinition {
  const isSource = ports.registry.sources().some(({ definition }) => definition.name === name);
  return isSource ? sourceNamed(ports, name) : sourceNamed(ports, ports.registry.view(name).definition.source);
}

/**
 * Rows of the columns go in as events. Feast's own columns are fitted: `event_timestamp` stands for the source's
 * time where the source has no such column, and `created` is left out where it has none.
 */
async function pushColumns(ports: ServePorts, source: SourceDefinition, df: FeastColumns): Promise<RouteAnswer> {
  const rowCount = rowCountOf(df, "df");
  const declared = new Set(source.columns.flatMap(namesOf));
  const timeNames = source.columns.filter(({ name }) => name === source.eventTime).flatMap(namesOf);
  const columns = Object.entries(df).flatMap(([name, values]): [string, readonly unknown[]][] => {
    if (declared.has(name)) return [[name, values]];
    if (name === "event_timestamp" && !timeNames.some((one) => Object.hasOwn(df, one)))
      return [[source.eventTime, values]];
    return name === "created" || name === "event_timestamp" ? [] : [[name, values]];
  });
  const rows = Array.from({ length: rowCount }, (_, row) =>
    Object.fromEntries(columns.map(([name, values]) => [name, values[row]])),
  );
  const { accepted, duplicates, rejected, outcomes } = await ports.push(source.name, rows);
  if (rejected === 0) return { status: 200, body: null };
  const first = outcomes.find((outcome) => outcome["status"] === "rejected")!;
  const message = `${rejected} of ${rowCount} rows were rejected; the first: ${String(first["message"])}`;
  const again = "what was refused is among the dead letters";
  const hint = rejected === rowCount ? again : `the others are in: rows with an id can be sent again, and ${again}`;
  const error = new OnefoldError("ROWS_REJECTED", message, { where: source.name, hint });
  return { status: error.status, body: { error, accepted, duplicates, rejected } };
}

const onlineFeaturesSchema: JsonSchema = {
  type: "object",
  properties: {
    metadata: {
      type: "object",
      properties: { feature_names: { type: "array", items: { type: "string" } } },
    },
    results: {
      type: "array",
      description: "one for each name, in their order",
      items: {
        type: "object",
        properties: {
          values: { type: "array" },
          statuses: {
            type: "array",
            items: { enum: ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE", "INVALID"] },
          },
          event_timestamps: { type: "array", items: { type: "string", format: "date-time" } },
        },
      },
    },
  },
};
