/**
 * Where in the user's code a definition was written, read off the stack: errors and plans point there.
 */
import { fileURLToPath } from "node:url";
import { OnefoldError } from "../base/errors.ts";

/** File and line where a definition was written; never part of its fingerprint. */
export interface DefinedAt {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

const FRAME = /^\s*at (?:.*\()?((?:file:\/\/)?[^()]+?):(\d+):(\d+)\)?$/;

/**
 * Place of the call of `callee`, the DSL's function, or undefined where the engine does not tell. Lines
 * are those of the TypeScript file where source maps are enabled.
 */
export function callSite(callee: (...args: never[]) => unknown): DefinedAt | undefined {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 1;
  // Leaves out all frames up to and including the callee's, so that the first is the caller's.
  Error.captureStackTrace(holder, callee);
  const { stack } = holder;
  Error.stackTraceLimit = limit;
  return topOfStack(stack);
}

/** Place of a stack's first frame that is in a file, and in none that is `passedOver`. */
export function topOfStack(
  stack: string | undefined,
  passedOver: (file: string) => boolean = () => false,
): DefinedAt | undefined {
  for (const text of stack?.split("\n") ?? []) {
    const match = FRAME.exec(text);
    if (match === null) continue;
    const [, named, line, column] = match;
    const file = named!.startsWith("file://") ? fileURLToPath(named!) : named!;
    if (passedOver(file)) continue;
    return { file, line: Number(line), column: Number(column) };
  }
  return undefined;
}

/** `file:line`, or the definition's own name where its place is unknown. */
export function placeOf(definition: { readonly name: string; readonly definedAt?: DefinedAt | undefined }): string {
  const at = definition.definedAt;
  return at === undefined ? definition.name : `${at.file}:${at.line}`;
}

/** Throws `DEFINITION_INVALID` that names every problem, unless there is none. */
export function refuse(
  definition: { readonly name: string; readonly definedAt?: DefinedAt | undefined },
  kind: string,
  problems: readonly string[],
): void {
  if (problems.length === 0) return;
  throw new OnefoldError("DEFINITION_INVALID", `${kind} "${definition.name}": ${problems.join("; ")}`, {
    where: placeOf(definition),
  });
}
