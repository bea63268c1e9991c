/**
 * What an expression stands for: something of the language or of Node, or something the project's own
 * modules define. Sees through constants, destructuring, members of object literals and `bind`.
 *
 *     const { now } = Date;   now        -> Date.now, of the platform
 *     globalThis.Date.now                -> Date.now
 *     import { randomUUID as id } ...    -> node:crypto randomUUID
 *     const rules = { late: (x) => ...}  rules.late -> the project's arrow function
 */
import { analyze, type Reference, type Scope, type Variable } from "eslint-scope";
import type * as tree from "estree";
import { importedName } from "./impure-names.ts";
import type { Node } from "./nodes.ts";

export type Meaning =
  /** A global with members, or an imported module with members. */
  | { readonly kind: "platform"; readonly path: readonly string[] }
  /** A function, class, literal or other expression of the project. */
  | { readonly kind: "own"; readonly node: Node }
  | null;

/** Constants that stand for each other in longer chains than this are nobody's code. */
const CHAIN_MAX = 30;
const GLOBAL_OBJECTS: ReadonlySet<string> = new Set(["globalThis", "global", "window", "self"]);

export class Meanings {
  readonly scopes: readonly Scope[];
  readonly #references = new Map<Node, Reference>();

  /** `program` needs ranges. */
  constructor(program: tree.Program) {
    const { scopes } = analyze(program, { ecmaVersion: 2024, sourceType: "module", ignoreEval: true });
    this.scopes = scopes;
    for (const { references } of scopes) {
      for (const reference of references) this.#references.set(reference.identifier as tree.Identifier, reference);
    }
  }

  /** How an identifier is used; undefined where it only names a property, a label or a declaration. */
  reference(identifier: tree.Identifier): Reference | undefined {
    return this.#references.get(identifier);
  }

  of(node: Node, chain: number = 0): Meaning {
    if (chain > CHAIN_MAX) return null;
    switch (node.type) {
      case "Identifier":
        return this.#ofIdentifier(node, chain);
      case "MemberExpression": {
        const name = propertyName(node);
        return name === null ? null : this.#member(this.of(node.object, chain + 1), name, chain);
      }
      case "ChainExpression":
        return this.of(node.expression, chain + 1);
      case "SequenceExpression":
        return this.of(node.expressions.at(-1)!, chain + 1);
      case "AwaitExpression":
        return this.of(node.argument, chain + 1);
      case "ImportExpression":
        return ofModule(node.source);
      case "CallExpression":
        return this.#ofCall(node, chain);
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression":
      case "ClassDeclaration":
      case "ClassExpression":
      case "ObjectExpression":
        return { kind: "own", node };
      default:
        return null;
    }
  }

  /** A member of an object literal by name, what stands behind a spread included; null where it has none. */
  property(object: tree.ObjectExpression, name: string, chain: number = 0): Node | null {
    for (const property of object.properties.toReversed()) {
      if (property.type === "SpreadElement") {
        const spread = this.of(property.argument, chain + 1);
        if (spread?.kind !== "own" || spread.node.type !== "ObjectExpression") continue;
        const found = this.property(spread.node, name, chain + 1);
        if (found !== null) return found;
      } else if (keyName(property) === name) return property.value;
    }
    return null;
  }

  #ofIdentifier(node: tree.Identifier, chain: number): Meaning {
    const reference = this.#references.get(node);
    if (reference === undefined) return null;
    return reference.resolved === null
      ? { kind: "platform", path: [node.name] }
      : this.#ofVariable(reference.resolved, chain);
  }

  #ofVariable(variable: Variable, chain: number): Meaning {
    const [definition] = variable.defs;
    if (definition === undefined || variable.defs.length > 1) return null;
    switch (definition.type) {
      case "ImportBinding":
        return ofImport(definition.node as ImportBinding, definition.parent as tree.ImportDeclaration);
      case "FunctionName":
      case "ClassName":
        return { kind: "own", node: definition.node as Node };
      case "Variable": {
        const { id, init } = definition.node as tree.VariableDeclarator;
        if (init === null || init === undefined) return null;
        const path = pathInPattern(id, definition.name as tree.Identifier);
        if (path === null) return { kind: "own", node: init };
        let meaning: Meaning = this.of(init, chain + 1) ?? { kind: "own", node: init };
        for (const name of path) meaning = this.#member(meaning, name, chain);
        return meaning;
      }
      default:
        return null;
    }
  }

  #member(of: Meaning, name: string, chain: number): Meaning {
    if (of?.kind === "platform") return { kind: "platform", path: memberPath(of.path, name) };
    if (of?.kind !== "own" || of.node.type !== "ObjectExpression") return null;
    const value = this.property(of.node, name, chain + 1);
    return value === null ? null : (this.of(value, chain + 1) ?? { kind: "own", node: value });
  }

  #ofCall({ callee, arguments: args }: tree.SimpleCallExpression, chain: number): Meaning {
    const [first] = args;
    if (callee.type === "Identifier" && (callee.name === "require" || callee.name === "__require")) {
      return first === undefined ? null : ofModule(first);
    }
    if (callee.type !== "MemberExpression") return null;
    if (propertyName(callee) === "bind") return this.of(callee.object, chain + 1);
    const called = this.of(callee, chain + 1);
    const isFreeze = called?.kind === "platform" && called.path.join(".") === "Object.freeze";
    return isFreeze && first !== undefined ? this.of(first, chain + 1) : null;
  }
}

/** The member's name where it is written out; null where it is computed. */
export function propertyName({ property, computed }: tree.MemberExpression): string | null {
  if (!computed) return property.type === "Identifier" ? property.name : null;
  return property.type === "Literal" && typeof property.value === "string" ? property.value : null;
}

function keyName({ key, computed }: tree.Property): string | null {
  if (!computed && key.type === "Identifier") return key.name;
  return key.type === "Literal" ? String(key.value) : null;
}

function memberPath(path: readonly string[], name: string): readonly string[] {
  if (path.length === 1 && GLOBAL_OBJECTS.has(path[0]!)) return [name];
  return path.length === 1 && name === "default" ? path : [...path, name];
}

function ofModule(source: Node): Meaning {
  if (source.type !== "Literal" || typeof source.value !== "string") return null;
  return { kind: "platform", path: [importedName(source.value)] };
}

type ImportBinding = tree.ImportSpecifier | tree.ImportDefaultSpecifier | tree.ImportNamespaceSpecifier;

function ofImport(specifier: ImportBinding, { source }: tree.ImportDeclaration): Meaning {
  const root = [importedName(String(source.value))];
  if (specifier.type !== "ImportSpecifier") return { kind: "platform", path: root };
  const { imported } = specifier;
  const name = imported.type === "Identifier" ? imported.name : String(imported.value);
  return { kind: "platform", path: memberPath(root, name) };
}

/** The properties that lead to an identifier in a pattern; null where it stands in a list or a rest. */
function pathInPattern(pattern: tree.Pattern, identifier: tree.Identifier): readonly string[] | null {
  if (pattern === identifier) return [];
  if (pattern.type === "AssignmentPattern") return pathInPattern(pattern.left, identifier);
  if (pattern.type !== "ObjectPattern") return null;
  for (const property of pattern.properties) {
    if (property.type === "RestElement") continue;
    const inside = pathInPattern(property.value, identifier);
    const name = keyName(property as unknown as tree.Property);
    if (inside !== null && name !== null) return [name, ...inside];
  }
  return null;
}
