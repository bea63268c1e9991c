/**
 * Pushing events: acknowledged row by row, each only once it is durable and folded.
 */
import { ERROR_CODES, type ErrorCode, OnefoldError } from "../base/errors.ts";
import type { EventBody } from "./event-body.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, nameSchema, type Route, type RouteAnswer } from "./route.ts";

type Outcome = Readonly<Record<string, unknown>>;

/** What an error says beside its code and message. */
interface Reason {
  readonly where?: string;
  readonly hint?: string;
  readonly candidates?: readonly string[];
}

export function eventRoutes(ports: ServePorts): Route[] {
  return [
    {
      method: "POST",
      path: "/events/{source}",
      summary: "Push events: one object, an array, or NDJSON; the answer has one outcome a row",
      reads: "events",
      schemas: {
        params: { type: "object", properties: { source: nameSchema } },
        answers: {
          200: pushSchema,
          400: errorSchema,
          404: errorSchema,
          413: errorSchema,
          422: errorSchema,
          429: errorSchema,
          507: errorSchema,
        },
      },
      handle: (request) => pushBody(ports, request.params["source"]!, request.body as EventBody),
    },
  ];
}

/** A body is taken in whole or, where back-pressure or the disk forbid it, refused whole. */
export async function pushBody(ports: ServePorts, source: string, body: EventBody): Promise<RouteAnswer> {
  const { accepted, duplicates, rejected, outcomes } = await ports.push(source, body.rows, body.faults);
  const answer = { source, accepted, duplicates, rejected, outcomes: outcomes.map(wireOutcome) };
  if (rejected === 0 || rejected < body.rows.length) return { status: 200, body: answer };
  const error = rejection(outcomes[0]!, rejected, body.single);
  return { status: error.status, body: { error, ...answer } };
}

function rejection(first: Outcome, rejected: number, single: boolean): OnefoldError {
  const code = String(first["code"]);
  const message = String(first["message"]);
  const { where, ...reason } = reasonOf(first);
  if (single && code in ERROR_CODES) {
    return new OnefoldError(code as ErrorCode, message, { ...reason, ...(where === undefined ? {} : { where }) });
  }
  return new OnefoldError("ROWS_REJECTED", `all ${rejected} rows were rejected; the first: ${message}`, reason);
}

function reasonOf({ where, hint, candidates }: Outcome): Reason {
  return {
    ...(typeof where === "string" ? { where } : {}),
    ...(typeof hint === "string" ? { hint } : {}),
    ...(Array.isArray(candidates) ? { candidates: candidates.map(String) } : {}),
  };
}

function wireOutcome(outcome: Outcome): Outcome {
  if (outcome["deadLetterId"] === undefined) return outcome;
  const { deadLetterId, ...rest } = outcome;
  return { ...rest, dead_letter_id: deadLetterId };
}

const pushSchema = {
  type: "object",
  properties: {
    source: nameSchema,
    accepted: { type: "integer" },
    duplicates: { type: "integer" },
    rejected: { type: "integer" },
    outcomes: {
      type: "array",
      description: "in the order of the rows",
      items: {
        type: "object",
        required: ["status"],
        properties: {
          status: { enum: ["accepted", "duplicate", "rejected"] },
          offset: { type: "integer", description: "of an accepted row: its place in the source's log" },
          id: { type: "string", description: "of a duplicate" },
          differs: {
            const: true,
            description: "of a duplicate that holds something else than the first event of its id",
          },
          code: { type: "string", description: "of a rejected row" },
          message: { type: "string" },
          where: { type: "string", description: "the column that it is rejected for" },
          hint: { type: "string", description: "what to do" },
          candidates: { type: "array", items: { type: "string" }, description: "names near an unknown one" },
          dead_letter_id: { type: "string" },
        },
      },
    },
  },
};
