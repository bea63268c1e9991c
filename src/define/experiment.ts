/**
 * `experiment`: versions of a service, each served to a share of the units.
 */
import { callSite, refuse } from "./defined-at.ts";
import type { Definition, Described, ServiceDefinition } from "./definition.ts";
import {
  type ExperimentDefinition,
  type ExperimentShadow,
  type ExperimentUnit,
  formatVariant,
  type ServiceVariant,
} from "./experiment-definition.ts";
import { experimentProblems } from "./experiment-problems.ts";
import type { Experiment, ExperimentKeys, ExperimentRequest, ExperimentValues } from "./experiment-typing.ts";
import { frozen } from "./frozen.ts";
import { rememberReferences } from "./references.ts";
import { checkShape } from "./shape.ts";

/** A version of a service: as `service(...)` returns it, or its name and version, as `"delay@2"`. */
type Variant = string | ServiceDefinition;

type Unit = string | { readonly kind: "entity"; readonly name: string } | { readonly request: string };

export interface ExperimentOptions<
  T extends readonly Variant[] = readonly Variant[],
  U extends Unit = Unit,
> extends Described {
  /** The versions that are served, the control first. */
  readonly service: T;
  /** Whole numbers, one for each version: their shares of the sum, where the experiment begins. */
  readonly weights: readonly number[];
  /** The entity whose key decides, or the name of what the request carries: `{ request: "session" }`. */
  readonly unit: U;
  /** Default: the experiment's name. Another salt assigns anew. */
  readonly salt?: string;
  /** Units that are served a version whatever the weights, by their canonical text. */
  readonly overrides?: Readonly<Record<string, Variant>>;
  /** Share of the units whose answers go to the serving log, 0 to 1. Default 1. */
  readonly exposures?: number;
  /** A version that computes for a share of the answers (default 0.1) without being returned. */
  readonly shadow?: Variant | { readonly service: Variant; readonly share?: number };
}

const SHADOW_SHARE = 0.1;
const VARIANT = /^([^@]+)@([1-9]\d{0,8})$/;

/** Serves versions of a service by the experiment's name. Throws `DEFINITION_INVALID`. */
export function experiment<const N extends string, const T extends readonly Variant[], const U extends Unit>(
  name: N,
  options: ExperimentOptions<T, U>,
): Experiment<N, ExperimentValues<T>, ExperimentKeys<T>, ExperimentRequest<T, U>> {
  checkShape(
    experiment,
    "experiment",
    name,
    options,
    { service: "list", weights: "list", ...(options?.overrides === undefined ? {} : { overrides: "members" }) },
    ["unit", "salt", "overrides", "exposures", "shadow"],
  );
  const definedAt = callSite(experiment);
  const problems: string[] = [];
  const variants = options.service.map((one) => variantOf("service", one, problems));
  const names = variants.map(formatVariant);
  const overrides = Object.entries(options.overrides ?? {}).map(([unit, one]) => ({
    unit,
    variant: names.indexOf(formatVariant(variantOf(`overrides of ${JSON.stringify(unit)}`, one, problems))),
  }));
  const unit = unitOf(options.unit, problems);
  const shadow = options.shadow === undefined ? undefined : shadowOf(options.shadow, problems);
  if (options.salt !== undefined && typeof options.salt !== "string") problems.push("salt is no text");
  refuse({ name, definedAt }, "experiment", problems);
  const definition = frozen({
    kind: "experiment",
    name: name as string,
    variants,
    weights: options.weights,
    unit,
    salt: options.salt ?? name,
    overrides: overrides.length === 0 ? undefined : overrides,
    exposures: options.exposures,
    shadow,
    description: options.description,
    owner: options.owner,
    tags: options.tags,
    definedAt,
  }) as ExperimentDefinition;
  refuse(definition, "experiment", experimentProblems(definition));
  const given = [...options.service, ...Object.values(options.overrides ?? {}), options.unit, shadowService(options)];
  rememberReferences(
    definition,
    (given as unknown[]).filter(
      (one): one is Definition => typeof one === "object" && one !== null && "kind" in one && "name" in one,
    ),
  );
  return definition as Experiment<N, any, any, any>;
}

function variantOf(where: string, given: Variant, problems: string[]): ServiceVariant {
  if (typeof given === "object" && given?.kind === "service") {
    return { service: given.name, version: given.version ?? 1 };
  }
  const match = typeof given === "string" ? VARIANT.exec(given) : null;
  if (match !== null) return { service: match[1]!, version: Number(match[2]) };
  problems.push(`${where}: ${JSON.stringify(given)} is no version of a service: write it as "delay@2"`);
  return { service: String(given), version: 0 };
}

function unitOf(given: Unit, problems: string[]): ExperimentUnit {
  if (typeof given === "string") return { from: "entity", name: given };
  if (typeof given === "object" && given !== null) {
    if ("request" in given) return { from: "request", name: String(given.request) };
    if (given.kind === "entity") return { from: "entity", name: given.name };
  }
  problems.push('unit is missing: name an entity, as "user", or what the request carries, as { request: "session" }');
  return { from: "entity", name: "" };
}

function shadowOf(given: NonNullable<ExperimentOptions["shadow"]>, problems: string[]): ExperimentShadow {
  const isWhole = typeof given === "object" && "service" in given;
  const share = isWhole ? (given.share ?? SHADOW_SHARE) : SHADOW_SHARE;
  return { ...variantOf("shadow", isWhole ? given.service : (given as Variant), problems), share };
}

function shadowService({ shadow }: ExperimentOptions): unknown {
  return typeof shadow === "object" && "service" in shadow ? shadow.service : shadow;
}
