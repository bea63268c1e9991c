/**
 * Dead letters of a server's sources: seen, pushed again, and resolved. A letter holds the row that was refused, as it came.
 */
import { OnefoldError } from "../base/errors.ts";
import type { LetterDesk, LettersAsked } from "./letter-desk.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type JsonSchema, nameSchema, type Route } from "./route.ts";

const LIMIT = 100;
/** Rows may be large. */
const LIMIT_MAX = 1000;
const IDS_MAX = 10_000;

const codeSchema: JsonSchema = { ...nameSchema, description: "refused with this error code" };
const viewSchema: JsonSchema = { ...nameSchema, description: "refused by this view while folding, as name@version" };
const idsSchema: JsonSchema = {
  type: "array",
  items: nameSchema,
  minItems: 1,
  maxItems: IDS_MAX,
  description: "only these",
};
const letterSchema: JsonSchema = {
  type: "object",
  properties: {
    id: { type: "string" },
    source: nameSchema,
    stage: { enum: ["door", "import", "fold"] },
    view: { type: "string", description: "of the stage fold" },
    offset: { type: "integer", description: "of the stage fold: of the event in the source's log" },
    code: { type: "string" },
    message: { type: "string" },
    expectation: { type: "string", description: "of the code EXPECTATION_FAILED" },
    payload: { description: "the row as it came" },
    at: { type: "string", format: "date-time" },
  },
};
const params: JsonSchema = { type: "object", properties: { source: nameSchema } };
const count: JsonSchema = { type: "integer" };

export function letterRoutes({ monitoring }: ServePorts): Route[] {
  const desk = (): LetterDesk => offered(monitoring?.letters);
  return [
    {
      method: "GET",
      path: "/dead-letters",
      summary: "Rows that were refused and not taken in since, the oldest first, each with the reason",
      reads: "nothing",
      schemas: {
        query: {
          type: "object",
          properties: {
            source: nameSchema,
            code: codeSchema,
            view: viewSchema,
            limit: {
              type: "string",
              pattern: "^[1-9][0-9]{0,3}$",
              description: `default ${LIMIT}, ${LIMIT_MAX} at most`,
            },
          },
        },
        answers: {
          200: {
            type: "object",
            properties: {
              dead_letters: { type: "array", items: letterSchema },
              dropped: { ...count, description: "older letters that went, unresolved, to make room for newer ones" },
            },
          },
          400: errorSchema,
          404: errorSchema,
        },
      },
      handle: async ({ query }) => {
        const { limit, ...asked } = query as Readonly<Record<string, string | undefined>>;
        const named = Object.fromEntries(Object.entries(asked).filter(([, text]) => text !== undefined));
        const rows = Math.min(limit === undefined ? LIMIT : Number(limit), LIMIT_MAX);
        return { status: 200, body: await desk().list({ ...named, limit: rows }) };
      },
    },
    {
      method: "POST",
      path: "/dead-letters/{source}/replay",
      summary: "Push refused rows again; what a view refused while folding is not pushed",
      reads: "json",
      schemas: {
        params,
        body: { type: "object", additionalProperties: false, properties: { ids: idsSchema } },
        answers: {
          200: {
            type: "object",
            properties: {
              source: nameSchema,
              accepted: count,
              duplicates: count,
              rejected: { ...count, description: "refused again" },
              not_replayable: { ...count, description: "refused by views while folding" },
            },
          },
          400: errorSchema,
          404: errorSchema,
          429: errorSchema,
        },
      },
      handle: async ({ params: { source }, body }) => {
        const { ids } = body as Pick<LettersAsked, "ids">;
        return { status: 200, body: await (ids === undefined ? desk().replay(source!) : desk().replay(source!, ids)) };
      },
    },
    {
      method: "POST",
      path: "/dead-letters/{source}/resolve",
      summary: "Mark refused rows as seen to, for good: those of a code, of a view or of these ids",
      reads: "json",
      schemas: {
        params,
        body: {
          type: "object",
          minProperties: 1,
          additionalProperties: false,
          properties: { code: codeSchema, view: viewSchema, ids: idsSchema },
        },
        answers: {
          200: { type: "object", properties: { source: nameSchema, resolved: count } },
          400: errorSchema,
          404: errorSchema,
        },
      },
      handle: async ({ params: { source }, body }) => {
        return { status: 200, body: await desk().resolve(source!, body as LettersAsked) };
      },
    },
  ];
}

function offered(letters: LetterDesk | undefined): LetterDesk {
  if (letters !== undefined) return letters;
  throw new OnefoldError("STORAGE_LOCKED", "this server takes no events in, and keeps none that were refused", {
    hint: "ask the server that owns the data folder",
  });
}
