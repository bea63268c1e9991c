/**
 * How important its features are to the models that read a service, as they report it.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ImportanceDesk, ImportanceReport } from "./importance-desk.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

const params: JsonSchema = { type: "object", properties: { name: nameSchema } };
const members: Readonly<Record<string, JsonSchema>> = {
  version: {
    type: ["integer", "null"],
    minimum: 1,
    description: "of the service as the model reads it: its fit, or a number of your own; default null",
  },
  model: { ...nameSchema, description: 'default "default"' },
  method: { ...nameSchema, description: 'how it was measured, such as gain, permutation or shap; default "unknown"' },
  importances: {
    type: "object",
    additionalProperties: { type: "number" },
    minProperties: 1,
    description: "by the feature's name in the vector; higher is more important",
  },
};
const reported: JsonSchema = {
  type: "object",
  properties: { service: nameSchema, ...members, reported_at: { type: "string", description: "RFC 3339" } },
};

export function importanceRoutes(ports: ServePorts): Route[] {
  const desk = (): ImportanceDesk => {
    const found = ports.monitoring?.importances;
    if (found !== undefined) return found;
    throw new OnefoldError("STORAGE_LOCKED", "this server does not own the data folder, so it keeps no importances", {
      hint: "ask the server that owns it",
    });
  };
  return [
    {
      method: "POST",
      path: "/services/{name}/importances",
      summary: "Report how important its features are to a model",
      reads: "json",
      schemas: {
        params,
        body: { type: "object", required: ["importances"], additionalProperties: false, properties: members },
        answers: { 201: reported, 400: errorSchema, 404: errorSchema },
      },
      handle: async ({ params: { name }, body }) => {
        const given = body as Partial<ImportanceReport> & Pick<ImportanceReport, "importances">;
        const { version = null, model = "default", method = "unknown", importances } = given;
        return { status: 201, body: await desk().report(name!, { version, model, method, importances }) };
      },
    },
    {
      method: "GET",
      path: "/services/{name}/importances",
      summary: "What models have reported of its features, the newest first",
      reads: "nothing",
      schemas: {
        params,
        answers: {
          200: {
            type: "object",
            properties: { service: nameSchema, reports: { type: "array", items: reported } },
          },
          404: errorSchema,
        },
      },
      handle: async ({ params: { name } }) => ({
        status: 200,
        body: { service: name, reports: await desk().of(name!) },
      }),
    },
  ];
}
