/**
 * Where the code of a definition's function begins in a bundle.
 *
 * A function that uses nothing but what it is given and top-level variables is found by its own text: wherever
 * else that text stands, it means the same. A closure is known by what made it: the expression in the call that
 * makes the definition, the whole statement around that call, or, where the call stands in a function, whatever
 * may call that function. Where the call is not found either, everything counts.
 */
import type * as tree from "estree";
import type { DefinedAt } from "../../define/defined-at.ts";
import { type Node, nodesOf } from "../purity/nodes.ts";
import type { SourcePlace } from "../purity/source-places.ts";
import { isTopLevel, type Unit, type Units } from "./units.ts";

/** `callers` is of a unit that counts with whatever may call what it declares. */
export type Root =
  | { readonly kind: "node"; readonly node: Node }
  | { readonly kind: "unit"; readonly unit: Unit }
  | { readonly kind: "callers"; readonly unit: Unit }
  | { readonly kind: "everything" };

export type DefinitionCode = (...given: never[]) => unknown;

const MAKERS: ReadonlySet<string> = new Set(["custom", "onDemand", "customTransformation"]);

export class Roots {
  readonly #units: Units;
  readonly #door: string;
  readonly #placesOf: (line: number, column: number) => SourcePlace | null;
  readonly #byText = new Map<string, Node[]>();
  readonly #calls: tree.SimpleCallExpression[] = [];

  constructor(
    units: Units,
    program: tree.Program,
    code: string,
    door: string,
    placesOf: (line: number, column: number) => SourcePlace | null,
  ) {
    this.#units = units;
    this.#door = door;
    this.#placesOf = placesOf;
    for (const node of nodesOf(program)) {
      if (node.type === "CallExpression" && this.#isMaker(node.callee)) this.#calls.push(node);
      if (!isFunction(node)) continue;
      const [start, end] = textRange(node, units.parent(node));
      const text = code.slice(start, end);
      this.#byText.set(text, [...(this.#byText.get(text) ?? []), node]);
    }
  }

  /** `role` is the option that gives the function. */
  of(role: string, code: DefinitionCode, definedAt: DefinedAt | undefined): Root {
    const written = this.#byText.get(Function.prototype.toString.call(code)) ?? [];
    const usesThis = written.some(hasOwnThis);
    const [first] = written;
    if (first !== undefined && !usesThis && written.every((node) => this.#isClosed(node))) {
      return { kind: "node", node: first };
    }
    const call = definedAt === undefined ? null : this.#callAt(definedAt);
    const unit = call === null ? undefined : this.#units.of(call);
    if (call === null || unit === undefined) return { kind: "everything" };
    if ([...this.#units.around(call)].some(isFunctionOrClass)) return { kind: "callers", unit };
    const option = usesThis ? null : optionOf(call, role);
    return option !== null && this.#isClosed(option) ? { kind: "node", node: option } : { kind: "unit", unit };
  }

  #isMaker(callee: Node): boolean {
    const meaning = this.#units.meanings.of(callee);
    return meaning?.kind === "platform" && meaning.path[0] === this.#door && MAKERS.has(meaning.path[1] ?? "");
  }

  /** The one call that was made there; the engine says where its callee's own name stands. */
  #callAt({ file, line, column }: DefinedAt): Node | null {
    const found = this.#calls.filter(({ callee }) => {
      const { start } = (callee.type === "MemberExpression" ? callee.property : callee).loc!;
      const place = this.#placesOf(start.line, start.column);
      return place !== null && place.file === file && place.line === line && place.column === column;
    });
    return found.length === 1 ? found[0]! : null;
  }

  /** Whether all that it uses is given to it, its own, top-level or global. */
  #isClosed(node: Node): boolean {
    if ([...this.#units.around(node)].some(({ type }) => type === "ClassBody")) return false;
    const inside = new Set(nodesOf(node));
    for (const part of inside) {
      const isOwnName = "id" in node && node.id === part;
      for (const variable of isOwnName ? [] : (this.#units.variablesAt.get(part) ?? [])) {
        if (!isTopLevel(variable) && !inside.has(variable.scope.block as Node)) return false;
      }
      if (OF_SURROUNDINGS.has(part.type) && !this.#isOwn(part, node)) return false;
      if (part.type === "Identifier" && part.name === "arguments" && !this.#isOwn(part, node)) return false;
    }
    return true;
  }

  /** Whether `this` and the like are those of a function or class within `outer`, or of the module. */
  #isOwn(part: Node, outer: Node): boolean {
    let isInside = part !== outer;
    for (const around of this.#units.around(part)) {
      if (isInside && isFunction(around) && around.type !== "ArrowFunctionExpression") return part.type !== "Super";
      if (around.type === "ClassBody") return isInside;
      if (!isInside && isFunction(around) && around.type !== "ArrowFunctionExpression") return false;
      if (around === outer) isInside = false;
    }
    return part.type !== "Super";
  }
}

const OF_SURROUNDINGS: ReadonlySet<string> = new Set(["ThisExpression", "Super", "MetaProperty"]);

function isFunction(
  node: Node,
): node is tree.FunctionDeclaration | tree.FunctionExpression | tree.ArrowFunctionExpression {
  return ["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"].includes(node.type);
}

function isFunctionOrClass(node: Node): boolean {
  return isFunction(node) || node.type === "ClassBody";
}

/** Called as a method of its definition, it could read a description, which may change. */
function hasOwnThis(node: Node): boolean {
  return node.type !== "ArrowFunctionExpression" && [...nodesOf(node)].some(({ type }) => type === "ThisExpression");
}

/** What the engine has for a function's text: of a method, with its name. */
function textRange(node: Node, parent: Node | undefined): readonly [number, number] {
  const isMethod = parent?.type === "Property" && (parent.method || parent.kind !== "init") && parent.value === node;
  return (isMethod ? parent : node).range!;
}

/** The option as it is written in the call; null where it may come from elsewhere. */
function optionOf(call: Node, role: string): Node | null {
  const [, options] = (call as tree.SimpleCallExpression).arguments;
  if (options?.type !== "ObjectExpression") return null;
  const names = options.properties.map((one) =>
    one.type === "Property" && !one.computed && one.key.type === "Identifier" ? one.key.name : null,
  );
  if (names.includes(null)) return null;
  const found = options.properties[names.lastIndexOf(role)];
  return found?.type === "Property" && found.kind === "init" ? found.value : null;
}
