/**
 * How fresh sources and views are, and whether that is as they promise.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, type Route } from "./route.ts";

/** Entities that are named at most. */
const OLDEST_MAX = 1000;

const nullable = (type: string): JsonSchema => ({ type: [type, "null"] });
const promisedSchema: JsonSchema = {
  type: ["object", "null"],
  description: "what is promised, null where nothing is",
  properties: {
    threshold: { type: "number" },
    broken: { type: "boolean" },
    broken_since: nullable("string"),
    broken_ratio_24h: { type: "number", description: "share of the last 24 hours in which it was broken" },
  },
};
const sourceSchema: JsonSchema = {
  type: "object",
  properties: {
    source: { type: "string" },
    last_event_at: nullable("string"),
    silence_seconds: { type: "number", description: "since the source's last event, or since it was registered" },
    silence_sla_seconds: promisedSchema,
  },
};
const viewSchema: JsonSchema = {
  type: "object",
  properties: {
    view: { type: "string" },
    source: { type: "string" },
    pipeline_age_seconds: { type: "number", description: "since the oldest event became known that is not folded" },
    pipeline_age_sla_seconds: promisedSchema,
    entities: nullable("integer"),
    entities_by_age: {
      type: "array",
      description: "entities whose last event is at most so old; the last, with null, are all",
      items: { type: "object", properties: { up_to_seconds: nullable("number"), entities: { type: "integer" } } },
    },
    stale_ratio: { type: ["number", "null"], description: "share of entities older than promised" },
    older_than_seconds: nullable("number"),
    stale_ratio_sla: promisedSchema,
    fallback: {
      type: "object",
      properties: {
        declared: { enum: ["null", "default", "flag", null] },
        serving: { type: "boolean", description: "whether it is served in place of the view's values" },
      },
    },
    oldest_entities: {
      type: "array",
      items: {
        type: "object",
        properties: {
          key: { type: "string" },
          last_event_at: { type: "string" },
          age_seconds: { type: "number" },
        },
      },
    },
  },
};

export function freshnessRoutes(ports: ServePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/freshness",
      summary: "How fresh sources and views are, and whether that is as they promise",
      reads: "nothing",
      schemas: {
        query: {
          type: "object",
          additionalProperties: false,
          properties: {
            oldest: {
              type: "string",
              pattern: "^\\d{1,4}$",
              description: `so many of each view's entities whose last event is the longest ago are named, ${OLDEST_MAX} at most; all states are looked at for it`,
            },
          },
        },
        answers: {
          200: {
            type: "object",
            properties: {
              as_of: { type: "string" },
              sources: { type: "array", items: sourceSchema },
              views: { type: "array", items: viewSchema },
            },
          },
          409: errorSchema,
        },
      },
      handle: async ({ query }) => {
        if (ports.freshness === undefined) {
          throw new OnefoldError("STORAGE_LOCKED", "this server folds nothing, and knows of no freshness", {
            hint: "ask the process that owns the data folder",
          });
        }
        const oldest = Math.min(OLDEST_MAX, Number(query["oldest"] ?? 0));
        return { status: 200, body: await ports.freshness({ oldest }) };
      },
    },
  ];
}
