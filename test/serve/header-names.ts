/**
 * The headers that a module reads or writes, by the code: what is taken of something called `headers`, what is given as
 * `headers` or to a reply's `header`, what is told apart from `content-length`, and every text that begins as a header of
 * our own does.
 */
import { parse } from "acorn";
import { transformSync } from "esbuild";

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

const OWN = /^x-[a-z0-9-]+$/;

/** In lower case. A name that is a constant is looked up in `constants`; what else is computed is not seen. */
export function headerNames(source: string, constants: Constants = new Map()): Set<string> {
  const names = new Set<string>();
  const add = (name: string | undefined): void => void (name !== undefined && names.add(name.toLowerCase()));
  const keyOf = (key: Node, isComputed: boolean): string | undefined => {
    if (key.type === "Literal") return String(key["value"]);
    if (key.type !== "Identifier") return undefined;
    return isComputed ? constants.get(key["name"] as string)?.[0] : (key["name"] as string);
  };
  const addKeys = (of: Node): void => {
    for (const one of of["properties"] as Node[]) {
      if (one.type === "Property") add(keyOf(one["key"] as Node, one["computed"] as boolean));
    }
  };
  const addGiven = (value: Node): void => {
    if (value.type.startsWith("Object")) addKeys(value);
    else if (value.type === "Identifier") constants.get(value["name"] as string)?.forEach(add);
    else if (value.type === "ConditionalExpression") {
      addGiven(value["consequent"] as Node);
      addGiven(value["alternate"] as Node);
    }
  };
  walk(parsed(source), (node) => {
    switch (node.type) {
      case "Literal":
        if (OWN.test(String(node["value"]))) add(String(node["value"]));
        break;
      case "MemberExpression":
        if (isHeaders(node["object"] as Node)) add(keyOf(node["property"] as Node, node["computed"] as boolean));
        break;
      case "VariableDeclarator": {
        const [id, init] = [node["id"] as Node, node["init"] as Node | null];
        if (id.type === "ObjectPattern" && init !== null && isHeaders(init)) addKeys(id);
        break;
      }
      case "Property": {
        const [key, value] = [node["key"] as Node, node["value"] as Node];
        if (keyOf(key, false) === "headers") addGiven(value);
        break;
      }
      case "AssignmentExpression":
        if (isHeaders(node["left"] as Node)) addGiven(node["right"] as Node);
        break;
      case "SwitchStatement": {
        const cases = (node["cases"] as Node[]).flatMap((one) => (one["test"] === null ? [] : [one["test"] as Node]));
        if (cases.some((one) => one["value"] === "content-length")) for (const one of cases) add(keyOf(one, true));
        break;
      }
      case "CallExpression": {
        const [callee, [first]] = [node["callee"] as Node, node["arguments"] as Node[]];
        const called = callee.type === "MemberExpression" ? keyOf(callee["property"] as Node, false) : undefined;
        const isOne = called === "header" || called === "setHeader" || called === "getHeader";
        if (isOne && first !== undefined) add(keyOf(first, true));
      }
    }
  });
  for (const ofMaps of ["get", "set", "has", "entries", "map", "length"]) names.delete(ofMaps);
  return names;
}

/** By name: a text, or the names of an object's members. */
export type Constants = ReadonlyMap<string, readonly string[]>;

export function constantsOf(source: string): Constants {
  const constants = new Map<string, readonly string[]>();
  walk(parsed(source), (node) => {
    if (node.type !== "VariableDeclarator") return;
    const [id, init] = [node["id"] as Node, node["init"] as Node | null];
    if (id.type !== "Identifier") return;
    const name = id["name"] as string;
    if (init?.type === "Literal") constants.set(name, [String(init["value"])]);
    if (init?.type !== "ObjectExpression") return;
    const keys = (init["properties"] as Node[]).flatMap((one) =>
      one["computed"] === false ? [one["key"] as Node] : [],
    );
    constants.set(
      name,
      keys.map((key) => String(key["value"] ?? key["name"])),
    );
  });
  return constants;
}

function isHeaders(node: Node): boolean {
  if (node.type === "Identifier") return node["name"] === "headers";
  return node.type === "MemberExpression" && (node["property"] as Node)["name"] === "headers";
}

function parsed(source: string): Node {
  const { code } = transformSync(source, { loader: "ts", format: "esm", target: "esnext" });
  return parse(code, { ecmaVersion: "latest", sourceType: "module" }) as unknown as Node;
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const field of Object.values(node)) {
    for (const one of Array.isArray(field) ? (field as unknown[]) : [field]) {
      if (typeof one === "object" && one !== null && "type" in one) walk(one as Node, visit);
    }
  }
}
