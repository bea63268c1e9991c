/**
 * Syntax trees as lists of tokens that do not depend on what variables are called: each is the number of its first
 * occurrence. The bundler renames variables, local ones too, by what else is in the bundle.
 */
import type { Variable } from "eslint-scope";
import type * as tree from "estree";
import { importedName } from "../purity/impure-names.ts";
import type { Node } from "../purity/nodes.ts";
import type { Units } from "./units.ts";

/** Where trees stand, and how they are written. */
const NOT_WRITTEN: ReadonlySet<string> = new Set(["type", "start", "end", "range", "loc", "raw", "shorthand"]);
/** How the bundler wraps a module that is evaluated when it is first asked for. */
const WRAPPERS = /^__(?:commonJS|esm)\d*$/;

export interface BundleNames {
  /** The specifier under which the bundle imports `onefold`. */
  readonly door: string;
  /** What the bundle has in place of `import.meta.url`. */
  readonly url: string;
}

export class CanonicalForm {
  readonly #units: Units;
  readonly #names: BundleNames;
  readonly #onVariable: (variable: Variable) => void;
  readonly #numbers = new Map<Variable, number>();
  readonly #functionNames: string[] = [];
  #tokens: string[] = [];
  /** Whether functions may be asked for their names, and whether code reads variables by names made at run time. */
  #readsNames = false;
  #hasEval = false;

  /** `onVariable` is told of each variable once, where it is first named. */
  constructor(units: Units, names: BundleNames, onVariable: (variable: Variable) => void) {
    this.#units = units;
    this.#names = names;
    this.#onVariable = onVariable;
  }

  get hasEval(): boolean {
    return this.#hasEval;
  }

  write(node: Node): void {
    if (isImport(node)) this.#writeImport(node);
    else if (isRequire(node)) this.token("require");
    else this.#writeNode(node);
  }

  token(text: string): void {
    this.#tokens.push(text);
  }

  text(): string {
    return JSON.stringify(this.#readsNames ? [this.#tokens, this.#functionNames] : [this.#tokens]);
  }

  #writeNode(node: Node): void {
    if (node.type === "Identifier") {
      this.#writeIdentifier(node);
      return;
    }
    if (node.type === "Literal") {
      this.#writeLiteral(node);
      return;
    }
    this.token(node.type);
    if (this.#writeWrapped(node)) return;
    for (const [key, value] of Object.entries(node) as [string, unknown][]) {
      if (NOT_WRITTEN.has(key)) continue;
      this.token(key);
      if (key === "key" && !(node as tree.Property).computed) this.#writeKey(node as tree.Property);
      else this.#writeValue(value);
    }
    if (node.type === "MemberExpression" && !node.computed) this.#noteName(node.property);
  }

  #writeValue(value: unknown): void {
    if (Array.isArray(value)) {
      this.token("[");
      for (const item of value) this.#writeValue(item);
      this.token("]");
    } else if (typeof value === "object" && value !== null && "type" in value) {
      this.#writeNode(value as Node);
    } else this.token(`=${JSON.stringify(value) ?? ""}`);
  }

  #writeIdentifier(node: tree.Identifier): void {
    const variables = this.#units.variablesAt.get(node);
    if (variables === undefined) {
      if (node.name === "eval" && this.#units.meanings.reference(node) !== undefined) this.#hasEval = true;
      this.token(`name ${node.name}`);
      return;
    }
    for (const variable of variables) this.token(`variable ${this.#numberOf(variable)}`);
    if (this.#namesFunction(node)) this.#functionNames.push(node.name);
  }

  /** The engine names a function by what it is declared as or first assigned to. */
  #namesFunction(node: tree.Identifier): boolean {
    const parent = this.#units.parent(node);
    if (parent === undefined) return false;
    if ("id" in parent && parent.id === node) {
      return parent.type !== "VariableDeclarator" || (parent.init !== null && isFunction(parent.init));
    }
    return "left" in parent && parent.left === node && "right" in parent && isFunction(parent.right);
  }

