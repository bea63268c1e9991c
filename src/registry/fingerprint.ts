/**
 * Fingerprints: SHA-256 of what a definition means.
 *
 * Meaning is everything that can change a value, or whether there is one, plus the code of functions.
 * Description, owner and tags may be bettered at any time, what is promised of freshness is a matter of how the platform
 * runs, and where a definition stands in a file says nothing; none of these count. Nor do expectations that only warn:
 * of a source those count that refuse events, as constraints do.
 */
import type { Definition } from "../define/definition.ts";
import { type Data, hashText, toData } from "./definition-data.ts";

const NOT_MEANING: ReadonlySet<string> = new Set(["definedAt", "description", "owner", "tags", "sla"]);

interface FingerprintedDefinition {
  readonly definition: Definition;
  readonly fingerprint: string;
}

/** 64 hexadecimal digits. Equal for definitions of equal meaning, in every process and on every machine. */
export function fingerprint(definition: Definition): string {
  return hashText(JSON.stringify(meaning(toData(definition))));
}

/** The definition's data without what is not its meaning; keys are sorted already. */
export function meaning(data: Data): Data {
  return without(withoutWarnings(data), NOT_MEANING);
}

function withoutWarnings(data: Data): Data {
  if (data === null || typeof data !== "object" || isArray(data)) return data;
  const { expectations, ...rest } = data as Readonly<Record<string, Data>>;
  if (expectations === undefined) return data;
  const refusing = (expectations as readonly { readonly severity: string }[]).filter((one) => one.severity !== "warn");
  return refusing.length === 0 ? rest : { ...rest, expectations: refusing as unknown as Data };
}

/** To the last word of its description, beside what its fingerprint is of. */
export function isSameInAll(a: FingerprintedDefinition, b: FingerprintedDefinition): boolean {
  return (
    a.fingerprint === b.fingerprint && JSON.stringify(toData(a.definition)) === JSON.stringify(toData(b.definition))
  );
}

/** All that is registered of a definition: everything but its place in a file. */
export function registeredData(data: Data): Data {
  return without(data, new Set(["definedAt"]));
}

function without(data: Data, names: ReadonlySet<string>): Data {
  if (data === null || typeof data !== "object") return data;
  if (isArray(data)) return data.map((element) => without(element, names));
  const kept = Object.entries(data).filter(([name]) => !names.has(name));
  return Object.fromEntries(kept.map(([name, member]) => [name, without(member, names)]));
}

function isArray(data: object): data is readonly Data[] {
  return Array.isArray(data);
}
