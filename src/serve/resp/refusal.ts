/**
 * Why a request is not carried out, whatever it asks for.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { Command, Session } from "./command.ts";
import type { ConnectionHouse } from "./connection-house.ts";
import { CommandError } from "./error-reply.ts";
import type { Request } from "./request-parser.ts";
import { NAME_LENGTH_MAX, unknownCommand } from "./unknown-command.ts";
import { wrongArity } from "./wrong-usage.ts";

/** An error to answer with, or that the connection ends without an answer. */
export type Refusal = Error | "cut off";

/** Browsers send these when a page makes them speak HTTP to this port: nothing of such a request is carried out. */
const HTTP_WORDS: ReadonlySet<string> = new Set(["POST", "HOST:"]);

/** `command` is what the request names, undefined where there is none. Null where it is carried out. */
export function refusalOf(
  { args, isRefused }: Request,
  command: Command | undefined,
  session: Session,
  house: ConnectionHouse,
): Refusal | null {
  if (isRefused) {
    return new OnefoldError("BACKPRESSURE", "the requests being read and carried out are too large together", {
      hint: "send again in a second, in smaller requests or fewer at a time",
    });
  }
  if (command === undefined && HTTP_WORDS.has(args[0]!.slice(0, NAME_LENGTH_MAX).toUpperCase())) return "cut off";
  if (!session.isAuthenticated && command?.isOpen !== true) {
    return new CommandError("NOAUTH", "Authentication required.");
  }
  if (command === undefined) return unknownCommand(args, house.commandNames);
  const { arity, name, syntax } = command;
  const isRight = arity < 0 ? args.length >= -arity : args.length === arity;
  return isRight ? null : wrongArity(name, syntax);
}
