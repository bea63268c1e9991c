/**
 * Features by what is known of them: how important they are, whether they drift, what they cost and who reads them.
 */
import { OnefoldError } from "../base/errors.ts";
import {
  FEATURE_COLUMNS,
  FEATURE_SELECTIONS,
  type FeatureColumnName,
  type FeaturesAsked,
  type FeatureSelection,
} from "./feature-list-desk.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

const column = `(${FEATURE_COLUMNS.join("|")})`;
const query: JsonSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    by: {
      type: "string",
      pattern: `^${column}(,${column})*$`,
      description: `${FEATURE_COLUMNS.join(", ")}, or several with commas: the largest of the first come first`,
    },
    only: {
      enum: FEATURE_SELECTIONS,
      description:
        "those whose values drift, those that nobody has read or that no model finds important, those that nobody has read",
    },
    days: { type: "string", pattern: "^[1-9]\\d{0,3}$", description: "that cost and usage look back upon; default 30" },
    entity: nameSchema,
    view: nameSchema,
  },
};
const listed: JsonSchema = {
  type: "object",
  properties: {
    feature: nameSchema,
    view: nameSchema,
    entity: nameSchema,
    type: { type: "string" },
    importance: { type: ["number", "null"], description: "largest share of what a model reported" },
    drift: {
      type: ["object", "null"],
      description: "of the last 24 hours, in the service in which it is furthest from the baseline",
      additionalProperties: true,
    },
    cost: { type: "object", additionalProperties: true },
    usage: { type: "object", additionalProperties: true },
  },
};

export function featureListRoutes({ monitoring }: ServePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/registry/features",
      summary: "Features of views, by how important they are, whether they drift, what they cost and who reads them",
      reads: "nothing",
      schemas: {
        query,
        answers: {
          200: { type: "object", properties: { features: { type: "array", items: listed } } },
          400: errorSchema,
          404: errorSchema,
          409: errorSchema,
        },
      },
      handle: async ({ query: { by, only, days, ...of } }) => {
        const desk = monitoring?.features;
        if (desk === undefined) {
          throw new OnefoldError("STORAGE_LOCKED", "this server does not own the data folder, so it knows no figures", {
            hint: "ask the server that owns it",
          });
        }
        const asked: FeaturesAsked = {
          ...of,
          ...(by === undefined ? {} : { by: by.split(",") as FeatureColumnName[] }),
          ...(only === undefined ? {} : { only: only as FeatureSelection }),
          ...(days === undefined ? {} : { days: Number(days) }),
        };
        return { status: 200, body: await desk.list(asked) };
      },
    },
  ];
}
