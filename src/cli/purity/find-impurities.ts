/**
 * Finds what makes a definition's functions impure: the clock, randomness, time zones, input and output,
 * state that outlives a call, promises. Such a function gives other values in training than it served.
 *
 * It reads the bundle of the definitions file, in which all modules of the project are one scope and types
 * are gone, and follows every function, constant and class of the project that a definition's function
 * mentions. It does not run anything and does not follow packages. It cannot see what is reached through a
 * parameter, a name that is computed, an object whose literal is elsewhere than in a constant, or a package.
 */
import { parse } from "acorn";
import type * as tree from "estree";
import { type DefinitionFunction, definitionFunctions } from "./definition-functions.ts";
import { explainImpurity, type ImpurityKind, type Role } from "./impure-names.ts";
import { Inspection } from "./inspection.ts";
import { Meanings } from "./meanings.ts";
import type { Node } from "./nodes.ts";
import { type SourcePlace, sourcePlaces } from "./source-places.ts";

export interface Impurity {
  /** A note is of no consequence for most: `onefold plan --strict` passes it. */
  readonly severity: "warning" | "note";
  readonly kind: ImpurityKind;
  /** `file:line`, where it stands. */
  readonly where: string;
  /** `custom aggregation "streak"`. */
  readonly definition: string;
  /** The definition's function that reaches it. */
  readonly role: Role;
  /** `Date.now`, `getHours()`, ... */
  readonly found: string;
  readonly problem: string;
  readonly instead: string;
}

/** `door` is the specifier under which the bundle imports `onefold`. By file and line. */
export function findImpurities(code: string, door: string): Impurity[] {
  const options = { ecmaVersion: "latest", sourceType: "module", locations: true, ranges: true } as const;
  const program = parse(code, options) as unknown as tree.Program;
  const places = sourcePlaces(code);
  const placeOf = (node: Node): SourcePlace | null => {
    const { line, column } = node.loc!.start;
    return places(line, column);
  };
  const isOfProject = (node: Node): boolean => {
    const place = placeOf(node);
    return place !== null && !place.file.includes("node_modules");
  };
  const meanings = new Meanings(program);
  const found = new Map<string, Impurity & { readonly place: SourcePlace }>();
  for (const definition of definitionFunctions(program, meanings, door)) {
    const at = placeOf(definition.call);
    const title = titleOf(definition, at);
    for (const { node, kind, name } of new Inspection(meanings, isOfProject).inspect(definition.node)) {
      const place = placeOf(node) ?? at;
      if (place === null) continue;
      const { role } = definition;
      found.set([place.file, place.line, title, role, name].join("\n"), {
        place,
        severity: kind === "precision" || kind === "output" ? "note" : "warning",
        kind,
        where: `${place.file}:${place.line}`,
        definition: title,
        role,
        found: name,
        ...explainImpurity(kind, role),
      });
    }
  }
  return [...found.values()]
    .sort((a, b) => compareTexts(a.place.file, b.place.file) || a.place.line - b.place.line)
    .map(({ place: _, ...impurity }) => impurity);
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function titleOf({ what, name }: DefinitionFunction, at: SourcePlace | null): string {
  if (name !== null) return `${what} "${name}"`;
  return at === null ? what : `${what} at ${at.file}:${at.line}`;
}
