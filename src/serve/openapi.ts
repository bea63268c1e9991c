/**
 * The routes as an OpenAPI 3.1 document: what mounts them also describes them.
 */
import { LABEL_TYPES } from "./label-upload.ts";
import { errorSchema, type JsonSchema, type Route } from "./route.ts";
import { jobSchema } from "./training-set-schemas.ts";
import { featuresSchema, metadataSchema } from "./vector-answer.ts";

export interface OpenApiOperation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly OpenApiParameter[];
  readonly requestBody?: OpenApiBody;
  readonly responses: Readonly<Record<string, OpenApiResponse>>;
}

type Headers = Readonly<Record<string, { readonly schema: JsonSchema; readonly description?: string }>>;

interface OpenApiResponse {
  readonly description: string;
  readonly headers?: Headers;
  readonly content?: Content;
}

interface OpenApiBody {
  readonly required: boolean;
  readonly content: Content;
}

export interface OpenApiParameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly schema: JsonSchema;
  readonly description?: string;
}

type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>;

export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly info: {
    readonly title: string;
    readonly version: string;
    readonly description: string;
    readonly license: object;
  };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

/** What many answers share stands once. */
const SHARED: ReadonlyMap<JsonSchema, string> = new Map([
  [errorSchema, "Error"],
  [featuresSchema, "Features"],
  [metadataSchema, "Metadata"],
  [jobSchema, "TrainingSet"],
]);

/** By the first segment of a route's path. */
const TAGS: Readonly<Record<string, { readonly name: string; readonly description: string }>> = {
  features: { name: "features", description: "Features of one entity type, by name" },
  services: { name: "services", description: "Feature vectors of a service: what one model reads" },
  events: { name: "events", description: "Events pushed to a source" },
  "get-online-features": { name: "feast", description: "Feast's wire, for its own clients" },
  push: { name: "feast", description: "Feast's wire, for its own clients" },
  "write-to-online-store": { name: "feast", description: "Feast's wire, for its own clients" },
  "training-sets": {
    name: "training",
    description: "Training sets: labels joined, point in time, with a service's features",
  },
  registry: { name: "registry", description: "What is registered" },
};
const OTHER = { name: "operation", description: "Health, metrics and this description" };

const MEANING: Readonly<Record<string, string>> = {
  200: "the answer",
  202: "taken in; what becomes of it is told by GET /training-sets/{id}",
  400: "the request is wrong; the error says where, and what to do",
  403: "what is asked for lies where it may not be read",
  404: "there is nothing of this name; near names are among the candidates",
  409: "what is registered or stored does not allow it",
  413: "the body is larger than the limit",
  415: "the body is encoded: Content-Encoding is none that is read here",
  422: "every row was refused, or what the rows are for is unknown",
  429: "more at once than can be taken in: send again in a second",
  503: "the server is not ready: ask again in a second",
  507: "the disk is full: nothing of the push was acknowledged",
};

/** What answers with an error say by their status, whatever the route. */
const RETRY_AFTER: Readonly<Record<string, JsonSchema>> = {
  "retry-after": { type: "integer", description: "seconds" },
};
const HEADERS: Readonly<Record<string, Readonly<Record<string, JsonSchema>>>> = { 429: RETRY_AFTER, 503: RETRY_AFTER };

export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const paths: Record<string, Record<string, OpenApiOperation>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
  const tags = new Map(routes.map(tagOf).map((tag) => [tag.name, tag]));
  return {
    openapi: "3.1.0",
    info: {
      title: "Onefold",
      version,
      description: "Events in, feature vectors out. Errors have the codes of docs/errors.md.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    tags: [...tags.values()],
    paths,
    components: { schemas: Object.fromEntries([...SHARED].map(([schema, name]) => [name, schema])) },
  };
}

function tagOf(route: Route): (typeof TAGS)[string] {
  return TAGS[route.path.split("/")[1]!] ?? OTHER;
}

function operation(route: Route): OpenApiOperation {
  const { params, query, answers, headers, answerType = "application/json", answerHeaders } = route.schemas;
  const parameters = [
    ...parametersOf("path", params?.["properties"]),
    ...parametersOf("query", query?.["properties"]),
    ...parametersOf("header", headers),
  ];
  const body = requestBody(route);
  // What every parameter and every body may be, whatever it is for.
  const refusals = {
    ...(parameters.length === 0 && body === null ? {} : { 400: errorSchema }),
    ...(body === null ? {} : { 413: errorSchema, 415: errorSchema, 429: errorSchema }),
  };
  return {
    operationId: operationId(route),
    summary: route.summary,
    tags: [tagOf(route).name],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === null ? {} : { requestBody: body }),
    responses: Object.fromEntries(
      Object.entries({ ...refusals, ...answers }).map(([status, schema]) => [
        status,
        {
          description: MEANING[status] ?? "an error",
          ...headersOf(status === "200" ? answerHeaders : HEADERS[status]),
          content: contentOf(status === "200" ? answerType : "application/json", withReferences(schema)),
        },
      ]),
    ),
  };
}

function headersOf(headers: Readonly<Record<string, JsonSchema>> | undefined): { readonly headers?: Headers } {
  if (headers === undefined) return {};
  return {
    headers: Object.fromEntries(Object.entries(headers).map(([name, schema]) => [name, described(schema)])),
  };
}

/** A description stands beside the schema of what it describes. */
function described({ description, ...schema }: JsonSchema): {
  readonly schema: JsonSchema;
  readonly description?: string;
} {
  return { schema, ...(typeof description === "string" ? { description } : {}) };
}

function contentOf(types: string | readonly string[], schema: JsonSchema): Content {
  return Object.fromEntries([types].flat().map((type) => [type, { schema }]));
}

function withReferences(schema: JsonSchema): JsonSchema {
  const shared = SHARED.get(schema);
  if (shared !== undefined) return { $ref: `#/components/schemas/${shared}` };
  return Object.fromEntries(
    Object.entries(schema).map(([name, part]) => [name, isSchema(part) ? withReferences(part) : part]),
  );
}

function isSchema(part: unknown): part is JsonSchema {
  return typeof part === "object" && part !== null && !Array.isArray(part);
}

/** `POST /services/{name}/vector` -> `postServicesNameVector`. */
function operationId(route: Route): string {
  const words = route.path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return route.method.toLowerCase() + words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join("");
}

function parametersOf(place: OpenApiParameter["in"], schemas: unknown): OpenApiParameter[] {
  const properties = (schemas ?? {}) as Readonly<Record<string, JsonSchema>>;
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: place,
    required: place === "path",
    ...described(schema),
  }));
}

function requestBody(route: Route): OpenApiBody | null {
  switch (route.reads) {
    case "nothing":
      return null;
    case "events": {
      const row: JsonSchema = { type: "object", description: "an event, with the source's columns" };
      return {
        required: true,
        content: {
          "application/json": { schema: { oneOf: [row, { type: "array", items: row }] } },
          "application/x-ndjson": { schema: { type: "string", description: "one event a line" } },
        },
      };
    }
    case "labels": {
      const file: JsonSchema = {
        type: "string",
        format: "binary",
        description: "label rows; options stand in the query",
      };
      return {
        required: true,
        content: {
          "application/json": { schema: route.schemas.body ?? {} },
          ...contentOf(LABEL_TYPES, file),
        },
      };
    }
    case "json":
    case "wide-json":
      return { required: true, content: { "application/json": { schema: route.schemas.body ?? {} } } };
  }
}
