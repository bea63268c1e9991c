/**
 * Pushing events: acknowledged row by row, each only once it is durable and folded.
 */
import { asOnefoldError, ERROR_CODES, type ErrorCode, OnefoldError } from "../base/errors.ts";
import { type EventBody } from "./event-body.ts";
import { type ServePorts } from "./ports.ts";
import { errorSchema, nameSchema, type Route, type RouteAnswer } from "./route.ts";

/**
 * Rows handed on at a time: a large body passes the pipeline's bounds in parts, and one that meets
 * back-pressure half way says how far it came.
 */
const ROWS_PER_PUSH = 2000;

type Outcome = Readonly<Record<string, unknown>>;

interface PushTotals {
  accepted: number;
  duplicates: number;
  rejected: number;
  readonly outcomes: Outcome[];
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
        },
      },
      handle: (request) => pushBody(ports, request.params["source"]!, request.body as EventBody),
    },
  ];
}

async function pushBody(ports: ServePorts, source: string, body: EventBody): Promise<RouteAnswer> {
  const totals: PushTotals = { accepted: 0, duplicates: 0, rejected: 0, outcomes: [] };
  for (let from = 0; from === 0 || from < body.rows.length; from += ROWS_PER_PUSH) {
    try {
      const report = await ports.push(source, body.rows.slice(from, from + ROWS_PER_PUSH), faultsFrom(body, from));
      totals.accepted += report.accepted;
      totals.duplicates += report.duplicates;
      totals.rejected += report.rejected;
      for (const outcome of report.outcomes) totals.outcomes.push(wireOutcome(outcome));
    } catch (thrown) {
      const error = asOnefoldError(thrown);
      if (from === 0) throw error;
      return stoppedHalfWay(source, totals, body.rows.length - from, error);
    }
  }
  const answer = { source, ...totals };
  if (totals.rejected === 0 || totals.rejected < body.rows.length) return { status: 200, body: answer };
  const error = rejection(totals, body);
  return { status: error.status, body: { error, ...answer } };
}

/** The rest was not looked at: nothing of it is in the log or among the dead letters, and it may be sent again. */
function stoppedHalfWay(source: string, totals: PushTotals, rest: number, error: OnefoldError): RouteAnswer {
  const refused = { status: "refused", code: error.code };
  const outcomes = [...totals.outcomes, ...Array.from({ length: rest }, () => refused)];
  return { status: error.status, body: { error, source, ...totals, refused: rest, outcomes } };
}

function rejection({ outcomes, rejected }: PushTotals, body: EventBody): OnefoldError {
  const code = String(outcomes[0]!["code"]);
  const message = String(outcomes[0]!["message"]);
  if (body.single && code in ERROR_CODES) return new OnefoldError(code as ErrorCode, message);
  return new OnefoldError("ROWS_REJECTED", `all ${rejected} rows were rejected; the first: ${message}`);
}

function wireOutcome(outcome: Outcome): Outcome {
  const { deadLetterId, ...rest } = outcome;
  return deadLetterId === undefined ? rest : { ...rest, dead_letter_id: deadLetterId };
}

function faultsFrom({ faults }: EventBody, from: number): EventBody["faults"] {
  return from === 0 ? faults : new Map(Array.from(faults, ([row, fault]) => [row - from, fault]));
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
          status: { enum: ["accepted", "duplicate", "rejected", "refused"] },
          offset: { type: "integer", description: "of an accepted row: its place in the source's log" },
          id: { type: "string", description: "of a duplicate" },
          code: { type: "string", description: "of a rejected row" },
          message: { type: "string" },
          dead_letter_id: { type: "string" },
        },
      },
    },
  },
};
