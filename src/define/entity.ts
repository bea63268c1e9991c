/**
 * `entity`: what features describe, by a key of one or more columns.
 */
import type { ValueType } from "../schema/value.ts";
import { pastProblems, type AnyColumnType } from "./column-type.ts";
import { callSite, refuse } from "./defined-at.ts";
import type { Described, EntityDefinition } from "./definition.ts";
import { frozen } from "./frozen.ts";
import { nameProblems } from "./names.ts";
import { checkShape } from "./shape.ts";

export interface Entity<N extends string = string, Keys = unknown> extends EntityDefinition {
  readonly name: N;
  readonly "~types"?: { readonly keys: Keys };
}

/** Keys are never null and compared as text, so floats and arrays cannot be part of one. */
const KEY_TYPES: ReadonlySet<ValueType["name"]> = new Set(["int64", "string", "bytes", "bool", "timestamp"]);

/** `entity("airport", { airport: t.string() })`. The order of the columns is the order of the key. */
export function entity<const N extends string, Keys extends Readonly<Record<string, AnyColumnType>>>(
  name: N,
  keys: Keys,
  options: Described = {},
): Entity<N, Keys> {
  checkShape(entity, "entity", name, { keys }, { keys: "members" });
  const definition: EntityDefinition = frozen({
    kind: "entity",
    name: name as string,
    keys: Object.entries(keys).map(([keyName, key]) => ({ name: keyName, type: key.valueType })),
    description: options.description,
    owner: options.owner,
    tags: options.tags,
    definedAt: callSite(entity),
  });
  const nullable = Object.keys(keys).filter((keyName) => keys[keyName]!.isNullable);
  refuse(definition, "entity", [
    ...nullable.map((keyName) => `key column "${keyName}" cannot be nullable`),
    ...pastProblems("key column", keys),
    ...entityProblems(definition),
  ]);
  return definition as Entity<N, Keys>;
}

/** What contradicts itself in an entity; empty when nothing does. */
export function entityProblems(definition: EntityDefinition): string[] {
  const problems = nameProblems("its name", definition.name);
  if (definition.keys.length === 0) problems.push("it has no key column");
  const names = definition.keys.map((key) => key.name);
  if (new Set(names).size < names.length) problems.push("two key columns have the same name");
  for (const key of definition.keys) {
    problems.push(...nameProblems("key column", key.name));
    if (!KEY_TYPES.has(key.type.name)) problems.push(`key column "${key.name}" cannot be of type ${key.type.name}`);
  }
  return problems;
}
