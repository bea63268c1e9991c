/**
 * The schemas of training sets over HTTP: the options of one, in a body and in a query, and a job.
 */
import { errorSchema, type JsonSchema, nameSchema } from "./route.ts";

const knowledge: JsonSchema = {
  type: "string",
  enum: ["as-known", "final", "as-served"],
  description: "what a label sees of the events; default as-known",
};
const boundary: JsonSchema = {
  type: "string",
  enum: ["inclusive", "exclusive"],
  description: "whether a label at t sees events known at exactly t; needed where there are such events",
};
const SERVICE = "whose features are wanted: one service, or several whose features stand beside each other";
const FIT =
  "the fit to transform with, by service where there are several; default the newest (as served, each row's own)";
const TOKEN = "with the served vector's token, for as-served; by service where there are several";
const SPLIT =
  "adds a column split: shares of the rows by time, as 0.7, 0.15, 0.15, or one or two times that begin a part";
const STATUSES = "add a column <feature>__status for each feature";
const AFTER_LOG = "keep labels after the end of the log, flagged in the column after_log_end";
const LEAKAGE =
  "also report in how many rows final knowledge would have given other values: to be downloaded as format leakage";
const KEYS = "label columns that hold an entity's key, by entity; default the names of the key columns";

const time = (description: string): JsonSchema => ({ type: "string", minLength: 1, maxLength: 64, description });

const texts = {
  knowledge,
  boundary,
  every: {
    type: "string",
    minLength: 1,
    maxLength: 32,
    description: "ticks so far apart, such as 1d: what is given as labels are entities then, each at every tick",
  },
  from: time("the first tick; default the first multiple of `every` by which an event was known"),
  to: time("no tick is later; default the end of the log"),
  time_column: { ...nameSchema, description: "default event_timestamp, timestamp, label_time or t" },
} satisfies Record<string, JsonSchema>;

const byService = (schema: JsonSchema): JsonSchema => ({
  type: "object",
  minProperties: 1,
  additionalProperties: schema,
});
const version: JsonSchema = { type: "integer", minimum: 1 };

export const optionSchemas: Readonly<Record<string, JsonSchema>> = {
  service: {
    description: SERVICE,
    anyOf: [nameSchema, { type: "array", minItems: 1, maxItems: 100, items: nameSchema }],
  },
  ...texts,
  fit: { description: FIT, anyOf: [version, byService(version)] },
  token_column: { description: TOKEN, anyOf: [nameSchema, byService(nameSchema)] },
  split: {
    description: SPLIT,
    anyOf: [
      { type: "array", minItems: 2, maxItems: 3, items: { type: "number" } },
      { type: "array", minItems: 1, maxItems: 2, items: time("begins a part") },
    ],
  },
  statuses: { type: "boolean", description: STATUSES },
  allow_after_log: { type: "boolean", description: AFTER_LOG },
  explain_leakage: { type: "boolean", description: LEAKAGE },
  key_columns: {
    type: "object",
    additionalProperties: { type: "array", items: nameSchema },
    description: KEYS,
  },
};

const flag = (description: string): JsonSchema => ({ type: "string", enum: ["true", "false"], description });

/** The same where every value is text. */
export const optionQuerySchemas: Readonly<Record<string, JsonSchema>> = {
  service: { type: "string", minLength: 1, maxLength: 8192, description: `${SERVICE}, with commas` },
  ...texts,
  fit: { type: "string", minLength: 1, maxLength: 8192, description: `${FIT}, as JSON: {"fraud": 3}` },
  token_column: { type: "string", minLength: 1, maxLength: 8192, description: `${TOKEN}, as JSON: {"fraud": "token"}` },
  split: { type: "string", minLength: 1, maxLength: 256, description: `${SPLIT}, with commas` },
  statuses: flag(STATUSES),
  allow_after_log: flag(AFTER_LOG),
  explain_leakage: flag(LEAKAGE),
  key_columns: { type: "string", description: `${KEYS}; as JSON: {"user": ["customer_id"]}` },
};

const nullableText = (description: string): JsonSchema => ({ type: ["string", "null"], description });

/** Of the set itself, beside its options. */
export const chosenIdSchema: JsonSchema = {
  type: "string",
  pattern: "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
  description: "a UUID of your choice, by which the set can be cancelled though the answer to this request never came",
};

export const jobSchema: JsonSchema = {
  type: "object",
  properties: {
    id: { type: "string" },
    state: { type: "string", enum: ["queued", "running", "done", "failed", "cancelled", "interrupted"] },
    revision: { type: "integer", description: "counts the changes of this job" },
    options: { type: "object", properties: optionSchemas },
    labels: {
      type: ["object", "null"],
      description: "null where every entity is taken",
      properties: {
        format: { type: "string", enum: ["parquet", "csv", "ndjson"] },
        bytes: { type: "integer" },
        path: nullableText("as it was named, of a file on the server"),
      },
    },
    created_at: { type: "string" },
    started_at: nullableText("RFC 3339"),
    finished_at: nullableText("RFC 3339"),
    expires_at: nullableText("when it is removed at the latest"),
    jobs_ahead: { type: ["integer", "null"], description: "how many are begun before it, while it is queued" },
    progress: {
      type: ["object", "null"],
      description: "while it is running",
      properties: {
        phase: { type: "string", enum: ["starting", "labels", "sorting", "events", "writing"] },
        view: nullableText("view@version, in the phases sorting and events"),
        done: { type: "integer", description: "label rows, percent in phase sorting; counts anew in each phase" },
        total: { type: "integer" },
        rows_per_second: { type: "integer" },
        seconds_left: { type: ["number", "null"], description: "of this phase" },
      },
    },
    result: {
      type: ["object", "null"],
      description: "once it is done",
      properties: {
        rows: { type: "integer" },
        features: { type: "array", items: { type: "string" } },
        bytes: { type: "integer", description: "of the Parquet file" },
      },
    },
    error: {
      type: ["object", "null"],
      description: "where it failed or was interrupted",
      properties: (errorSchema["properties"] as { error: { properties: object } }).error.properties,
    },
  },
};
