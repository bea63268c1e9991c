/**
 * What the transformations of a service were fitted to.
 */
import { serviceId } from "../define/service-version.ts";
import type { FittedService } from "../registry/fitted-service.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, nameSchema, type Route } from "./route.ts";

export function fitRoutes({ registry, fits }: ServePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/services/{name}/fits",
      summary: "The fits of a service's transformations, oldest first",
      reads: "nothing",
      schemas: {
        params: { type: "object", properties: { name: nameSchema } },
        answers: {
          404: errorSchema,
          500: errorSchema,
          200: {
            type: "object",
            properties: {
              service: nameSchema,
              fits: {
                type: "array",
                items: {
                  type: "object",
                  properties: {
                    fit: { type: "integer", description: "its version" },
                    is_current: { type: "boolean", description: "whether it is of the definition as it is now" },
                    fingerprint: { type: "string", description: "of the definition that was fitted" },
                    sha256: { type: "string" },
                    split: {
                      type: "object",
                      properties: {
                        train: { type: "string" },
                        rows_train: { type: "integer" },
                        rows_total: { type: "integer" },
                      },
                    },
                    parameters: {
                      type: "array",
                      items: {
                        type: "object",
                        properties: {
                          transformation: { type: "string" },
                          values: { type: "integer", description: "how many it was fitted to" },
                          parameters: {},
                        },
                      },
                    },
                    created_at: { type: "string" },
                  },
                },
              },
            },
          },
        },
      },
      handle: ({ params }) => {
        const { definition, fingerprint } = registry.service(params["name"]!);
        const all = fits.fitsOf(serviceId(definition)).map((fit) => answerFit(fit, fingerprint));
        return { status: 200, body: { service: serviceId(definition), fits: all } };
      },
    },
  ];
}

function answerFit(fit: FittedService, present: string): Record<string, unknown> {
  const { version, fingerprint, sha256, split, parameters, created } = fit;
  return {
    fit: version,
    is_current: fingerprint === present,
    fingerprint,
    sha256,
    split: { train: split.train, rows_train: split.rowsTrain, rows_total: split.rowsTotal },
    parameters,
    created_at: created,
  };
}
