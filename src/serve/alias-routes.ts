/**
 * Aliases over HTTP: where each points and how it came there, and moving one.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";
import { type MoveOptions, shownAliases, type VersionDesk } from "./version-desk.ts";

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
    {
      method: "POST",
      path: "/aliases/promote",
      summary: "Point an alias at a version",
      reads: "json",
      schemas: {
        body: {
          type: "object",
          required: ["target", "by"],
          additionalProperties: false,
          properties: { target: { ...nameSchema, description: "name@2" }, ...options },
        },
        answers,
      },
      handle: async ({ body }) => {
        const { target, ...asked } = body as { readonly target: string } & MoveOptions;
        return { status: 200, body: await desk().promote(target, asked) };
      },
    },
    {
      method: "POST",
      path: "/aliases/rollback",
      summary: "Point an alias back at the version before its last move",
      reads: "json",
      schemas: {
        body: {
          type: "object",
          required: ["name", "by"],
          additionalProperties: false,
          properties: { name: nameSchema, ...options },
        },
        answers,
      },
      handle: async ({ body }) => {
        const { name, ...asked } = body as { readonly name: string } & MoveOptions;
        return { status: 200, body: await desk().rollback(name, asked) };
      },
    },
  ];
}
