/**
 * Errors in Redis's manner: one line, `-CODE message`. Clients show the line as it is and tell errors apart by
 * its first word, so that is the platform's own code (docs/errors.md), with what to do behind the message.
 */
import { asOnefoldError } from "../../base/errors.ts";
import { shownError } from "../shown-error.ts";
import { encodeText } from "./byte-string.ts";

/** An error of the protocol's own world (`ERR`, `NOAUTH`, `WRONGPASS`, `NOPROTO`), as Redis words it. */
export class CommandError extends Error {
  readonly prefix: string;

  constructor(prefix: "ERR" | "NOAUTH" | "WRONGPASS" | "NOPROTO", message: string) {
    super(message);
    this.name = "CommandError";
    this.prefix = prefix;
  }
}

export interface ErrorReply {
  /** The first word. */
  readonly code: string;
  /** The whole line as a byte string, `-` and line end included. */
  readonly line: string;
  /** Whether it is the server's own fault, and for its operator to hear of. */
  readonly isServerFault: boolean;
}

const LINE_LENGTH_MAX = 1000;

export function errorReply(thrown: unknown): ErrorReply {
  if (thrown instanceof CommandError) {
    return { code: thrown.prefix, line: errorLine(thrown.prefix, thrown.message), isServerFault: false };
  }
  const error = asOnefoldError(thrown);
  // An on-demand view that fails is told of by the HTTP door, once for each message, and counted.
  const isServerFault = error.status >= 500 && error.status !== 503 && !error.code.startsWith("ON_DEMAND_");
  const { message, where, hint, candidates = [] } = shownError(error, "command");
  const parts = [
    where === undefined || message.includes(where) ? message : `${message} (${where})`,
    ...(hint === undefined ? [] : [hint]),
    ...(candidates.length === 0 ? [] : [`candidates: ${candidates.join(", ")}`]),
  ];
  return { code: error.code, line: errorLine(error.code, parts.join("; ")), isServerFault };
}

export function errorLine(code: string, message: string): string {
  const line = message.replace(/[\r\n]+/g, " ");
  return `-${code} ${encodeText(line.length > LINE_LENGTH_MAX ? `${line.slice(0, LINE_LENGTH_MAX)}...` : line)}\r\n`;
}
