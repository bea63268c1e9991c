/**
 * Feature vectors of a service: for one set of entities, and for many.
 */
import { performance } from "node:perf_hooks";
import { serviceKeys } from "./entity-input.ts";
import type { FeatureReader } from "./feature-reader.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";
import { answerEach, BATCH_MAX } from "./vector-batch.ts";
import {
  answerFeatures,
  answerMetadata,
  answerOptions,
  answerOptionSchemas,
  answerTiming,
  featuresSchema,
  metadataSchema,
} from "./vector-answer.ts";

const entitiesSchema: JsonSchema = {
  type: "object",
  description: "each entity's key by the entity's name, or by the names of its key columns; others are ignored",
};
const params: JsonSchema = { type: "object", properties: { name: nameSchema } };
const errors: Readonly<Record<number, JsonSchema>> = {
  400: errorSchema,
  404: errorSchema,
  409: errorSchema,
  503: errorSchema,
};

export function serviceRoutes(reader: FeatureReader, ports: ServePorts): Route[] {
  return [
    {
      method: "POST",
      path: "/services/{name}/vector",
      summary: "The service's feature vector for one set of entities",
      reads: "json",
      schemas: {
        params,
        body: {
          type: "object",
          required: ["entities"],
          additionalProperties: false,
          properties: { entities: entitiesSchema, ...answerOptionSchemas },
        },
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
      handle: (request) => {
        const startMs = performance.now();
        const { entities } = request.body as { entities: unknown };
        const plan = reader.servicePlan(request.params["name"]!);
        const vector = reader.read(plan, serviceKeys(plan.entities, entities));
        const metadata = answerMetadata(plan, vector, answerOptions(request));
        return {
          status: 200,
          headers: typeof metadata["token"] === "string" ? { "x-onefold-token": metadata["token"] } : {},
          body: {
            service: plan.service,
            entities,
            features: answerFeatures(plan, vector),
            metadata: { ...answerTiming(startMs, ports.clock), ...metadata },
          },
        };
      },
    },
    {
      method: "POST",
      path: "/services/{name}/vectors",
      summary: "The service's feature vectors for many sets of entities, in the order asked",
      reads: "json",
      schemas: {
        params,
        body: {
          type: "object",
          required: ["entities"],
          additionalProperties: false,
          properties: {
            entities: { type: "array", items: entitiesSchema, maxItems: BATCH_MAX },
            ...answerOptionSchemas,
          },
        },
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
      handle: async (request) => {
        const startMs = performance.now();
        const body = request.body as { entities: readonly unknown[] };
        const plan = reader.servicePlan(request.params["name"]!);
        const results = await answerEach(reader, plan, answerOptions(request), {
          inputs: body.entities,
          inputName: "entities",
          keysOf: (entities) => serviceKeys(plan.entities, entities),
          label: (entities) => ({ entities }),
        });
        return { status: 200, body: { service: plan.service, results, metadata: answerTiming(startMs, ports.clock) } };
      },
    },
  ];
}
