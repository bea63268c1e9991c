/**
 * Uses of a variable that only read: after which neither what it holds nor what lies in that can have changed, and
 * nobody has got hold of it. In doubt a use is more than that.
 */
import type { Variable } from "eslint-scope";
import type * as tree from "estree";
import { propertyName } from "../purity/meanings.ts";
import type { Node } from "../purity/nodes.ts";
import type { Units } from "./units.ts";

/** Methods of arrays, maps and sets that change nothing and call nothing. */
const READING: ReadonlySet<string> = new Set("get has at includes indexOf lastIndexOf slice join concat".split(" "));

/** Whether the use of `variable` that `identifier` is only reads. `holdsValues`: what lies in it are no objects. */
export function isRead(identifier: Node, variable: Variable, units: Units, holdsValues: boolean): boolean {
  let [node, isMember] = [identifier, false];
  for (;;) {
    const parent = units.parent(node);
    if (parent === undefined) return false;
    switch (parent.type) {
      case "MemberExpression": {
        if ((parent.object as Node) !== node) return holdsValues && isMember;
        const call = units.parent(parent);
        if (call?.type === "CallExpression" && (call.callee as Node) === parent) {
          if (node !== identifier || !isCollection(variable) || !READING.has(propertyName(parent) ?? "")) return false;
          node = call;
        } else node = parent;
        isMember = true;
        continue;
      }
      case "LogicalExpression":
      case "ChainExpression":
        node = parent;
        continue;
      case "ConditionalExpression":
        if (parent.test === node) return true;
        node = parent;
        continue;
      // What an entry exports is seen by the loader alone.
      case "ExportSpecifier":
      case "BinaryExpression":
      case "TemplateLiteral":
      case "ExpressionStatement":
      case "IfStatement":
        return true;
      case "UnaryExpression":
        return parent.operator !== "delete";
      case "UpdateExpression":
        return false;
      case "AssignmentExpression":
        return holdsValues && isMember && parent.right === node;
      case "ForOfStatement":
        return holdsValues && parent.right === node;
      case "ForInStatement":
        return parent.right === node;
      case "AssignmentPattern":
        return holdsValues && isMember && parent.right === node;
      case "ArrayPattern":
      case "RestElement":
        return false;
      case "Property":
        return holdsValues && isMember && units.parent(parent)?.type === "ObjectExpression";
      case "SpreadElement":
        return holdsValues;
      default:
        return holdsValues && isMember;
    }
  }
}

/** Whether a variable holds a literal whose members are `isFixed`, all of whose uses only read. */
export function holdsValues(variable: Variable, units: Units, isFixed: (node: Node) => boolean): boolean {
  const [definition] = variable.defs;
  const { init } = definition!.node as tree.VariableDeclarator;
  if (init === null || init === undefined || !isFlat(init, isFixed)) return false;
  return variable.references.every(
    (reference) => reference.init === true || isRead(reference.identifier as tree.Identifier, variable, units, true),
  );
}

/** What has methods of its own may have others of these names. */
function isCollection(variable: Variable): boolean {
  const [definition] = variable.defs;
  if (definition?.type !== "Variable" || variable.defs.length > 1) return false;
  const { init } = definition.node as tree.VariableDeclarator;
  if (init?.type === "ArrayExpression") return true;
  return (
    init?.type === "NewExpression" && init.callee.type === "Identifier" && ["Map", "Set"].includes(init.callee.name)
  );
}

/** Of arrays and objects as they are written, and of sets and maps made of such. */
function isFlat(node: Node, isFixed: (node: Node) => boolean, depth = 0): boolean {
  if (node.type === "ArrayExpression") {
    return node.elements.every(
      (one) => one !== null && (isFixed(one) || (depth > 0 && isFlat(one, isFixed, depth - 1))),
    );
  }
  if (node.type === "ObjectExpression") {
    return node.properties.every((one) => one.type === "Property" && one.kind === "init" && isFixed(one.value));
  }
  if (node.type !== "NewExpression" || node.callee.type !== "Identifier") return false;
  const [given, ...more] = node.arguments;
  if (given?.type !== "ArrayExpression" || more.length > 0) return false;
  return (
    (node.callee.name === "Set" && isFlat(given, isFixed)) || (node.callee.name === "Map" && isFlat(given, isFixed, 1))
  );
}
