/**
 * Aliases over HTTP: where each points and how it came there, and moving one; and retiring a version.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";
import { type MoveOptions, type RetireOptions, shownAliases, type VersionDesk } from "./version-desk.ts";

const version: JsonSchema = { type: "integer", minimum: 1 };
const versionOrNull: JsonSchema = { type: ["integer", "null"], minimum: 1 };
const kind: JsonSchema = { enum: ["view", "service"], description: "wanted where a view and a service have one name" };
const time: JsonSchema = { type: "string", description: "RFC 3339" };

const aliasSchema: JsonSchema = {
  type: "object",
  properties: {
    kind,
    name: nameSchema,
    alias: nameSchema,
    version,
    former: { ...versionOrNull, description: "where a rollback leads; null where it has nowhere to go back to" },
    kept_until: { ...time, description: "until then the version that it left is not retired" },
    by: { type: "string" },
    at: time,
  },
};
const moveSchema: JsonSchema = {
  type: "object",
  properties: {
    action: { enum: ["promote", "rollback"] },
    kind,
    name: nameSchema,
    alias: nameSchema,
    from: versionOrNull,
    to: version,
    keep: { type: "string" },
    by: { type: "string" },
    at: time,
  },
};
const options: Readonly<Record<string, JsonSchema>> = {
  kind,
  as: { ...nameSchema, description: "the alias; default prod" },
  from: {
    ...versionOrNull,
    description:
      "the version that the alias is to be moved from, null where it is not set; where it names another, nothing is moved",
  },
  by: { ...nameSchema, description: "who moves it" },
  keep: { ...nameSchema, description: "for how long the version that it leaves is kept; default 7d" },
};
const answers: Readonly<Record<number, JsonSchema>> = {
  200: { type: "object", properties: { moved: { type: "boolean" }, alias: aliasSchema } },
  400: errorSchema,
  404: errorSchema,
  409: errorSchema,
};

const retirementSchema: JsonSchema = {
  type: "object",
  properties: {
    retired: { type: "boolean" },
    kind: { enum: ["view", "service", "experiment"] },
    name: nameSchema,
    version: { ...versionOrNull, description: "null of an experiment" },
    readers: { type: "array", items: { type: "string" }, description: "what keeps it, but for recent reads" },
    recent_reads: {
      type: ["array", "null"],
      description: "null where it is not known: others serve it, and nothing was counted here",
      items: {
        type: "object",
        properties: {
          consumer: { type: "string", description: "empty where whoever asked has no name" },
          reads: { type: "integer", description: "vectors of a service, values of a view" },
          last_read_on: { type: "string", format: "date" },
        },
      },
    },
    state_bytes: { type: ["integer", "null"], description: "of its states; null where nobody says" },
    table_bytes: { type: "integer", description: "of its offline table of feature rows" },
  },
};

const retireOptions: Readonly<Record<string, JsonSchema>> = {
  target: { ...nameSchema, description: "name@1, or an experiment that was stopped" },
  kind,
  by: { ...nameSchema, description: "who retires it" },
  days: { type: "integer", minimum: 1, description: "reads of so many days keep it; default 7" },
  force: { type: "boolean", description: "in spite of recent reads, and of nothing else" },
  dry_run: { type: "boolean", description: "says what keeps it, and does nothing" },
};

export function aliasRoutes(ports: ServePorts): Route[] {
  const desk = (): VersionDesk => {
    const found = ports.monitoring?.versions;
    if (found !== undefined) return found;
    throw new OnefoldError("STORAGE_LOCKED", "this server does not own the data folder, so it moves no aliases", {
      hint: "ask the server that owns it, or use onefold promote",
    });
  };
  return [
    {
      method: "GET",
      path: "/aliases",
      summary: "Where every alias points, or those of one name, and every move of them",
      reads: "nothing",
      schemas: {
        query: { type: "object", additionalProperties: false, properties: { name: nameSchema } },
        answers: {
          200: {
            type: "object",
            properties: {
              aliases: { type: "array", items: aliasSchema },
              moves: { type: "array", items: moveSchema, description: "oldest first" },
            },
          },
        },
      },
      handle: ({ query }) => ({ status: 200, body: shownAliases(ports.registry.aliasMoves(), query["name"]) }),
    },
    post(
      "/aliases/promote",
      "Point an alias at a version",
      { target: { ...nameSchema, description: "name@2" }, ...options },
      (asked: Asked<"target", MoveOptions>) => desk().promote(asked.target, without(asked, "target")),
    ),
    post(
      "/aliases/rollback",
      "Point an alias back at the version before its last move; asked again without from, one further back",
      { name: nameSchema, ...options },
      (asked: Asked<"name", MoveOptions>) => desk().rollback(asked.name, without(asked, "name")),
    ),
    post(
      "/versions/retire",
      "Take a version out for good, once nobody reads it",
      retireOptions,
      (asked: Asked<"target", RetireOptions>) => desk().retire(asked.target, without(asked, "target")),
      retirementSchema,
    ),
  ];
}

/** What is named, beside the options. */
type Asked<N extends string, O> = O & { readonly [K in N]: string };

function without<N extends string, O extends Readonly<Record<N, unknown>>>(asked: O, name: N): Omit<O, N> {
  const { [name]: _, ...options } = asked;
  return options;
}

/** The first of `properties` is what is named: that and `by` must be given. */
function post<A>(
  path: string,
  summary: string,
  properties: Readonly<Record<string, JsonSchema>>,
  ask: (asked: A) => Promise<object>,
  answer: JsonSchema = answers[200]!,
): Route {
  const required = [Object.keys(properties)[0]!, "by"];
  return {
    method: "POST",
    path,
    summary,
    reads: "json",
    schemas: {
      body: { type: "object", required, additionalProperties: false, properties },
      answers: { ...answers, 200: answer },
    },
    handle: async ({ body }) => ({ status: 200, body: await ask(body as A) }),
  };
}
