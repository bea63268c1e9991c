/**
 * What the compiler refuses, said again for those who write past it: options of the wrong shape get an
 * answer with the line of the call, before anything trips over them.
 */
import { refuse, callSite } from "./defined-at.ts";

type Shape = "entity" | "source" | "members" | "list";

const WHAT: Readonly<Record<Shape, string>> = {
  entity: "an entity, as entity(...) returns it",
  source: "a stream or batch source, as stream(...) or batch(...) returns it",
  members: "an object of names",
  list: "a list",
};

/** Throws `DEFINITION_INVALID` unless `options` is an object whose named members are there and have their shapes. */
export function checkShape(
  callee: (...args: never[]) => unknown,
  kind: string,
  name: unknown,
  options: unknown,
  shapes: Readonly<Record<string, Shape>>,
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
  if (typeof name !== "string") problems.unshift("its first argument is not its name");
  refuse({ name: String(typeof name === "string" ? name : "?"), definedAt: callSite(callee) }, kind, problems);
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
