/**
 * What contradicts itself or the features of its service in its transformations.
 */
import { formatType, sameType } from "../schema/value.ts";
import type { ServiceDefinition } from "./definition.ts";
import type { CustomTransformation } from "./transformation-definition.ts";
import { nameProblems } from "./names.ts";
import { repeated } from "./source-problems.ts";
import { nodesOf } from "./transformation-text.ts";
import { type FeatureTypes, transformationType, unknownFeature } from "./transformation-type.ts";

/** A sentence for each contradiction; empty when there is none. `types` are those of all features of the service. */
export function transformationProblems(service: ServiceDefinition, types: FeatureTypes): string[] {
  const { transform = [], omit = [] } = service;
  const replaced = new Set(transform.map((one) => one.name));
  const read = new Set(
    transform.flatMap(({ node }) => nodesOf(node).flatMap((part) => (part.op === "input" ? [part.feature] : []))),
  );
  const left = service.features.filter((feature) => !omit.includes(feature.as)).length + transform.length;
  return [
    ...repeated(transform.map((one) => one.name)).map((name) => `transform: "${name}" is there twice`),
    ...transform.flatMap(({ name, type, node }) => {
      const computed = transformationType(node, types);
      return [
        ...nameProblems("its name", name),
        ...(typeof computed === "string" ? [computed] : []),
        ...(node.op === "input" ? ["it transforms nothing"] : []),
        ...(typeof computed === "string" || sameType(computed, type)
          ? []
          : [`its type is ${formatType(type)}, it computes ${formatType(computed)}`]),
      ].map((problem) => `transform "${name}": ${problem}`);
    }),
    ...customProblems(service),
    ...repeated(omit).map((name) => `omit: "${name}" is there twice`),
    ...omit.flatMap((name) => {
      if (replaced.has(name)) return [`omit: "${name}" is what a transformation gives`];
      if (!types.has(name)) return [`omit: ${unknownFeature(name, types)}`];
      return read.has(name) ? [] : [`omit: no transformation reads "${name}": leave it out of features instead`];
    }),
    ...(left === 0 ? ["omit leaves nothing in its vector"] : []),
  ];
}

/** Parameters are kept under a transformation's text, in which a custom one is its name. */
function customProblems({ transform = [] }: ServiceDefinition): string[] {
  const byName = new Map<string, CustomTransformation>();
  return transform.flatMap(({ node }) =>
    nodesOf(node).flatMap((part) => {
      if (part.op !== "custom") return [];
      const first = byName.get(part.custom.name);
      byName.set(part.custom.name, first ?? part.custom);
      if (first === undefined || isSame(first, part.custom)) return [];
      return [`two custom transformations are named "${part.custom.name}"`];
    }),
  );
}

function isSame(a: CustomTransformation, b: CustomTransformation): boolean {
  return a.apply === b.apply && a.fit === b.fit && sameType(a.output, b.output);
}
