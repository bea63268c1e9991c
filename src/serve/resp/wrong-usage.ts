/** What is wrong with how a command is written: as Redis says it, and how it is written right. */
import { CommandError } from "./error-reply.ts";

/** `syntax` is what stands behind the name. */
export function wrongArity(name: string, syntax: string): CommandError {
  return new CommandError("ERR", `wrong number of arguments for '${name}' command; write ${written(name, syntax)}`);
}

export function wrongSyntax(name: string, syntax: string): CommandError {
  return new CommandError("ERR", `syntax error; write ${written(name, syntax)}`);
}

function written(name: string, syntax: string): string {
  return `${name.replace("|", " ").toUpperCase()} ${syntax}`.trim();
}
