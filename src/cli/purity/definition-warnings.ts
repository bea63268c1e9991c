/** What commands say of impure functions: a line each on stderr, `warnings` with `--json`, an error with `--strict`. */
import { relative } from "node:path";
import { OnefoldError } from "../../base/errors.ts";
import type { LoadedDefinitions } from "../load-definitions.ts";
import type { Output } from "../output.ts";
import type { Impurity } from "./find-impurities.ts";

/** The parser is loaded only where there is a function to read. */
export async function definitionWarnings(loaded: LoadedDefinitions, door: string): Promise<Impurity[]> {
  if (!CALLS_WITH_FUNCTIONS.test(loaded.code)) return [];
  const { findImpurities } = await import("./find-impurities.ts");
  return findImpurities(loaded.code, door);
}

/** Code that defines no function of its own calls none of these; a false alarm costs a few milliseconds. */
const CALLS_WITH_FUNCTIONS = /\b(?:custom|onDemand|customTransformation)\b/;

/** To stderr, unless the command's result carries them. */
export function printWarnings(warnings: readonly Impurity[], output: Output): void {
  for (const warning of warnings) output.note(formatWarning(warning));
}

export function formatWarning(warning: Impurity): string {
  const { severity, where, definition, role, found, problem, instead } = warning;
  return `${severity}: ${relative(process.cwd(), where)}: ${found} ${problem}, in ${role} of ${definition}; ${instead}`;
}

/** Throws `DEFINITION_IMPURE` that names every warning; notes are not counted. */
export function refuseWarnings(warnings: readonly Impurity[]): void {
  const grave = warnings.filter((warning) => warning.severity === "warning");
  if (grave.length === 0) return;
  const places = grave.map(({ where, found, role, definition }) => `${where}: ${found} in ${role} of ${definition}`);
  throw new OnefoldError("DEFINITION_IMPURE", places.join("; "), {
    where: grave[0]!.where,
    hint: "compute values from what the functions are given, or go on without --strict",
  });
}
