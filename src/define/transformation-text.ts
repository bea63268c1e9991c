/**
 * A transformation as one line that a person reads: `standardize(log1p(impute(delay, median)))`. It says
 * all of the transformation but the code of a custom one, so within a service equal texts are equal
 * transformations: parameters are kept under it.
 */
import type { TransformationNode } from "./transformation-definition.ts";

export function transformationText(node: TransformationNode): string {
  switch (node.op) {
    case "input":
      return node.feature;
    case "impute":
      return call("impute", node.input, node.by === "value" ? JSON.stringify(node.value) : node.by);
    case "minMax":
      return call("minMax", node.input, `${node.low} to ${node.high}`);
    case "clip":
      return call("clip", node.input, boundsText(node.low, node.high));
    case "bucketize":
      return call("bucketize", node.input, JSON.stringify(node.boundaries));
    case "quantileBins":
      return call("quantileBins", node.input, `${node.bins} bins`);
    case "oneHot":
    case "ordinal": {
      const categories = node.categories === undefined ? `max ${node.max}` : JSON.stringify(node.categories);
      return call(node.op, node.input, categories, `unseen ${node.unseen}`);
    }
    case "hashBucket":
      return call("hashBucket", node.input, `${node.buckets} buckets`);
    case "cross":
      return `cross(${[...node.inputs.map(transformationText), `${node.buckets} buckets`].join(", ")})`;
    case "custom":
      return call(`custom ${node.custom.name}`, node.input);
    default:
      return call(node.op, node.input);
  }
}

function boundsText(low: number | undefined, high: number | undefined): string {
  if (low === undefined) return `at most ${high}`;
  return high === undefined ? `at least ${low}` : `${low} to ${high}`;
}

function call(op: string, input: TransformationNode, ...options: readonly string[]): string {
  return `${op}(${[transformationText(input), ...options].join(", ")})`;
}

/** Its inputs, in order; a feature has none. */
export function inputsOf(node: TransformationNode): readonly TransformationNode[] {
  if (node.op === "input") return [];
  return node.op === "cross" ? node.inputs : [node.input];
}

/** It and all below it, inputs first. */
export function nodesOf(node: TransformationNode): TransformationNode[] {
  return [...inputsOf(node).flatMap(nodesOf), node];
}
