/**
 * Drift of what a server serves: reports, and the baseline that is chosen for a service.
 */
import { OnefoldError } from "../base/errors.ts";
import type { DriftDesk } from "./drift-desk.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

const sourceSchema: JsonSchema = {
  ...nameSchema,
  description: "training:ID, range:A..B, last:24h, folded:A..B, fit:N or chosen",
};
const timeSchema: JsonSchema = { type: ["string", "null"], format: "date-time" };
const sideSchema: JsonSchema = {
  type: ["object", "null"],
  properties: {
    source: { type: "string" },
    exact: { type: "boolean", description: "whether all values were counted, or sketches of them" },
    fit: { type: ["integer", "null"] },
    from: timeSchema,
    until: timeSchema,
    vectors: { type: "integer", description: "how many were looked at" },
  },
};
const reportSchema: JsonSchema = {
  type: "object",
  properties: {
    services: {
      type: "array",
      items: { type: "string" },
      description: "without a service: those of which values are kept, each with its version",
    },
    service: { type: "string" },
    created_at: timeSchema,
    baseline: sideSchema,
    current: sideSchema,
    drifted: { type: "boolean", description: "whether at least half of the features have" },
    drifted_features: { type: "integer" },
    unmatched_features: { type: "array", items: { type: "string" } },
    features: {
      type: "array",
      items: {
        type: "object",
        properties: {
          feature: { type: "string" },
          view: { type: "string" },
          kind: { enum: ["numeric", "category", "presence"] },
          drifted: { type: "boolean" },
          measure: { type: ["string", "null"] },
          value: { type: ["number", "null"] },
          low: { type: ["number", "null"], description: "the exact value is between low and high" },
          high: { type: ["number", "null"] },
          threshold: { type: ["number", "null"] },
          beyond: { type: "boolean" },
          effect: { type: ["object", "null"], additionalProperties: true },
          test: { type: ["object", "null"], additionalProperties: true },
          measures: { type: "object", additionalProperties: true },
          reason: { type: ["string", "null"], description: "why it was not judged" },
          missing: { type: "object", additionalProperties: true },
          baseline: { type: "object", additionalProperties: true },
          current: { type: "object", additionalProperties: true },
        },
      },
    },
  },
};

export function driftRoutes({ monitoring }: ServePorts): Route[] {
  const desk = (): DriftDesk => offered(monitoring?.drift);
  return [
    {
      method: "GET",
      path: "/drift",
      summary: "Drift of a service's values against a baseline; without a service, which there are",
      reads: "nothing",
      schemas: {
        query: {
          type: "object",
          properties: {
            service: nameSchema,
            baseline: sourceSchema,
            current: sourceSchema,
            of: { enum: ["served", "folded"], description: "what times name; default served" },
            measure: { type: "string", description: "judges all features that it fits" },
            threshold: { type: "string", pattern: "^[0-9]+([.][0-9]+)?$" },
          },
        },
        answers: { 400: errorSchema, 404: errorSchema, 200: reportSchema },
      },
      handle: async ({ query }) => {
        const { service, threshold, ...asked } = query as Readonly<Record<string, string | undefined>>;

        if (service === undefined) return { status: 200, body: { services: await desk().services() } };
        const named = Object.entries(asked).filter(([, text]) => text !== undefined);
        const limit = threshold === undefined ? {} : { threshold: Number(threshold) };
        return { status: 200, body: await desk().report({ service, ...Object.fromEntries(named), ...limit }) };
      },
    },
    {
      method: "POST",
      path: "/drift/{service}/baseline",
      summary: "Choose what a service's values are compared with from now on",
      reads: "json",
      schemas: {
        params: { type: "object", properties: { service: nameSchema } },
        body: {
          type: "object",
          required: ["source"],
          properties: { source: sourceSchema },
          additionalProperties: false,
        },
        answers: { 400: errorSchema, 404: errorSchema, 200: chosenSchema },
      },
      handle: async ({ params, body }) => {
        const { source } = body as { readonly source: string };
        return { status: 200, body: await desk().choose(params["service"]!, source) };
      },
    },
    {
      method: "DELETE",
      path: "/drift/{service}/baseline",
      summary: "Compare a service's values with those of the week before again",
      reads: "nothing",
      schemas: {
        params: { type: "object", properties: { service: nameSchema } },
        answers: { 404: errorSchema, 200: chosenSchema },
      },
      handle: async ({ params }) => {
        return { status: 200, body: await desk().choose(params["service"]!, null) };
      },
    },
  ];
}

const chosenSchema: JsonSchema = { type: "object", properties: { service: { type: "string" }, baseline: sideSchema } };

function offered(drift: DriftDesk | undefined): DriftDesk {
  if (drift !== undefined) return drift;
  throw new OnefoldError("VALUES_MISSING", "this server keeps no values that drift could be computed from", {
    hint: "ask the one that owns the data folder",
  });
}
