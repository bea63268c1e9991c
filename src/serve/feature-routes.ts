/**
 * Features of one entity type by name: for one entity, by body or by URL, and for many.
 */
import { performance } from "node:perf_hooks";
import { OnefoldError } from "../base/errors.ts";
import { entityKey, entityKeyFromText } from "./entity-input.ts";
import type { FeatureReader } from "./feature-reader.ts";
import type { ServePorts } from "./ports.ts";
import {
  consumerHeaders,
  errorSchema,
  type JsonSchema,
  nameSchema,
  type Route,
  type RouteAnswer,
  type RouteRequest,
} from "./route.ts";
import { answerBatch, BATCH_MAX } from "./vector-batch.ts";
import {
  answerOptionQuerySchemas,
  answerOptions,
  answerOptionSchemas,
  featuresSchema,
  metadataSchema,
} from "./vector-answer.ts";
import { tokenHeaders, vectorRepeater, vectorRouteAnswer } from "./vector-route-answer.ts";

const entityIdSchema: JsonSchema = {
  type: ["string", "number", "boolean", "array", "object"],
  description: "the key; for several key columns an array in key order or an object by column",
};
const featureNamesSchema: JsonSchema = {
  type: "array",
  items: nameSchema,
  maxItems: 1000,
  description: "feature, view:feature or view@version:feature; without them all",
};
const answers: Readonly<Record<number, JsonSchema>> = {
  200: {
    type: "object",
    properties: {
      entity_type: nameSchema,
      entity_id: entityIdSchema,
      features: featuresSchema,
      metadata: metadataSchema,
    },
  },
  400: errorSchema,
  404: errorSchema,
  409: errorSchema,
  503: errorSchema,
};

export function featureRoutes(reader: FeatureReader, ports: ServePorts): Route[] {
  const answerOne = (
    request: RouteRequest,
    id: { given: unknown; isText: boolean },
    query: FeatureQuery,
  ): RouteAnswer | Promise<RouteAnswer> => {
    const startMs = performance.now();
    const plan = reader.featurePlan(query.entity_type, names(query));
    const entity = plan.entities[0]!;
    const key = id.isText ? entityKeyFromText(entity, String(id.given)) : entityKey(entity, id.given);
    const options = answerOptions(request);
    const keys = [key];
    const label = { entity_type: query.entity_type, entity_id: id.given };
    return vectorRouteAnswer(label, { plan, keys, reader, options, startMs, clock: ports.clock, bytes: request.asked });
  };
  const repeat = vectorRepeater(reader);

  return [
    {
      method: "POST",
      path: "/features",
      summary: "Features of one entity",
      reads: "json",
      isHot: true,
      schemas: {
        body: {
          type: "object",
          required: ["entity_type", "entity_id"],
          additionalProperties: false,
          properties: {
            entity_type: nameSchema,
            entity_id: entityIdSchema,
            feature_names: featureNamesSchema,
            ...answerOptionSchemas,
          },
        },
        headers: consumerHeaders,
        answerHeaders: tokenHeaders,
        answers,
      },
      handle: (request) => {
        const body = request.body as FeatureQuery & { entity_id: unknown };
        return answerOne(request, { given: body.entity_id, isText: false }, body);
      },
      repeat,
    },
    {
      method: "GET",
      path: "/features/{entity_type}/{entity_id}",
      summary: "Features of one entity, by URL; the parts of a composite key are joined by |",
      reads: "nothing",
      isHot: true,
      schemas: {
        params: { type: "object", properties: { entity_type: nameSchema, entity_id: { type: "string" } } },
        query: {
          type: "object",
          additionalProperties: false,
          properties: {
            names: { type: "string", description: "feature names, separated by commas" },
            ...answerOptionQuerySchemas,
          },
        },
        headers: consumerHeaders,
        answerHeaders: tokenHeaders,
        answers,
      },
      handle: (request) => {
        const { entity_type: type = "", entity_id: id = "" } = request.params;
        if (id === "") throw noId(type);
        const wanted = request.query["names"]?.split(",").filter((name) => name !== "");
        if (wanted?.length === 0) throw noNames("names");
        return answerOne(
          request,
          { given: id, isText: true },
          { entity_type: type, ...(wanted === undefined ? {} : { feature_names: wanted }) },
        );
      },
      repeat,
    },
    {
      method: "POST",
      path: "/features/batch",
      summary: "Features of many entities of one type, in the order asked",
      reads: "json",
      isHot: true,
      schemas: {
        body: {
          type: "object",
          required: ["entity_type", "entity_ids"],
          additionalProperties: false,
          properties: {
            entity_type: nameSchema,
            entity_ids: { type: "array", items: entityIdSchema, maxItems: BATCH_MAX },
            feature_names: featureNamesSchema,
            ...answerOptionSchemas,
          },
        },
        headers: consumerHeaders,
        answers: {
          ...answers,
          200: {
            type: "object",
            properties: {
              entity_type: nameSchema,
              results: {
                type: "array",
                items: {
                  type: "object",
                  properties: { entity_id: entityIdSchema, features: featuresSchema, metadata: metadataSchema },
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
      handle: (request) => {
        const startMs = performance.now();
        const body = request.body as FeatureQuery & { entity_ids: readonly unknown[] };
        const plan = reader.featurePlan(body.entity_type, names(body));
        return answerBatch({
          reader,
          named: plan,
          options: answerOptions(request),
          clock: ports.clock,
          startMs,
          head: { entity_type: body.entity_type },
          inputs: body.entity_ids,
          inputName: "entity_ids",
          keysOf: (id) => [entityKey(plan.entities[0]!, id)],
          label: (id) => ({ entity_id: id }),
        });
      },
    },
  ];
}

interface FeatureQuery {
  readonly entity_type: string;
  readonly feature_names?: readonly string[];
}

/** Null means all. Throws `REQUEST_INVALID` where there are to be some, and none is named. */
function names({ feature_names: wanted }: FeatureQuery): readonly string[] | null {
  if (wanted?.length === 0) throw noNames("feature_names");
  return wanted ?? null;
}

/** A list that a client filled with nothing asks for nothing, and not for everything. */
function noNames(where: "names" | "feature_names"): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", `${where} names no feature`, {
    where,
    hint: `name some, or leave ${where} out for all of them`,
  });
}

/** The empty text is a key like another, but in a path it is rather a value that was not filled in. */
function noId(entity: string): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", "the path has no entity_id", {
    where: "entity_id",
    hint: `write it as /features/${entity}/ID; an entity whose key is the empty text is asked for with POST /features and "entity_id": ""`,
  });
}
