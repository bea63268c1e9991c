/**
 * What the compiler refuses, said again for those who write past it: options of the wrong shape get an
 * answer with the line of the call, before anything trips over them.
 */
import { nearestNames } from "../base/nearest-names.ts";
import { refuse, callSite } from "./defined-at.ts";

type Shape = "entity" | "source" | "members" | "list";

const WHAT: Readonly<Record<Shape, string>> = {
  entity: "an entity, as entity(...) returns it",
  source: "a stream or batch source, as stream(...) or batch(...) returns it",
  members: "an object of names",
  list: "a list",
};

/** Options that every definition takes. */
const OF_ALL: readonly string[] = ["description", "owner", "tags"];

/**
 * Throws `DEFINITION_INVALID` unless `options` is an object whose named members are there and have their shapes.
 * With `known`, a member that is none of those (nor one of every definition's) is refused too: a misspelt option
 * would say nothing and do nothing.
 */
export function checkShape(
  callee: (...args: never[]) => unknown,
  kind: string,
  name: unknown,
  options: unknown,
  shapes: Readonly<Record<string, Shape>>,
  known?: readonly string[],
): void {
  const problems =
    typeof options !== "object" || options === null
      ? [`its options are not an object`]
      : Object.entries(shapes).flatMap(([member, shape]) => {
          const value = (options as Readonly<Record<string, unknown>>)[member];
          if (fits(value, shape)) return [];
          const given =
            value === undefined
              ? "is missing"
              : `is ${typeof value === "object" ? "another thing" : JSON.stringify(value)}`;
          return [`${member} ${given}: give ${WHAT[shape]}`];
        });
  if (known !== undefined) problems.push(...unknownOptions(options, [...Object.keys(shapes), ...known, ...OF_ALL]));
  if (typeof name !== "string") problems.unshift("its first argument is not its name");
  refuse({ name: String(typeof name === "string" ? name : "?"), definedAt: callSite(callee) }, kind, problems);
}

/** The same for the options of a function within a definition: `ewma("x", { halfLife: "1h" })`. */
export function checkOptions(callee: (...args: never[]) => unknown, options: unknown, known: readonly string[]): void {
  const isObject = typeof options === "object" && options !== null;
  const problems = isObject ? unknownOptions(options, known) : [`it takes an object with ${known.join(", ")}`];
  refuse({ name: callee.name, definedAt: callSite(callee) }, "the call of", problems);
}

/** A sentence for each member that is none of the options. */
export function unknownOptions(options: unknown, known: readonly string[]): string[] {
  if (typeof options !== "object" || options === null) return [];
  const unknown = Object.keys(options).filter((option) => !known.includes(option));
  return unknown.map((option) => {
    const near = nearestNames(option, known);
    const meant = near.length === 0 ? `it has ${known.join(", ")}` : `did you mean ${near.join(" or ")}?`;
    return `there is no option "${option}": ${meant}`;
  });
}

function fits(value: unknown, shape: Shape): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { kind } = value as { readonly kind?: unknown };
  switch (shape) {
    case "entity":
      return kind === "entity";
    case "source":
      return kind === "stream" || kind === "batch";
    case "members":
      return !Array.isArray(value);
    case "list":
      return Array.isArray(value);
  }
}
