/**
 * `FPUSH`: events for a source, acknowledged once they are durable and folded: what is asked for next counts them.
 */
import { ERROR_CODES, type ErrorCode, OnefoldError } from "../../base/errors.ts";
import { type EventBody, EVENT_ROWS_MAX, parseEventBody } from "../event-body.ts";
import { bodyTooLarge, JSON_BYTES_MAX } from "../request-body.ts";
import { decodeText } from "./byte-string.ts";
import type { Command } from "./command.ts";
import { mapReply, type Reply } from "./reply-writer.ts";

export const pushCommand: Command = {
  name: "fpush",
  arity: -3,
  syntax: "source json [json ...]",
  summary: "Pushes events: each argument is a JSON object, a JSON array of them, or NDJSON",
  begin: async (args, { door }) => {
    const { rows, faults, single } = rowsOf(args);
    const report = await door.ports.push(decodeText(args[1]!, "source"), rows, faults);
    const { accepted, duplicates, rejected, outcomes } = report;
    // Of a single event there is nothing to say but why it was rejected.
    if (single && rejected === 1) throw rejection(outcomes[0]!);
    const rejections = outcomes.flatMap((outcome, row): Reply[] => {
      if (outcome["status"] !== "rejected") return [];
      const { code, message, deadLetterId = null } = outcome;
      const letter = deadLetterId === null ? null : String(deadLetterId);
      return [mapReply({ row, code: String(code), message: String(message), dead_letter_id: letter })];
    });
    return (out) => out.reply(mapReply({ accepted, duplicates, rejected, rejections }));
  },
};

interface PushedRows {
  readonly rows: readonly unknown[];
  readonly faults: ReadonlyMap<number, OnefoldError>;
  /** One argument with one object. */
  readonly single: boolean;
}

/** Throws what `parseEventBody` throws: then nothing of the call is taken in. */
function rowsOf(args: readonly string[]): PushedRows {
  const bodies = args.slice(2).map((bytes, i) => eventBodyOf(bytes, `argument ${i + 2}`));
  if (bodies.length === 1) return bodies[0]!;
  const rows: unknown[] = [];
  const faults = new Map<number, OnefoldError>();
  for (const body of bodies) {
    for (const [row, fault] of body.faults) faults.set(rows.length + row, fault);
    for (const row of body.rows) rows.push(row);
  }
  if (rows.length <= EVENT_ROWS_MAX) return { rows, faults, single: false };
  throw new OnefoldError("BODY_TOO_LARGE", `a push of more than ${EVENT_ROWS_MAX} rows`, {
    hint: `send it in parts of up to ${EVENT_ROWS_MAX} rows`,
  });
}

/** The rows of one argument; `where` says which it is. Throws what `parseEventBody` throws. */
export function eventBodyOf(bytes: string, where: string): EventBody {
  const text = decodeText(bytes, where);
  const body = parseEventBody(text, "");
  const isJson = body.single || text.trimStart()[0] === "[";
  if (isJson && bytes.length > JSON_BYTES_MAX) throw bodyTooLarge(bytes.length, JSON_BYTES_MAX);
  return body;
}

function rejection(outcome: Readonly<Record<string, unknown>>): OnefoldError {
  const code = String(outcome["code"]);
  const known = code in ERROR_CODES ? (code as ErrorCode) : "ROWS_REJECTED";
  return new OnefoldError(known, String(outcome["message"]));
}