  #numberOf(variable: Variable): number {
    const known = this.#numbers.get(variable);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(variable, number);
    this.#onVariable(variable);
    return number;
  }

  #writeLiteral(node: tree.Literal): void {
    if ("regex" in node && node.regex !== undefined) this.token(`regex /${node.regex.pattern}/${node.regex.flags}`);
    else if ("bigint" in node && node.bigint !== undefined) this.token(`bigint ${node.bigint}`);
    else if (typeof node.value !== "string") this.token(`literal ${String(node.value)}`);
    else if (node.value === this.#names.url) this.token("import.meta.url");
    else if (node.value === this.#names.door) this.token("onefold");
    else {
      this.token(`text ${JSON.stringify(node.value)}`);
      if (node.value === "name") this.#readsNames = true;
    }
  }

  /** `{ a }`, `{ a: a }` and `{ "a": a }` are one, `__proto__` aside. */
  #writeKey({ key, shorthand, type }: tree.Property): void {
    if (key.type !== "Identifier" && (key.type !== "Literal" || typeof key.value !== "string")) {
      this.#writeNode(key);
      return;
    }
    const name = key.type === "Identifier" ? key.name : String(key.value);
    this.token(`key ${JSON.stringify(name)}${name === "__proto__" ? ` ${String(shorthand)}` : ""}`);
    if (type === "Property") this.#noteName(key);
  }

  /** A pattern reads what it names; an object literal has it only written to. */
  #noteName(property: Node): void {
    if (property.type !== "Identifier" || property.name !== "name") return;
    const outer = this.#units.parent(this.#units.parent(property) ?? property);
    if (outer?.type !== "ObjectExpression") this.#readsNames = true;
  }

  /** What the bundler wraps up by the name of its file, which does not count. */
  #writeWrapped(node: Node): boolean {
    if (node.type !== "CallExpression" || !isWrapper(node)) return false;
    const [files] = node.arguments;
    const [module, ...more] = files?.type === "ObjectExpression" ? files.properties : [];
    if (module?.type !== "Property" || module.key.type !== "Literal" || more.length > 0) return false;
    this.#writeNode(node.callee);
    this.#writeNode(module.value);
    return true;
  }

  #writeImport(node: ImportBinding): void {
    const { source } = this.#units.parent(node) as tree.ImportDeclaration;
    const from = String(source.value);
    this.token(`import ${from === this.#names.door ? "onefold" : importedName(from)}`);
    // Without `as`, both names are one node.
    if (node.type !== "ImportSpecifier") this.token(node.type);
    else this.token(`name ${node.imported.type === "Identifier" ? node.imported.name : String(node.imported.value)}`);
    this.#writeNode(node.local);
  }
}

export function isWrapper(node: Node): boolean {
  if (node.type !== "CallExpression" || node.callee.type !== "Identifier") return false;
  return WRAPPERS.test(node.callee.name) && node.arguments[0]?.type === "ObjectExpression";
}

function isFunction(node: Node | null | undefined): boolean {
  return (
    node?.type === "FunctionExpression" || node?.type === "ArrowFunctionExpression" || node?.type === "ClassExpression"
  );
}

type ImportBinding = tree.ImportSpecifier | tree.ImportDefaultSpecifier | tree.ImportNamespaceSpecifier;

function isImport(node: Node): node is ImportBinding {
  return ["ImportSpecifier", "ImportDefaultSpecifier", "ImportNamespaceSpecifier"].includes(node.type);
}

/** `require` as the loader gives it, made of the folder's name. */
export function isRequire(node: Node): boolean {
  if (node.type !== "VariableDeclarator" || node.id.type !== "Identifier" || node.id.name !== "require") return false;
  const { init } = node;
  return init?.type === "CallExpression" && init.callee.type === "Identifier" && init.callee.name === "__createRequire";
}
