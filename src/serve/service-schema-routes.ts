/**
 * What a service's vectors are made of, with types: for clients that make tables of them.
 */
import { formatType } from "../schema/value.ts";
import type { FeatureReader } from "./feature-reader.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

const typed: JsonSchema = {
  type: "array",
  items: {
    type: "object",
    properties: { name: nameSchema, type: { type: "string", description: "int64, float64, array<string>, ..." } },
  },
};

export function serviceSchemaRoutes(reader: FeatureReader): Route[] {
  return [
    {
      method: "GET",
      path: "/services/{name}/schema",
      summary: "The types of a service's keys, request data and features",
      reads: "nothing",
      schemas: {
        params: { type: "object", properties: { name: nameSchema } },
        answers: {
          200: {
            type: "object",
            properties: {
              service: nameSchema,
              entities: {
                type: "array",
                items: { type: "object", properties: { name: nameSchema, keys: typed } },
              },
              request: typed,
              features: { ...typed, description: "in the order of the vector" },
              fit: { type: ["integer", "null"], description: "the fit that the features are transformed with" },
            },
          },
          404: errorSchema,
          409: errorSchema,
          503: errorSchema,
        },
      },
      handle: ({ params }) => {
        const { service, entities, request, outputs, program } = reader.servicePlan(params["name"]!);
        return {
          status: 200,
          body: {
            service,
            entities: entities.map(({ name, keys }) => ({ name, keys: keys.map(typedName) })),
            request: request.map(typedName),
            features: outputs.map(typedName),
            fit: program?.fit?.version ?? null,
          },
        };
      },
    },
  ];
}

function typedName({ name, type }: { readonly name: string; readonly type: Parameters<typeof formatType>[0] }): object {
  return { name, type: formatType(type) };
}
