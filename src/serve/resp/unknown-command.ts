import { CommandError } from "./error-reply.ts";

/** Of the arguments of a command that is not known. */
const ARGUMENTS_SHOWN_LENGTH = 128;
/** Of its name. */
export const NAME_LENGTH_MAX = 128;

/** As Redis says it, and what there is here instead: who is used to Redis tries its commands first. */
export function unknownCommand(args: readonly string[], known: readonly string[]): CommandError {
  let shown = "";
  for (let i = 1; i < args.length && shown.length < ARGUMENTS_SHOWN_LENGTH; i++) {
    shown += `'${shownBytes(args[i]!, ARGUMENTS_SHOWN_LENGTH - shown.length)}' `;
  }
  const names = known.map((name) => name.toUpperCase()).join(", ");
  return new CommandError(
    "ERR",
    `unknown command '${shownBytes(args[0]!, NAME_LENGTH_MAX)}', with args beginning with: ${shown}; the commands here are ${names}`,
  );
}

/** Enough of a byte string to know it by; what is no ASCII shows as a question mark. */
function shownBytes(bytes: string, lengthMax: number): string {
  return bytes.slice(0, lengthMax).replace(/[^ -~]/g, "?");
}
