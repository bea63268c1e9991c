/**
 * Definitions whose functions this process has, beside those that are registered, which are data: whose code is the
 * registered one, and what is said where it is not.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import { hasCode } from "./definition-data.ts";
import { keyOf, shownName } from "./definition-set.ts";
import { fingerprint, isSameInAll } from "./fingerprint.ts";
import type { Registered } from "./registry.ts";

/** By what they are registered under (`keyOf`). */
export type LoadedCode = ReadonlyMap<string, Loaded>;

interface Loaded {
  readonly definition: Definition;
  readonly fingerprint: string;
}

export function withLoaded(loaded: LoadedCode, definitions: readonly Definition[]): LoadedCode {
  const added = definitions.map((definition): [string, Loaded] => [
    keyOf(definition),
    { definition, fingerprint: fingerprint(definition) },
  ]);
  return new Map([...loaded, ...added]);
}

/** With its functions, where they are loaded; else the object of before, where it is the same. */
export function withCode<R extends Registered<Definition>>(
  registered: R,
  loaded: LoadedCode,
  before: ReadonlyMap<string, R>,
): R {
  const key = keyOf(registered.definition);
  const code = loaded.get(key);
  if (code?.fingerprint === registered.fingerprint) return { ...registered, definition: code.definition };
  const known = before.get(key);
  return known !== undefined && isSameInAll(known, registered) ? known : registered;
}

/** Why `definition` cannot be computed here, as what is registered of it or as it was before; null where it can. */
export function codeProblemOf(
  definition: Definition,
  registered: Registered<Definition>,
  loaded: LoadedCode,
): OnefoldError | null {
  // A service may be computed as it was before it was redefined; what it refers to stands for itself.
  const isService = definition.kind === "service";
  if (isService && !hasCode(definition)) return null;
  const wanted = isService ? fingerprint(definition) : registered.fingerprint;
  const name = shownName(definition);
  const code = loaded.get(keyOf(definition));
  if (code === undefined) {
    if (!isService && !hasCode(registered.definition)) return null;
    const why = definition.kind === "command" ? "runs a program" : "has functions of its own";
    return new OnefoldError("FINGERPRINT_MISMATCH", `${name} ${why}, and its code is not loaded`, {
      hint: "start with the definitions file that registered it",
    });
  }
  if (code.fingerprint === wanted) return null;
  const { definedAt } = code.definition;
  return new OnefoldError(
    "FINGERPRINT_MISMATCH",
    `the loaded ${name} (${code.fingerprint.slice(0, 12)}) is not the registered one (${wanted.slice(0, 12)})`,
    {
      hint: "load the definitions that were applied, or apply these under a new version",
      ...(definedAt === undefined ? {} : { where: `${definedAt.file}:${definedAt.line}` }),
    },
  );
}
