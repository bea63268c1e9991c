/**
 * Whether what comes in and what is computed is as expected.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ServePorts } from "./ports.ts";
import type { QualityPort } from "./quality-port.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

const nullable = (type: string): JsonSchema => ({ type: [type, "null"] });
const counted: JsonSchema = {
  type: "array",
  items: { type: "object", properties: { value: {}, count: { type: "integer" } } },
};

const expectationSchema: JsonSchema = {
  type: "object",
  properties: {
    name: nameSchema,
    column: nullable("string"),
    expected: { type: "string", description: "the rule in words" },
    severity: { enum: ["warn", "quarantine", "block"] },
    from: { type: "string" },
    to: { type: "string" },
    measure: { enum: ["failing_ratio", "null_ratio", "duplicate_ratio", "events"] },
    samples: { type: "integer" },
    failing: { type: "integer" },
    refused: { type: "integer", description: "events that it refused, among samples and failing" },
    value: { ...nullable("number"), description: "null where there was nothing to judge" },
    threshold: { type: "number" },
    met: { type: "boolean" },
    examples: counted,
  },
};

const profileSchema: JsonSchema = {
  type: "object",
  properties: {
    column: { type: "string" },
    type: { type: "string" },
    count: { type: "integer" },
    nulls: { type: "integer" },
    null_ratio: { type: "number" },
    non_finite: { type: "integer" },
    mean: nullable("number"),
    stddev: nullable("number"),
    min: { type: ["number", "string", "null"] },
    max: { type: ["number", "string", "null"] },
    quantiles: { type: ["object", "null"], additionalProperties: nullable("number") },
    quantile_error: { type: "number", description: "relative; 0 while exact" },
    top: counted,
    top_error: { type: "number", description: "share of all values that a count may lack; 0 while exact" },
    distinct: { type: "integer" },
    distinct_error: { type: "number", description: "relative standard error; 0 while exact" },
  },
};

const qualitySchema: JsonSchema = {
  type: "object",
  properties: {
    as_of: { type: "string" },
    day: { ...nullable("string"), description: "the day that was asked about" },
    met: { type: "boolean", description: "whether all expectations are met" },
    subjects: {
      type: "array",
      items: {
        type: "object",
        properties: {
          source: nullable("string"),
          view: { ...nullable("string"), description: "view@version" },
          expectations: { type: "array", items: expectationSchema },
          day: { type: "string", description: "of the profile" },
          profile: {
            type: ["array", "null"],
            items: profileSchema,
            description: "null where there is none of the day",
          },
        },
      },
    },
  },
};

const totals = {
  compared: { type: "integer" },
  mismatched: { type: "integer", description: "both have a value, and it or its status is another" },
  missing: { type: "integer", description: "there is a value, and none was served" },
  extra: { type: "integer", description: "a value was served where there is none" },
} as const;

const skewSchema: JsonSchema = {
  type: "object",
  properties: {
    rounds: {
      type: "array",
      items: {
        type: "object",
        properties: {
          started_at: { type: "string" },
          ended_at: { type: "string" },
          vectors: { type: "integer" },
          ...totals,
          unknown: { type: "integer", description: "values whose view, feature, epoch or key is no longer there" },
          pending: { type: "integer", description: "values read after events that were not archived" },
          damaged: { type: "integer", description: "lines of the serving log that cannot be read" },
          features: {
            type: "array",
            description: "of the newest round all that were compared, of others those that differ",
            items: {
              type: "object",
              properties: {
                of: { type: "string", description: "view@version, or the service that computed it" },
                feature: { type: "string" },
                ...totals,
                differences: { type: ["object", "null"], description: "of numbers: served less computed" },
                examples: { type: "array", items: { type: "object" } },
              },
            },
          },
        },
      },
    },
  },
};

export function qualityRoutes(ports: ServePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/quality",
      summary:
        "Expectations, each over its own stretch up to now, and what columns look like today; or both of one day",
      reads: "nothing",
      schemas: {
        query: {
          type: "object",
          properties: {
            name: { ...nameSchema, description: "a source, or a view as name or name@version; all without it" },
            day: { type: "string", description: "as 2026-11-26, UTC" },
          },
        },
        answers: { 200: qualitySchema, 400: errorSchema, 404: errorSchema, 503: errorSchema },
      },
      handle: async ({ query }) => ({ status: 200, body: await portOf(ports).quality(query) }),
    },
    {
      method: "GET",
      path: "/skew",
      summary: "Rounds of the audit of what was served, newest first",
      reads: "nothing",
      schemas: { answers: { 200: skewSchema, 503: errorSchema } },
      handle: async () => ({ status: 200, body: await portOf(ports).skew({}) }),
    },
  ];
}

function portOf({ monitoring }: ServePorts): QualityPort {
  if (monitoring?.quality !== undefined) return monitoring.quality;
  throw new OnefoldError("NOT_READY", "this server folds nothing, so it has nothing to judge", {
    hint: "ask the server that owns the data folder",
  });
}
