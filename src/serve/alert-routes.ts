/**
 * Alerts over HTTP: what fires, what happened, and silences.
 */
import { OnefoldError } from "../base/errors.ts";
import type { AlertDesk, HistoryRequest, SilenceRequest } from "./alert-desk.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

const text = (description: string): JsonSchema => ({ type: "string", description });
const nullableText = (description: string): JsonSchema => ({ type: ["string", "null"], description });
const anything: JsonSchema = { type: "object", additionalProperties: true };

const subjectNames = ["source", "view", "feature", "service", "expectation"] as const;

const silenceSchema: JsonSchema = {
  type: "object",
  properties: {
    id: { type: "string" },
    rule: nullableText("null: of every rule"),
    subject: { type: "object", additionalProperties: { type: "string" }, description: "parts that must be equal" },
    until: text("RFC 3339"),
    created_at: text("RFC 3339"),
    by: { type: "string" },
    comment: { type: "string" },
  },
};

const alertSchema: JsonSchema = {
  type: "object",
  properties: {
    rule: { type: "string" },
    severity: nullableText("info, warning or critical; null of a retraining"),
    phase: { type: "string", enum: ["inactive", "pending", "firing", "resolved"] },
    since: text("when this phase began"),
    seen: text("when it was last reported at all"),
    silenced: { type: "boolean" },
    told_at: nullableText("when destinations were last told that it fires"),
    found: { ...anything, description: "kind, subject, measure, value, threshold, p-values, samples, detail" },
  },
};

const eventSchema: JsonSchema = {
  type: "object",
  properties: {
    sequence: { type: "integer", description: "counts what happened" },
    at: text("RFC 3339"),
    event: text("firing, resolved, delivered, undelivered, silenced, training-started, ..."),
    rule: nullableText("null where it is of none"),
    detail: anything,
  },
};

const listSchema: JsonSchema = {
  type: "object",
  properties: {
    evaluated_at: nullableText("when alerts were judged last"),
    alerts: { type: "array", items: alertSchema },
    silences: { type: "array", items: silenceSchema },
    sources: {
      type: "array",
      description: "the parts of monitoring that are asked",
      items: {
        type: "object",
        properties: {
          name: { type: "string" },
          answered_at: nullableText("RFC 3339"),
          failures: { type: "integer", description: "in a row" },
          error: nullableText("of the last failure"),
        },
      },
    },
    undelivered: { type: "array", items: anything, description: "notices that wait to be delivered" },
    trainings: { type: "array", items: anything, description: "training sets that rules have asked for" },
  },
};

export function alertRoutes(ports: ServePorts): Route[] {
  const desk = (): AlertDesk => {
    const found = ports.monitoring?.alerts;
    if (found !== undefined) return found;
    throw new OnefoldError("ALERTS_NOT_OFFERED", "this server judges no alerts", {
      hint: "ask the server that owns the data folder, started without --no-alerts",
    });
  };
  return [
    {
      method: "GET",
      path: "/alerts",
      summary: "What fires or is about to, silences, and what waits to be delivered",
      reads: "nothing",
      schemas: { answers: { 200: listSchema, 409: errorSchema } },
      handle: async () => ({ status: 200, body: await desk().list() }),
    },
    {
      method: "GET",
      path: "/alerts/history",
      summary: "What happened to alerts, the newest first",
      reads: "nothing",
      schemas: {
        query: {
          type: "object",
          additionalProperties: false,
          properties: {
            rule: nameSchema,
            event: nameSchema,
            since: { ...nameSchema, description: "RFC 3339" },
            limit: { type: "string", pattern: "^[1-9][0-9]{0,4}$", description: "default 100, at most 10000" },
          },
        },
        answers: {
          200: { type: "object", properties: { events: { type: "array", items: eventSchema } } },
          400: errorSchema,
          409: errorSchema,
        },
      },
      handle: async ({ query }) => ({ status: 200, body: { events: await desk().history(historyOf(query)) } }),
    },
    {
      method: "POST",
      path: "/alerts/silences",
      summary: "Tell nobody of what matches, until some time",
      reads: "json",
      schemas: {
        body: {
          type: "object",
          required: ["until", "by"],
          additionalProperties: false,
          properties: {
            rule: { ...nameSchema, description: "default every rule" },
            ...Object.fromEntries(subjectNames.map((name) => [name, nameSchema])),
            until: { ...nameSchema, description: "RFC 3339, or a duration from now such as 2h" },
            by: { ...nameSchema, description: "who asks for it" },
            comment: { type: "string", maxLength: 1000 },
          },
        },
        answers: { 201: silenceSchema, 400: errorSchema, 404: errorSchema, 409: errorSchema },
      },
      handle: async ({ body }) => ({ status: 201, body: await desk().silence(body as SilenceRequest) }),
    },
    {
      method: "DELETE",
      path: "/alerts/silences/{id}",
      summary: "End a silence",
      reads: "nothing",
      schemas: {
        params: { type: "object", properties: { id: nameSchema } },
        answers: { 200: silenceSchema, 404: errorSchema, 409: errorSchema },
      },
      handle: async ({ params }) => ({ status: 200, body: await desk().unsilence(params["id"]!) }),
    },
  ];
}

const LIMIT_MAX = 10_000;

function historyOf({ limit, ...query }: Readonly<Record<string, string>>): HistoryRequest {
  return { ...query, ...(limit === undefined ? {} : { limit: Math.min(LIMIT_MAX, Number(limit)) }) };
}
