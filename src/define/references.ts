/**
 * The definitions that a definition was built from, so that whoever holds a service finds its views,
 * their sources and entities. Data refers by name; this is only the way back to the objects.
 */
import type { Definition } from "./definition.ts";

const builtFrom = new WeakMap<Definition, readonly Definition[]>();

export function rememberReferences(definition: Definition, references: readonly Definition[]): void {
  builtFrom.set(definition, references);
}

/** `definitions` and all they were built from, each object once, what is referred to before what refers. */
export function withReferences(definitions: Iterable<Definition>): Definition[] {
  const seen = new Set<Definition>();
  const visit = (definition: Definition): void => {
    if (seen.has(definition)) return;
    for (const reference of builtFrom.get(definition) ?? []) visit(reference);
    seen.add(definition);
  };
  for (const definition of definitions) visit(definition);
  return [...seen];
}
