/**
 * What units do when they run beside declaring their variables: which may change what a variable holds, and which
 * variables hold what can be changed. In doubt a unit changes, and a variable can be changed.
 *
 * Functions of `onefold` change nothing that they are given, call no function of the project, and return what is frozen.
 */
import type { Variable } from "eslint-scope";
import type * as tree from "estree";
import { CHANGING } from "../purity/inspection.ts";
import { propertyName } from "../purity/meanings.ts";
import { childrenOf, isWithin, type Node, nodesOf } from "../purity/nodes.ts";
import { isRequire, isWrapper } from "./canonical-form.ts";
import { holdsValues, isRead } from "./reads.ts";
import { isTopLevel, type Unit, type Units } from "./units.ts";

/** Members of a function that nobody assigns to. */
const OF_FUNCTIONS: ReadonlySet<string | null> = new Set("call apply bind name length toString".split(" "));
/** Change their first argument. */
const ASSIGNING: ReadonlySet<string> = new Set(
  "Object.assign Object.defineProperty Object.defineProperties Object.setPrototypeOf Reflect.set Reflect.defineProperty Reflect.deleteProperty Reflect.setPrototypeOf".split(
    " ",
  ),
);
/** Call no function of the project. */
const INERT: ReadonlySet<string> = new Set(
  "Object.keys Object.values Object.entries Object.fromEntries Number String Boolean Symbol BigInt Map Set WeakMap WeakSet Date".split(
    " ",
  ),
);
const ACTING: ReadonlySet<string> = new Set([
  "AssignmentExpression",
  "UpdateExpression",
  "AwaitExpression",
  "YieldExpression",
  "ImportExpression",
  "TaggedTemplateExpression",
  "SpreadElement",
  "ArrayPattern",
]);
const FUNCTIONS: ReadonlySet<string> = new Set([
  "FunctionDeclaration",
  "FunctionExpression",
  "ArrowFunctionExpression",
]);
const CLASSES: ReadonlySet<string> = new Set(["ClassDeclaration", "ClassExpression"]);

/** Of variables that are made of each other; longer chains are taken for somebody's code. */
const CHAIN_MAX = 30;

export interface Changes {
  /** Top-level variables that it assigns to, or to members of, in functions too. */
  readonly variables: ReadonlySet<Variable>;
  /** Whether it does so to globals, such as prototypes of the language. */
  readonly ofGlobals: boolean;
}

export class Effects {
  readonly #units: Units;
  readonly #door: string;
  readonly #acting = new Map<Unit, boolean>();
  readonly #changes = new Map<Unit, Changes>();
  readonly #changeable = new Map<Variable, boolean>();

  /** `door` is the specifier under which the bundle imports `onefold`. */
  constructor(units: Units, door: string) {
    this.#units = units;
    this.#door = door;
  }

  /** Whether running it may call a function of the project, or change something. */
  acts(unit: Unit): boolean {
    const known = this.#acting.get(unit);
    if (known !== undefined) return known;
    const acts = this.#acts(unit.node);
    this.#acting.set(unit, acts);
    return acts;
  }

  /** Whether it declares a definition: what the language's functions return, which calls nothing by itself. */
  isDefinition({ node }: Unit): boolean {
    return node.type === "VariableDeclarator" && this.#isOfDoor(node.init);
  }

  /** Whether it mentions a variable otherwise than to call it. */
  usesAsValue(unit: Unit, variable: Variable): boolean {
    return variable.references.some(({ identifier }) => {
      const node = identifier as tree.Identifier;
      const parent = this.#units.parent(node);
      const isCalled = parent?.type === "CallExpression" && (parent.callee as Node) === node;
      return !isCalled && isWithin(node, unit.node);
    });
  }

