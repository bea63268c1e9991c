/**
 * Experiments as plain data: which versions of a service are served to which share of the units, and what tells units
 * apart. What is changed while it runs (weights) stands beside it in the registry.
 */

/** A version of a service that an experiment serves. */
export interface ServiceVariant {
  readonly service: string;
  readonly version: number;
}

/** What is always served the same variant: an entity's key, or a value that the request carries. */
export interface ExperimentUnit {
  readonly from: "entity" | "request";
  readonly name: string;
}

/** Computes for a share of the answers what another version would have said, without being returned. */
export interface ExperimentShadow extends ServiceVariant {
  /** Of the answers, above 0 and up to 1. */
  readonly share: number;
}

export interface ExperimentDefinition {
  readonly kind: "experiment";
  readonly name: string;
  /** The control first. */
  readonly variants: readonly ServiceVariant[];
  /** One for each variant: where the experiment begins. Whole numbers; their shares of the sum count. */
  readonly weights: readonly number[];
  readonly unit: ExperimentUnit;
  /** Experiments with different salts assign independently of one another. */
  readonly salt: string;
  /** Units that are served a variant whatever the weights; a list, as units are names of the user's choice. */
  readonly overrides?: readonly { readonly unit: string; readonly variant: number }[];
  /** Share of the units whose answers go to the serving log, all of them. Absent: every unit's. */
  readonly exposures?: number;
  readonly shadow?: ExperimentShadow;
  readonly description?: string;
  readonly owner?: string;
  readonly tags?: readonly string[];
  readonly definedAt?: { readonly file: string; readonly line: number; readonly column: number };
}

/** What it serves, or computes beside. */
export function namedVariants({ variants, shadow }: ExperimentDefinition): readonly ServiceVariant[] {
  return shadow === undefined ? variants : [...variants, shadow];
}

/**
 * What it still serves, or computes beside: all it names, until it is stopped; then what it was stopped at. `steps`: what it was
 * told.
 */
export function servedVariants(
  { variants, shadow }: ExperimentDefinition,
  steps: readonly object[],
): readonly ServiceVariant[] {
  const last = steps.at(-1);
  if (last !== undefined && "stopped" in last) return [variants[last.stopped as number]!];
  return shadow === undefined ? variants : [...variants, shadow];
}

/** `service@version`. */
export function formatVariant({ service, version }: ServiceVariant): string {
  return `${service}@${version}`;
}
