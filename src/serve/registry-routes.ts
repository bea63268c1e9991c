/**
 * What is registered: lists with filters, one definition by name and version, and the lineage.
 */
import { OnefoldError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { Definition, OnDemandDefinition, ServiceDefinition } from "../define/definition.ts";
import { requestColumnsOf } from "../define/request-columns.ts";
import { meantVersion } from "../registry/meant-version.ts";
import { parseNamedVersion } from "../registry/named-version.ts";
import type { FindQuery, Registered, Registry } from "../registry/registry.ts";
import { answerColumn, answerDefinition } from "./registry-answer.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

/** Path segment of each list, and the kinds of definitions that stand in it. */
const LISTS: Readonly<Record<string, readonly Definition["kind"][]>> = {
  entities: ["entity"],
  sources: ["stream", "batch"],
  views: ["view"],
  on_demand_views: ["on-demand"],
  services: ["service"],
  experiments: ["experiment"],
  alert_rules: ["alert", "retrain"],
  destinations: ["webhook", "command"],
};

const filters: JsonSchema = {
  type: "object",
  additionalProperties: false,
  properties: { tag: nameSchema, owner: nameSchema, entity: nameSchema },
};
const definitionSchema: JsonSchema = {
  type: "object",
  required: ["kind", "name", "fingerprint", "created_at"],
  properties: { kind: nameSchema, name: nameSchema, fingerprint: { type: "string" }, created_at: { type: "string" } },
  additionalProperties: true,
};
const listSchema: JsonSchema = { type: "array", items: definitionSchema };

export function registryRoutes(registry: Registry): Route[] {
  const list = (kinds: readonly Definition["kind"][], query: Readonly<Record<string, string>>): unknown[] =>
    kinds.flatMap((kind) => registry.find({ kind, ...query } satisfies FindQuery)).map(answerDefinition);

  return [
    {
      method: "GET",
      path: "/registry",
      summary: "All that is registered",
      reads: "nothing",
      schemas: {
        query: filters,
        answers: {
          200: { type: "object", properties: Object.fromEntries(Object.keys(LISTS).map((name) => [name, listSchema])) },
          404: errorSchema,
        },
      },
      handle: ({ query }) => ({
        status: 200,
        body: Object.fromEntries(Object.entries(LISTS).map(([name, kinds]) => [name, list(kinds, query)])),
      }),
    },
    {
      method: "GET",
      path: "/registry/lineage",
      summary: "What is computed from what",
      reads: "nothing",
      schemas: {
        answers: {
          200: {
            type: "object",
            properties: {
              edges: {
                type: "array",
                items: { type: "object", properties: { from: { type: "string" }, to: { type: "string" } } },
              },
            },
          },
        },
      },
      handle: () => ({ status: 200, body: { edges: registry.lineage() } }),
    },
    {
      method: "GET",
      path: "/registry/{list}",
      summary: "All entities, sources, views, on_demand_views, services, alert_rules or destinations",
      reads: "nothing",
      schemas: {
        params: { type: "object", properties: { list: nameSchema } },
        query: filters,
        answers: { 200: { type: "object", additionalProperties: listSchema }, 404: errorSchema },
      },
      handle: ({ params, query }) => {
        const name = params["list"]!;
        return { status: 200, body: { [name]: list(kindsOf(name), query) } };
      },
    },
    {
      method: "GET",
      path: "/registry/{list}/{name}",
      summary: "One definition; the name of a view or a service may carry its version or an alias: origin_delays@2",
      reads: "nothing",
      schemas: {
        params: { type: "object", properties: { list: nameSchema, name: nameSchema } },
        answers: { 200: definitionSchema, 404: errorSchema },
      },
      handle: ({ params }) => {
        const kinds = kindsOf(params["list"]!);
        const found = lookUp(registry, kinds[0]!, params["name"]!);
        const { definition } = found;
        const request = definition.kind === "service" ? { request: requestOf(registry, definition) } : {};
        return { status: 200, body: { ...answerDefinition(found), ...request } };
      },
    },
  ];
}

/** What a request to the service must carry. */
function requestOf(registry: Registry, { features }: ServiceDefinition): unknown[] {
  const all = registry.onDemandViews().map(({ definition }) => definition);
  const find = (name: string, version: number | "dev"): OnDemandDefinition | null =>
    all.find((one) => one.name === name && one.version === version) ?? null;
  return requestColumnsOf(features, find).columns.map(answerColumn);
}

function kindsOf(list: string): readonly Definition["kind"][] {
  if (Object.hasOwn(LISTS, list)) return LISTS[list]!;
  throw new OnefoldError("ROUTE_UNKNOWN", `the registry has no list "${list}"`, {
    hint: `there are ${Object.keys(LISTS).join(", ")}, and lineage`,
    candidates: nearestNames(list, [...Object.keys(LISTS), "lineage"]).map((name) => `/registry/${name}`),
  });
}

function lookUp(registry: Registry, kind: Definition["kind"], text: string): Registered<Definition> {
  const named = parseNamedVersion(text);
  switch (kind) {
    case "entity":
      return registry.entity(text);
    case "stream":
    case "batch":
      return registry.source(text);
    case "service":
      return registry.service(text);
    case "experiment":
      return registry.experiment(text);
    case "alert":
    case "retrain":
    case "webhook":
    case "command":
      return monitoringOf(registry, kind, text);
    case "view":
      return registry.view(text);
    case "on-demand": {
      const all = registry.onDemandViews();
      const versions = all.filter(({ definition }) => definition.name === named.name);
      const found = meantVersion("view", versions, named, registry.aliasMoves());
      if (found !== undefined) return found;
      throw new OnefoldError("VIEW_UNKNOWN", `no on-demand view "${text}" is registered`, {
        candidates: nearestNames(
          named.name,
          all.map(({ definition }) => definition.name),
        ),
      });
    }
  }
}

function monitoringOf(registry: Registry, kind: Definition["kind"], name: string): Registered<Definition> {
  const kinds = kindsOf(kind === "alert" || kind === "retrain" ? "alert_rules" : "destinations");
  const all = kinds.flatMap((one) => registry.find({ kind: one }));
  const found = all.find(({ definition }) => definition.name === name);
  if (found !== undefined) return found;
  throw new OnefoldError("DEFINITION_UNKNOWN", `no ${kinds.join(" or ")} "${name}" is registered`, {
    candidates: nearestNames(
      name,
      all.map(({ definition }) => definition.name),
    ),
  });
}
