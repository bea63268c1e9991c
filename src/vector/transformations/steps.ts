/**
 * The transformations of a service as a list of steps, inputs first: what is written twice is computed, and
 * fitted, once.
 */
import type { ServiceDefinition } from "../../define/definition.ts";
import type { TransformationNode } from "../../define/transformation-definition.ts";
import { inputsOf, nodesOf, transformationText } from "../../define/transformation-text.ts";
import { type FeatureTypes, transformationType } from "../../define/transformation-type.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { ValueType } from "../../schema/value.ts";
import { bucketize, quantileBins } from "./bins.ts";
import { oneHot, ordinal } from "./categories.ts";
import { custom } from "./custom.ts";
import { cross, hashBucket } from "./hash-buckets.ts";
import { impute } from "./impute.ts";
import { minMax } from "./min-max.ts";
import type { Data } from "../../registry/definition-data.ts";
import type { Apply, PresentValue } from "./operation.ts";
import { clip, log1p } from "./pointwise.ts";
import { standardize } from "./standardize.ts";

/** What of a service says how its vector is transformed. */
export type TransformedService = Pick<ServiceDefinition, "name" | "features" | "transform" | "omit">;

/** A node that computes something. */
export type StepNode = Exclude<TransformationNode, { readonly op: "input" }>;

/** An operation whose node and parameters are its own affair. */
export interface AnyOperation {
  isFitted(node: StepNode): boolean;
  fit(node: StepNode, values: readonly PresentValue[]): Data;
  compile(node: StepNode, parameters: Data): Apply;
}

const OPERATIONS: Readonly<Record<StepNode["op"], AnyOperation>> = {
  bucketize,
  clip,
  cross,
  custom,
  hashBucket,
  impute,
  log1p,
  minMax,
  oneHot,
  ordinal,
  quantileBins,
  standardize,
};

export interface Step {
  /** What it says: the name that its parameters are kept under. */
  readonly text: string;
  readonly node: StepNode;
  readonly operation: AnyOperation;
  readonly isFitted: boolean;
  /** Places of its inputs: of features first, then of steps, in the order of both. */
  readonly inputs: readonly number[];
}

export interface VectorOutput {
  readonly name: string;
  readonly type: ValueType;
  /** Place of its value: a feature's, or a step's behind all features. */
  readonly place: number;
}

export interface Steps {
  readonly steps: readonly Step[];
  /** The vector, in its order: replaced features in their place, new names behind, omitted ones left out. */
  readonly outputs: readonly VectorOutput[];
}

/** Whether a service has transformations that are fitted to data. */
export function needsFit({ transform = [] }: Pick<ServiceDefinition, "transform">): boolean {
  return transform.some(({ node }) =>
    nodesOf(node).some((part) => part.op !== "input" && OPERATIONS[part.op].isFitted(part)),
  );
}

/** `types` are those of the service's features, in their order. Throws `DEFINITION_INVALID`. */
export function planSteps(service: TransformedService, types: readonly ValueType[]): Steps {
  const { features, transform = [], omit = [] } = service;
  const featureTypes: FeatureTypes = new Map(features.map((feature, i) => [feature.as, types[i]!]));
  const steps: Step[] = [];
  const places = new Map<string, number>();
  const placeOf = (node: TransformationNode): number => {
    if (node.op === "input") return features.findIndex((feature) => feature.as === node.feature);
    const text = transformationText(node);
    const known = places.get(text);
    if (known !== undefined) return known;
    const inputs = inputsOf(node).map(placeOf);
    const operation = OPERATIONS[node.op];
    const place =
      features.length + steps.push({ text, node, operation, isFitted: operation.isFitted(node), inputs }) - 1;
    places.set(text, place);
    return place;
  };
  const computed = transform.map(({ name, node }): VectorOutput => {
    const type = transformationType(node, featureTypes);
    if (typeof type !== "string") return { name, type, place: placeOf(node) };
    throw new OnefoldError("DEFINITION_INVALID", `transform "${name}": ${type}`, { where: `service ${service.name}` });
  });
  const names = new Set(features.map((feature) => feature.as));
  const outputs = features
    .map(
      ({ as }, place): VectorOutput =>
        computed.find(({ name }) => name === as) ?? { name: as, type: types[place]!, place },
    )
    .filter(({ name }) => !omit.includes(name));
  return { steps, outputs: [...outputs, ...computed.filter(({ name }) => !names.has(name))] };
}
