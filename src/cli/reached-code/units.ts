/**
 * A bundle of definitions as units: its top-level statements, each declarator of a declaration by itself, with
 * the top-level variables that each declares and mentions.
 */
import type { Variable } from "eslint-scope";
import type * as tree from "estree";
import { Meanings } from "../purity/meanings.ts";
import { childrenOf, type Node, nodesOf } from "../purity/nodes.ts";

export interface Unit {
  /** Its place in the order in which units run. */
  readonly place: number;
  readonly node: Node;
  readonly isDeclaration: boolean;
  /** Top-level variables only, as all below. */
  readonly declares: ReadonlySet<Variable>;
  readonly mentions: ReadonlySet<Variable>;
}

/** A variable where it is named: what refers to it, and its declarations. */
export type VariablesAt = ReadonlyMap<Node, readonly Variable[]>;

export class Units {
  readonly meanings: Meanings;
  readonly all: readonly Unit[];
  readonly variablesAt: VariablesAt;
  readonly #parents = new Map<Node, Node>();
  readonly #declaring = new Map<Variable, Unit[]>();
  readonly #mentioning = new Map<Variable, Unit[]>();

  /** `program` needs ranges. */
  constructor(program: tree.Program) {
    this.meanings = new Meanings(program);
    this.variablesAt = variablesAt(this.meanings);
    for (const node of nodesOf(program)) for (const child of childrenOf(node)) this.#parents.set(child, node);
    this.all = program.body
      .filter((statement) => !isExport(statement))
      .flatMap(partsOf)
      .map((part, place) => this.#unit(part, place));
    for (const unit of this.all) {
      for (const variable of unit.declares) append(this.#declaring, variable, unit);
      for (const variable of unit.mentions) append(this.#mentioning, variable, unit);
    }
  }

  /** Several where a `var` is declared more than once. */
  declaring(variable: Variable): readonly Unit[] {
    return this.#declaring.get(variable) ?? [];
  }

  mentioning(variable: Variable): readonly Unit[] {
    return this.#mentioning.get(variable) ?? [];
  }

  parent(node: Node): Node | undefined {
    return this.#parents.get(node);
  }

  /** What a node stands in, the nearest first. */
  *around(node: Node): Generator<Node> {
    for (let at = this.parent(node); at !== undefined; at = this.parent(at)) yield at;
  }

  /** The unit in which a node stands. */
  of(node: Node): Unit | undefined {
    const around = new Set([node, ...this.around(node)]);
    return this.all.find((unit) => around.has(unit.node));
  }

  #unit(node: Node, place: number): Unit {
    const [declares, mentions] = [new Set<Variable>(), new Set<Variable>()];
    for (const part of nodesOf(node)) {
      for (const variable of this.variablesAt.get(part) ?? []) {
        if (!isTopLevel(variable)) continue;
        const isDeclared = variable.identifiers.some((identifier) => identifier === part);
        (isDeclared ? declares : mentions).add(variable);
      }
    }
    return { place, node, isDeclaration: DECLARATIONS.has(node.type), declares, mentions };
  }
}

const DECLARATIONS: ReadonlySet<string> = new Set([
  "VariableDeclarator",
  "FunctionDeclaration",
  "ClassDeclaration",
  "ImportSpecifier",
  "ImportDefaultSpecifier",
  "ImportNamespaceSpecifier",
]);

export function isTopLevel(variable: Variable): boolean {
  return variable.scope.type === "module";
}

/** A bundle names what it exports at its end, and declares it elsewhere. */
function isExport({ type }: Node): boolean {
  return type === "ExportNamedDeclaration" || type === "ExportAllDeclaration" || type === "EmptyStatement";
}

function partsOf(statement: tree.Program["body"][number]): readonly Node[] {
  if (statement.type === "VariableDeclaration") return statement.declarations;
  // A module that is imported for its effects alone.
  if (statement.type === "ImportDeclaration" && statement.specifiers.length > 0) return statement.specifiers;
  return [statement];
}

function variablesAt(meanings: Meanings): VariablesAt {
  const found = new Map<Node, Variable[]>();
  const add = (node: Node, variable: Variable): void => {
    if (!(found.get(node) ?? []).includes(variable)) append(found, node, variable);
  };
  for (const scope of meanings.scopes) {
    // A class's name is a variable outside of it and another inside.
    for (const variable of scope.variables) {
      for (const identifier of variable.identifiers) add(identifier as tree.Identifier, variable);
    }
    for (const { identifier, resolved } of scope.references) {
      // `arguments` has no declaration, and is its own name.
      if (resolved !== null && resolved.defs.length > 0) add(identifier as tree.Identifier, resolved);
    }
  }
  return found;
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
