/**
 * Feature vectors of a service: for one set of entities, and for many.
 */
import { performance } from "node:perf_hooks";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import { requestRow } from "../vector/request-row.ts";
import { serviceKeys } from "./entity-input.ts";
import { chosenOf } from "./experiment-plan.ts";
import type { FeatureReader } from "./feature-reader.ts";
import type { ServePorts } from "./ports.ts";
import { consumerHeaders, errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";
import { answerBatch, BATCH_MAX } from "./vector-batch.ts";
import { answerOptions, answerOptionSchemas, featuresSchema, metadataSchema } from "./vector-answer.ts";
import { tokenHeaders, vectorRepeater, vectorRouteAnswer } from "./vector-route-answer.ts";

const entitiesSchema: JsonSchema = {
  type: "object",
  description: "each entity's key by the entity's name, or by the names of its key columns; others are ignored",
};
const requestSchema: JsonSchema = {
  type: "object",
  description: "request data by column, as the service's on-demand views declare it",
};
const fitSchema: JsonSchema = {
  type: "integer",
  minimum: 1,
  description:
    "version of the fit to transform with, and the definition it is of; the newest of the present one without",
};
const params: JsonSchema = { type: "object", properties: { name: nameSchema } };
const errors: Readonly<Record<number, JsonSchema>> = {
  400: errorSchema,
  404: errorSchema,
  409: errorSchema,
  503: errorSchema,
};

export function serviceRoutes(reader: FeatureReader, ports: ServePorts): Route[] {
  const lookUp: Route["lookUp"] = ({ name = "" }) => {
    try {
      reader.named(name);
    } catch (error) {
      // What else is wrong with it may depend on the fit that the body asks for.
      if (isOnefoldError(error) && (error.code === "SERVICE_UNKNOWN" || error.code === "ALIAS_UNKNOWN")) throw error;
    }
  };
  return [
    {
      method: "POST",
      path: "/services/{name}/vector",
      summary: "The service's feature vector for one set of entities",
      reads: "json",
      isHot: true,
      schemas: {
        params,
        body: {
          type: "object",
          required: ["entities"],
          additionalProperties: false,
          properties: { entities: entitiesSchema, request: requestSchema, fit: fitSchema, ...answerOptionSchemas },
        },
        headers: consumerHeaders,
        answerHeaders: tokenHeaders,
        answers: {
          ...errors,
          200: {
            type: "object",
            properties: {
              service: nameSchema,
              entities: entitiesSchema,
              features: featuresSchema,
              metadata: metadataSchema,
            },
          },
        },
      },
      lookUp,
      handle: (request) => {
        const startMs = performance.now();
        const { entities, request: data, fit } = request.body as { entities: unknown; request?: unknown; fit?: number };
        const named = reader.named(request.params["name"]!, fit);
        const given = serviceKeys(named.entities, entities);
        const { plan, keys, request: row, exposure } = chosenOf(named, given, requestRow(named.request, data));
        const options = answerOptions(request, exposure);
        const asked = { plan, keys, reader, options, startMs, clock: ports.clock, bytes: request.asked };
        return vectorRouteAnswer({ service: named.service, entities }, asked, row);
      },
      repeat: vectorRepeater(reader),
    },
    {
      method: "POST",
      path: "/services/{name}/vectors",
      summary: "The service's feature vectors for many sets of entities, in the order asked",
      reads: "json",
      isHot: true,
      schemas: {
        params,
        body: {
          type: "object",
          required: ["entities"],
          additionalProperties: false,
          properties: {
            entities: { type: "array", items: entitiesSchema, maxItems: BATCH_MAX },
            request: {
              type: ["object", "array"],
              items: requestSchema,
              maxItems: BATCH_MAX,
              description: "request data for all of them, or a list with that of each",
            },
            fit: fitSchema,
            ...answerOptionSchemas,
          },
        },
        headers: consumerHeaders,
        answers: {
          ...errors,
          200: {
            type: "object",
            properties: {
              service: nameSchema,
              results: {
                type: "array",
                items: {
                  type: "object",
                  properties: { entities: entitiesSchema, features: featuresSchema, metadata: metadataSchema },
                },
              },
              metadata: {
                type: "object",
                properties: { latency_ms: { type: "number" }, timestamp: { type: "string" } },
              },
            },
          },
        },
      },
      lookUp,
      handle: (request) => {
        const startMs = performance.now();
        const body = request.body as { entities: readonly unknown[]; request?: unknown; fit?: number };
        const named = reader.named(request.params["name"]!, body.fit);
        const requests = requestsOf(body);
        return answerBatch({
          reader,
          named,
          options: answerOptions(request),
          clock: ports.clock,
          startMs,
          head: { service: named.service },
          inputs: body.entities,
          inputName: "entities",
          keysOf: (entities) => serviceKeys(named.entities, entities),
          requestOf: (i) => requestRow(named.request, Array.isArray(requests) ? requests[i] : requests),
          label: (entities) => ({ entities }),
        });
      },
    },
  ];
}

/** One object for all, or a list of as many as there are entities. Throws `REQUEST_INVALID`. */
function requestsOf(body: { readonly entities: readonly unknown[]; readonly request?: unknown }): unknown {
  const { entities, request } = body;
  if (!Array.isArray(request) || request.length === entities.length) return request;
  throw new OnefoldError("REQUEST_INVALID", `request has ${request.length} elements for ${entities.length} entities`, {
    where: "request",
    hint: "give one object for all, or a list with one for each",
  });
}
