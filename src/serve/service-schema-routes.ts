/**
 * What a service's vectors are made of, with types: for clients that make tables of them.
 */
import { describeType } from "../schema/value.ts";
import { formatVariant } from "../define/experiment-definition.ts";
import { type ExperimentPlan, isExperiment } from "./experiment-plan.ts";
import type { FeatureReader } from "./feature-reader.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

const typedProperties: Readonly<Record<string, JsonSchema>> = {
  name: nameSchema,
  type: { type: "string", description: "int64, float64, array<string>, ..." },
  wide: { const: true, description: "only of int64s of any 64-bit value: text in JSON" },
};
const typed: JsonSchema = {
  type: "array",
  items: {
    type: "object",
    properties: typedProperties,
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
              request: {
                type: "array",
                items: { type: "object", properties: { ...typedProperties, nullable: { type: "boolean" } } },
              },
              features: { ...typed, description: "in the order of the vector" },
              fit: { type: ["integer", "null"], description: "the fit that the features are transformed with" },
              variants: {
                type: "array",
                description: "of an experiment: the features of each version that it serves",
                items: { type: "object", properties: { variant: nameSchema, features: typed } },
              },
            },
          },
          404: errorSchema,
          409: errorSchema,
          503: errorSchema,
        },
      },
      handle: ({ params }) => {
        const named = reader.named(params["name"]!);
        const { service, entities, request } = named;
        const given = {
          service,
          entities: entities.map(({ name, keys }) => ({ name, keys: keys.map(typedName) })),
          request: request.map((column) => ({ ...typedName(column), nullable: column.nullable })),
        };
        if (isExperiment(named)) return { status: 200, body: { ...given, ...variantsOf(named) } };
        const { outputs, program } = named;
        return {
          status: 200,
          body: { ...given, features: outputs.map(typedName), fit: program?.fit?.version ?? null },
        };
      },
    },
  ];
}

/** Features of all variants, each name once: of the first that has it. */
function variantsOf(plan: ExperimentPlan): object {
  const variants = plan.experiment.variants.map((variant, place) => {
    return { variant: formatVariant(variant), features: plan.variantPlan(place).outputs };
  });
  const all = new Map(
    variants
      .flatMap(({ features }) => features)
      .toReversed()
      .map((one) => [one.name, one]),
  );
  const names = new Set(variants.flatMap(({ features }) => features.map(({ name }) => name)));
  return {
    features: [...names].map((name) => typedName(all.get(name)!)),
    fit: null,
    variants: variants.map(({ variant, features }) => ({ variant, features: features.map(typedName) })),
  };
}

function typedName({
  name,
  type,
}: {
  readonly name: string;
  readonly type: Parameters<typeof describeType>[0];
}): object {
  return { name, ...describeType(type) };
}
