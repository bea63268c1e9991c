/**
 * The functions that definitions are made with, found where the language's own functions are called:
 * `custom("streak", { empty, add, read })`, `onDemand("ratio", { compute })`.
 */
import type * as tree from "estree";
import type { Role } from "./impure-names.ts";
import type { Meanings } from "./meanings.ts";
import { type Node, nodesOf } from "./nodes.ts";

/** Functions of the language that take functions of the user, and which. */
const TAKES_FUNCTIONS: Readonly<Record<string, { readonly what: string; readonly roles: readonly Role[] }>> = {
  custom: { what: "custom aggregation", roles: ["empty", "add", "merge", "read"] },
  onDemand: { what: "on-demand view", roles: ["compute"] },
  customTransformation: { what: "custom transformation", roles: ["fit", "apply"] },
};

export interface DefinitionFunction {
  /** `custom aggregation`, ... */
  readonly what: string;
  /** Null where the name is computed. */
  readonly name: string | null;
  readonly role: Role;
  /** The call that makes the definition. */
  readonly call: Node;
  /** The function, or the expression that gives it. */
  readonly node: Node;
}

/** `door` is the specifier under which the program imports the language. */
export function definitionFunctions(program: tree.Program, meanings: Meanings, door: string): DefinitionFunction[] {
  const found: DefinitionFunction[] = [];
  for (const call of nodesOf(program)) {
    if (call.type !== "CallExpression") continue;
    const callee = meanings.of(call.callee);
    if (callee?.kind !== "platform" || callee.path[0] !== door) continue;
    const takes = TAKES_FUNCTIONS[callee.path[1] ?? ""];
    const [first, second] = call.arguments;
    if (takes === undefined || first === undefined || second === undefined) continue;
    const options = meanings.of(second);
    if (options?.kind !== "own" || options.node.type !== "ObjectExpression") continue;
    for (const role of takes.roles) {
      const value = meanings.property(options.node, role);
      if (value === null) continue;
      const meaning = meanings.of(value);
      const node = meaning?.kind === "own" ? meaning.node : value;
      found.push({ what: takes.what, name: textOf(first, meanings), role, call, node });
    }
  }
  return found;
}

function textOf(node: Node, meanings: Meanings): string | null {
  const meaning = node.type === "Identifier" ? meanings.of(node) : null;
  const literal = meaning?.kind === "own" ? meaning.node : node;
  return literal.type === "Literal" && typeof literal.value === "string" ? literal.value : null;
}
