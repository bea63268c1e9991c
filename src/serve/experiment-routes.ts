/**
 * Experiments over HTTP: what runs, ramps and stops. Vectors are asked for by an experiment's name where a service's is.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ExperimentDesk } from "./experiment-desk.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

const params: JsonSchema = { type: "object", properties: { name: nameSchema } };
const bySchema: JsonSchema = { type: ["string", "null"], maxLength: 200, description: "who asks for it" };
const experimentSchema: JsonSchema = {
  type: "object",
  properties: {
    name: nameSchema,
    unit: { type: "object", properties: { from: { enum: ["entity", "request"] }, name: nameSchema } },
    salt: { type: "string" },
    exposures: { type: "number", description: "share of the units whose answers go to the serving log" },
    variants: {
      type: "array",
      items: { type: "object", properties: { variant: nameSchema, share: { type: "number" } } },
    },
    layout: {
      type: "array",
      description: "which variant units with points in [from, to) are served, of 2^53 points",
      items: {
        type: "object",
        properties: { from: { type: "integer" }, to: { type: "integer" }, variant: nameSchema },
      },
    },
    overrides: {
      type: "array",
      items: { type: "object", properties: { unit: { type: "string" }, variant: nameSchema } },
    },
    shadow: {
      type: ["object", "null"],
      properties: { service: nameSchema, share: { type: "number" } },
    },
    steps: {
      type: "array",
      description: "all that it was told, its first weights first",
      items: {
        type: "object",
        properties: {
          at: { type: "string", format: "date-time" },
          by: bySchema,
          weights: { type: "array", items: { type: "integer" } },
          stopped: { ...nameSchema, description: "in place of weights: what all units are served from then on" },
        },
      },
    },
  },
};

const latencySchema: JsonSchema = {
  type: "object",
  properties: Object.fromEntries(
    ["mean_micros", "p50_micros", "p95_micros", "p99_micros"].map((name) => [name, { type: "number" }]),
  ),
};
const aloneSchema: JsonSchema = {
  type: "array",
  items: { type: "object", properties: { feature: nameSchema, micros: { type: "number" } } },
};
const comparisonSchema: JsonSchema = {
  type: "object",
  properties: {
    experiment: nameSchema,
    shadow: nameSchema,
    comparisons: {
      type: "array",
      description: "one for each version that was served",
      items: {
        type: "object",
        properties: {
          served: nameSchema,
          shadow: nameSchema,
          since: { type: "string", format: "date-time", description: "when the first was seen" },
          compared: { type: "integer", description: "answers that both versions were read for" },
          dropped: { type: "integer", description: "answers that were passed over, as too many waited" },
          failed: { type: "object", additionalProperties: { type: "integer" }, description: "by error code" },
          latency: { type: ["object", "null"], properties: { served: latencySchema, shadow: latencySchema } },
          features: {
            type: "array",
            items: {
              type: "object",
              properties: {
                feature: nameSchema,
                compared: { type: "integer" },
                mismatched: { type: "integer", description: "both have a value, and it is not the same to the bit" },
                only_in_shadow: { type: "integer" },
                only_served: { type: "integer" },
                differences: { type: ["object", "null"], description: "of numbers: served less shadow" },
                examples: { type: "array", items: { type: "object" } },
                drift: { type: "object", description: "of the shadow's values from those that were served" },
                served_micros: { type: "number", description: "what reading a value took, on average" },
                shadow_micros: { type: "number" },
              },
            },
          },
          served_alone: { ...aloneSchema, description: "features that the shadow has not" },
          shadow_alone: aloneSchema,
        },
      },
    },
  },
};

export function experimentRoutes(ports: ServePorts): Route[] {
  const desk = (): ExperimentDesk => {
    const found = ports.monitoring?.experiments;
    if (found !== undefined) return found;
    throw new OnefoldError("STORAGE_LOCKED", "this server does not own a data folder, so it changes no experiment", {
      hint: "ask a server that owns one; this one follows",
    });
  };
  const answers = { 200: experimentSchema, 400: errorSchema, 404: errorSchema, 409: errorSchema };
  return [
    {
      method: "GET",
      path: "/experiments",
      summary: "Experiments: the share of each version, and what they were told",
      reads: "nothing",
      schemas: {
        answers: { 200: { type: "object", properties: { experiments: { type: "array", items: experimentSchema } } } },
      },
      handle: async () => ({ status: 200, body: { experiments: await desk().list() } }),
    },
    {
      method: "GET",
      path: "/experiments/{name}",
      summary: "One experiment",
      reads: "nothing",
      schemas: { params, answers: { 200: experimentSchema, 404: errorSchema } },
      handle: async ({ params: { name } }) => ({ status: 200, body: await desk().show(name!) }),
    },
    {
      method: "GET",
      path: "/experiments/{name}/compare",
      summary: "What its shadow would have said, held against what was served",
      reads: "nothing",
      schemas: { params, answers: { 200: comparisonSchema, 404: errorSchema } },
      handle: async ({ params: { name } }) => ({ status: 200, body: await desk().compare(name!) }),
    },
    {
      method: "POST",
      path: "/experiments/{name}/ramp",
      summary: "Give candidates larger shares; refused where a unit would move back",
      reads: "json",
      schemas: {
        params,
        body: {
          type: "object",
          required: ["weights"],
          additionalProperties: false,
          properties: {
            weights: { type: "array", items: { type: "integer", minimum: 0 }, description: "one a version, in order" },
            by: bySchema,
          },
        },
        answers,
      },
      handle: async ({ params: { name }, body }) => {
        const { weights, by = null } = body as { weights: readonly number[]; by?: string | null };
        return { status: 200, body: await desk().ramp(name!, { weights, by }) };
      },
    },
    {
      method: "POST",
      path: "/experiments/{name}/stop",
      summary: "End it: all units are served one of its versions",
      reads: "json",
      schemas: {
        params,
        body: {
          type: "object",
          required: ["serve"],
          additionalProperties: false,
          properties: { serve: { ...nameSchema, description: "service@version" }, by: bySchema },
        },
        answers,
      },
      handle: async ({ params: { name }, body }) => {
        const { serve, by = null } = body as { serve: string; by?: string | null };
        return { status: 200, body: await desk().stop(name!, { serve, by }) };
      },
    },
  ];
}
