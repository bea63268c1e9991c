/**
 * Reads one function of a definition, and every function, constant and class of the project that it reaches,
 * for what is impure. A name that is mentioned counts as reached: it may be called by whoever it is given to.
 */
import type { Variable } from "eslint-scope";
import type * as tree from "estree";
import { impureName, type ImpurityKind, isLocalMethod } from "./impure-names.ts";
import { type Meaning, type Meanings, propertyName } from "./meanings.ts";
import { childrenOf, isWithin, type Node } from "./nodes.ts";

/** Something impure, where it stands in the bundle. */
export interface Finding {
  readonly node: Node;
  readonly kind: ImpurityKind;
  readonly name: string;
}

/** Methods that change their receiver. */
export const CHANGING: ReadonlySet<string> = new Set(
  "push pop shift unshift splice sort reverse fill copyWithin set add delete clear".split(" "),
);
const COLLECTIONS: ReadonlySet<string> = new Set(
  "Map Set WeakMap WeakSet Array Int8Array Uint8Array Int16Array Uint16Array Int32Array Uint32Array Float32Array Float64Array".split(
    " ",
  ),
);

/** One function of a definition, with all of the project that it reaches. */
export class Inspection {
  readonly #meanings: Meanings;
  readonly #isOfProject: (node: Node) => boolean;
  readonly #findings: Finding[] = [];
  /** Functions, constants and classes: those to be read, and those that were or will be. */
  readonly #waiting: Node[] = [];
  readonly #reached = new Set<Node>();
  #unit: Node | null = null;

  constructor(meanings: Meanings, isOfProject: (node: Node) => boolean) {
    this.#meanings = meanings;
    this.#isOfProject = isOfProject;
  }

  inspect(root: Node): readonly Finding[] {
    this.#waiting.push(root);
    this.#reached.add(root);
    for (let unit = this.#waiting.pop(); unit !== undefined; unit = this.#waiting.pop()) {
      this.#unit = unit;
      this.#walk(unit);
    }
    return this.#findings;
  }

  #walk(node: Node): void {
    switch (node.type) {
      case "Identifier":
        this.#checkIdentifier(node);
        return;
      case "MemberExpression":
        if (this.#checkMember(node)) return;
        break;
      case "CallExpression":
      case "NewExpression":
        this.#checkCall(node);
        break;
      case "AssignmentExpression":
        if (node.operator === "**=") this.#find(node, "precision", "**");
        this.#checkTarget(node.left);
        break;
      case "UpdateExpression":
        this.#checkTarget(node.argument);
        break;
      case "UnaryExpression":
        if (node.operator === "delete") this.#checkTarget(node.argument);
        break;
      case "BinaryExpression":
        if (node.operator === "**" && !isExactPower(node)) this.#find(node, "precision", "**");
        break;
      case "ImportExpression":
        this.#find(node, "input-output", "import()");
        break;
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        if (node.async === true) this.#find(node, "async", "an async function");
        break;
      default:
    }
    for (const child of childrenOf(node)) this.#walk(child);
  }

  #checkIdentifier(node: tree.Identifier): void {
    const reference = this.#meanings.reference(node);
    if (reference === undefined) return;
    if (reference.isWrite() && reference.init !== true) {
      if (reference.resolved === null || this.#isOutside(reference.resolved)) this.#findState(node, node.name);
      return;
    }
    if (!reference.isWrite()) this.#checkMeaning(node, this.#meanings.of(node));
  }

  /** Whether all there is to say of it is said. */
  #checkMember(node: tree.MemberExpression): boolean {
    const meaning = this.#meanings.of(node);
    if (meaning === null) {
      const name = propertyName(node);
      if (name !== null && isLocalMethod(name)) this.#find(node.property as Node, "local", `${name}()`);
      return false;
    }
    this.#checkMeaning(node, meaning);
    if (node.computed) this.#walk(node.property);
    return true;
  }

  #checkMeaning(node: Node, meaning: Meaning): void {
    if (meaning === null) return;
    if (meaning.kind === "platform") {
      const kind = impureName(meaning.path);
      if (kind !== null) this.#find(node, kind, platformName(meaning.path));
      return;
    }
    const isKnown = this.#reached.has(meaning.node) || isWithin(meaning.node, this.#unit!);
    if (isKnown || !this.#isOfProject(meaning.node)) return;
    this.#reached.add(meaning.node);
    this.#waiting.push(meaning.node);
  }

  #checkCall(node: tree.SimpleCallExpression | tree.NewExpression): void {
    const callee = this.#meanings.of(node.callee);
    const name = callee?.kind === "platform" ? callee.path.join(".") : "";
    const count = node.arguments.length;
    if (name === "Date") {
      if (node.type === "CallExpression") this.#find(node, "time", "Date()");
      else if (count === 0) this.#find(node, "time", "new Date without arguments");
      else if (count > 1) this.#find(node, "local", "new Date(year, month, ...)");
    }
    if ((name === "Object.assign" || name === "Object.defineProperty") && count > 0) {
      this.#checkTarget(node.arguments[0]!, "whole");
    }
    const { callee: called } = node;
    if (called.type !== "MemberExpression" || !CHANGING.has(propertyName(called) ?? "")) return;
    if (this.#isCollection(this.#meanings.of(called.object))) this.#checkTarget(called.object, "whole");
  }

  #isCollection(meaning: Meaning): boolean {
    if (meaning?.kind !== "own") return false;
    const { node } = meaning;
    if (node.type === "ArrayExpression") return true;
    if (node.type !== "NewExpression" && node.type !== "CallExpression") return false;
    const made = this.#meanings.of(node.callee);
    return made?.kind === "platform" && COLLECTIONS.has(made.path[0]!);
  }

  /** What is written to. A plain name is a reference of its own, seen where it stands, unless `whole`. */
  #checkTarget(target: Node, part: "member" | "whole" = "member"): void {
    let root = target;
    while (root.type === "MemberExpression") root = root.object;
    if (root.type !== "Identifier" || (root === target && part === "member")) return;
    const reference = this.#meanings.reference(root);
    if (reference === undefined) return;
    if (reference.resolved === null || this.#isOutside(reference.resolved)) this.#findState(target, root.name);
  }

  #isOutside(variable: Variable): boolean {
    return !isWithin(variable.scope.block as Node, this.#unit!);
  }

  #findState(node: Node, name: string): void {
    this.#find(node, "state", `writing to ${name}`);
  }

  #find(node: Node, kind: ImpurityKind, name: string): void {
    this.#findings.push({ node, kind, name });
  }
}

/** Without how it is called. */
function platformName(path: readonly string[]): string {
  const isCall = path.length > 1 && ["bind", "call", "apply"].includes(path.at(-1)!);
  const [root, ...members] = isCall ? path.slice(0, -1) : path;
  if (!root!.startsWith("node:")) return [root, ...members].join(".");
  return members.length === 0 ? root! : `${members.join(".")} of ${root}`;
}

/** Of two numbers as they are written: known to the bit. */
function isExactPower({ left, right }: tree.BinaryExpression): boolean {
  if (left.type !== "Literal" || right.type !== "Literal") return false;
  return Number.isSafeInteger(Number(left.value) ** Number(right.value));
}
