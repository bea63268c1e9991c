/** Syntax trees, walked without knowing their shapes. */
import type * as tree from "estree";

export type Node = tree.Node;

/** The nodes right below one, in the order of the text. */
export function* childrenOf(node: Node): Generator<Node> {
  for (const value of Object.values(node) as unknown[]) {
    if (isNode(value)) yield value;
    else if (Array.isArray(value)) for (const item of value) if (isNode(item)) yield item;
  }
}

/** A node and all below it. */
export function* nodesOf(root: Node): Generator<Node> {
  const waiting: Node[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    yield node;
    waiting.push(...childrenOf(node));
  }
}

/** Whether `inner` stands in the text of `outer`. Both need ranges. */
export function isWithin(inner: Node, outer: Node): boolean {
  return inner.range![0] >= outer.range![0] && inner.range![1] <= outer.range![1];
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}