  /** The module that it evaluates, if it is the import of one written as CommonJS: `var import_x = __toESM(require_x())`. */
  evaluated({ node }: Unit): Variable | null {
    if (node.type !== "VariableDeclarator" || node.init?.type !== "CallExpression") return null;
    const { callee, arguments: given } = node.init;
    const [module] = given;
    if (callee.type !== "Identifier" || callee.name !== "__toESM" || module?.type !== "CallExpression") return null;
    return (module.arguments.length === 0 && this.#units.variablesAt.get(module.callee as Node)?.[0]) || null;
  }

  changes(unit: Unit): Changes {
    const known = this.#changes.get(unit);
    if (known !== undefined) return known;
    const found = { variables: new Set<Variable>(), ofGlobals: false };
    for (const node of nodesOf(unit.node)) {
      for (const target of this.#targetsIn(node)) {
        const { root, isReturned } = rootOf(target);
        if (root === null || (root === target && this.#isDeclared(root))) continue;
        const [variable] = this.#units.variablesAt.get(root) ?? [];
        if (variable !== undefined && isTopLevel(variable)) found.variables.add(variable);
        // What `Object.keys(x).sort()` sorts is nobody else's.
        if (!isReturned && this.#units.meanings.of(root)?.kind === "platform") found.ofGlobals = true;
      }
    }
    this.#changes.set(unit, found);
    return found;
  }

  /** Whether a unit that is not the variable's own may change what it holds. */
  isChangeable(variable: Variable): boolean {
    const known = this.#changeable.get(variable);
    if (known !== undefined) return known;
    // Of variables that are made of each other.
    this.#changeable.set(variable, true);
    const found = this.#isChangeable(variable);
    this.#changeable.set(variable, found);
    return found;
  }

  #isChangeable(variable: Variable): boolean {
    const [definition] = variable.defs;
    if (definition === undefined || variable.defs.length > 1) return true;
    if (definition.type === "ImportBinding") return false;
    if (variable.references.some((reference) => reference.isWrite() && reference.init !== true)) return true;
    if (definition.type === "FunctionName" || definition.type === "ClassName") {
      return this.#hasMembers(variable) || this.#keepsState(definition.node as Node);
    }
    if (definition.type !== "Variable") return true;
    const { id, init } = definition.node as tree.VariableDeclarator;
    if (id.type !== "Identifier") return true;
    if (init === null || init === undefined || isBundlers(definition.node as Node)) return false;
    if (FUNCTIONS.has(init.type) || CLASSES.has(init.type)) return this.#hasMembers(variable) || this.#keepsState(init);
    return !this.#isFixed(init) && !holdsValues(variable, this.#units, (node) => this.#isFixed(node));
  }

  /** Where a changeable variable is used otherwise than to be read. */
  handing(variable: Variable): readonly Unit[] {
    return this.#units.mentioning(variable).filter((unit) =>
      variable.references.some(({ identifier, init }) => {
        const node = identifier as tree.Identifier;
        return init !== true && isWithin(node, unit.node) && !isRead(node, variable, this.#units, false);
      }),
    );
  }

  /** Whether an expression gives what nobody can change. */
  #isFixed(node: Node): boolean {
    switch (node.type) {
      case "Literal":
        // With one of these flags it remembers where it was.
        return !("regex" in node) || !/[gy]/.test(node.regex.flags);
      case "TemplateLiteral":
      case "UnaryExpression":
      case "BinaryExpression":
        return true;
      case "ConditionalExpression":
        return this.#isFixed(node.consequent) && this.#isFixed(node.alternate);
      case "LogicalExpression":
        return this.#isFixed(node.left) && this.#isFixed(node.right);
      case "Identifier": {
        const [variable] = this.#units.variablesAt.get(node) ?? [];
        if (variable === undefined) return node.name !== "globalThis";
        return isTopLevel(variable) && !this.isChangeable(variable);
      }
      case "MemberExpression":
        return this.#platformName(node) !== null || this.#isOfDoor(node.object as Node);
      case "CallExpression":
        if (this.#platformName(node.callee) === "Object.freeze") return this.#isFixedLiteral(node.arguments[0]);
        return this.#isOfDoor(node);
      default:
        return false;
    }
  }

  #isFixedLiteral(node: Node | undefined): boolean {
    if (node?.type === "ArrayExpression") return node.elements.every((one) => one !== null && this.#isFixed(one));
    if (node?.type !== "ObjectExpression") return false;
    return node.properties.every(
      (one) =>
        one.type === "Property" && one.kind === "init" && (FUNCTIONS.has(one.value.type) || this.#isFixed(one.value)),
    );
  }

  /** Functions are objects, too: where members of one are used, somebody may have assigned them. */
  #hasMembers(variable: Variable): boolean {
    return variable.references.some(({ identifier }) => {
      const parent = this.#units.parent(identifier as tree.Identifier);
      if (parent?.type !== "MemberExpression" || (parent.object as Node) !== (identifier as Node)) return false;
      return !OF_FUNCTIONS.has(propertyName(parent));
    });
  }

  /** Whether a function or class may keep something with itself, by the name that it has inside or by static members. */
  #keepsState(node: Node): boolean {
    if (CLASSES.has(node.type)) {
      const { superClass, body } = node as tree.Class;
      if (superClass !== null && superClass !== undefined) return true;
      if (body.body.some((member) => member.type === "StaticBlock" || member.static)) return true;
    }
    return [...nodesOf(node)].some((part) => {
      if (part.type === "MemberExpression" && propertyName(part) === "constructor") return true;
      const isOwnName = (variable: Variable): boolean =>
        !isTopLevel(variable) && (variable.scope.block as Node) === node;
      const isNamed = (variable: Variable): boolean => variable.defs.some(({ type }) => type.endsWith("Name"));
      if ("id" in node && node.id === part) return false;
      return (this.#units.variablesAt.get(part) ?? []).some((variable) => isOwnName(variable) && isNamed(variable));
    });
  }

  /** Whether evaluating it does something; functions in it are made, and not called. */
  #acts(node: Node): boolean {
    if (FUNCTIONS.has(node.type) || isWrapper(node)) return false;
    if (CLASSES.has(node.type)) return this.#classActs(node as tree.Class);
    if (node.type === "CallExpression" || node.type === "NewExpression") {
      const isInert = this.#isOfDoor(node) || INERT.has(this.#platformName(node.callee) ?? "");
      if (!isInert) return true;
      return node.arguments.some((one) => this.#acts(one)) || this.#acts(node.callee);
    }
    if (ACTING.has(node.type) || (node.type === "UnaryExpression" && node.operator === "delete")) return true;
    // Loops, branches, throws and what else is no expression.
    if (node.type.endsWith("Statement") && node.type !== "ExpressionStatement") return true;
    if (node.type === "ImportDeclaration") return true;
    return [...childrenOf(node)].some((child) => this.#acts(child));
  }

  #classActs({ superClass, body }: tree.Class): boolean {
    if (superClass !== null && superClass !== undefined && this.#acts(superClass)) return true;
    return body.body.some((member) => {
      if (member.type === "StaticBlock") return true;
      if (member.computed && this.#acts(member.key)) return true;
      if (member.type !== "PropertyDefinition" || !member.static) return false;
      return member.value !== null && member.value !== undefined && this.#acts(member.value);
    });
  }

  /** Whether it is what the language's functions return, or what the methods of that return. */
  #isOfDoor(node: Node | null | undefined, chain = 0): boolean {
    if (chain > CHAIN_MAX) return false;
    if (node?.type === "Identifier") {
      const [variable] = this.#units.variablesAt.get(node) ?? [];
      const [definition] = variable?.defs ?? [];
      if (variable === undefined || variable.defs.length > 1 || definition?.type !== "Variable") return false;
      if (variable.references.some((reference) => reference.isWrite() && reference.init !== true)) return false;
      const { id, init } = definition.node as tree.VariableDeclarator;
      return id.type === "Identifier" && this.#isOfDoor(init, chain + 1);
    }
    if (node?.type !== "CallExpression") return false;
    const { callee } = node;
    const meaning = this.#units.meanings.of(callee);
    if (meaning?.kind === "platform" && meaning.path[0] === this.#door) return true;
    return this.#isOfDoor(callee.type === "MemberExpression" ? (callee.object as Node) : (callee as Node), chain + 1);
  }

  #platformName(node: Node): string | null {
    const meaning = this.#units.meanings.of(node);
    return meaning?.kind === "platform" ? meaning.path.join(".") : null;
  }

  /** What it assigns to. */
  #targetsIn(node: Node): readonly Node[] {
    switch (node.type) {
      case "Identifier": {
        const reference = this.#units.meanings.reference(node);
        return reference?.isWrite() === true ? [node] : [];
      }
      case "AssignmentExpression":
        return membersOf(node.left);
      case "ForInStatement":
      case "ForOfStatement":
        return membersOf(node.left);
      case "UpdateExpression":
        return membersOf(node.argument);
      case "UnaryExpression":
        return node.operator === "delete" ? membersOf(node.argument) : [];
      case "CallExpression": {
        const { callee, arguments: given } = node;
        if (ASSIGNING.has(this.#platformName(callee) ?? "")) return given.slice(0, 1).map(asMember);
        if (callee.type !== "MemberExpression" || !CHANGING.has(propertyName(callee) ?? "")) return [];
        return [callee];
      }
      default:
        return [];
    }
  }

  /** `var x = 1` writes to what it declares. */
  #isDeclared(identifier: tree.Identifier): boolean {
    return this.#units.meanings.reference(identifier)?.init === true;
  }
}

/** How a bundle asks for modules of Node. */
function isBundlers(node: Node): boolean {
  return (
    isRequire(node) ||
    (node.type === "VariableDeclarator" && node.id.type === "Identifier" && node.id.name === "__require")
  );
}

function asMember(node: Node): Node {
  return node.type === "SpreadElement" ? node.argument : node;
}

function membersOf(pattern: Node): Node[] {
  return [...nodesOf(pattern)].filter((node) => node.type === "MemberExpression");
}

/** The variable at the beginning of a chain of members and calls. */
function rootOf(node: Node): { readonly root: tree.Identifier | null; readonly isReturned: boolean } {
  let [root, isReturned] = [node, false];
  for (;;) {
    if (root.type === "MemberExpression") root = root.object as Node;
    else if (root.type === "CallExpression") [root, isReturned] = [root.callee as Node, true];
    else if (root.type === "ChainExpression") root = root.expression;
    else return { root: root.type === "Identifier" ? root : null, isReturned };
  }
}
