/**
 * Whether what an experiment names is there, and whether its versions can be asked for by one name.
 */
import type { Definition, ServiceDefinition } from "../define/definition.ts";
import { formatViewName } from "../define/definition.ts";
import { type ExperimentDefinition, formatVariant, type ServiceVariant } from "../define/experiment-definition.ts";
import { experimentInputs, type FindView, unsentInputs } from "../define/experiment-inputs.ts";
import { shownName } from "./definition-set.ts";
import { unknownName } from "./unknown-name.ts";

/** A sentence for each problem. `all` is by key. */
export function experimentReferenceProblems(
  experiment: ExperimentDefinition,
  all: ReadonlyMap<string, Definition>,
  known: readonly Definition[],
): string[] {
  const services = known.filter((one) => one.kind === "service");
  const problems: string[] = [];
  const found = (variant: ServiceVariant): ServiceDefinition | null => {
    const one = services.find(({ name, version = 1 }) => name === variant.service && version === variant.version);
    if (one !== undefined) return one;
    problems.push(unknownName("service", formatVariant(variant), services.map(shownName)));
    return null;
  };
  if (services.some(({ name }) => name === experiment.name))
    problems.push("a service has its name: both are asked for by it, so give it another");
  const variants = experiment.variants.map(found);
  const shadow = experiment.shadow === undefined ? null : found(experiment.shadow);
  if (problems.length > 0) return problems;
  const find: FindView = (name, version) => {
    const view = all.get(`view:${formatViewName({ name, version })}`);
    return view?.kind === "view" || view?.kind === "on-demand" ? view : null;
  };
  const inputs = experimentInputs(experiment, variants as ServiceDefinition[], find);
  const unsent = shadow === null ? [] : unsentInputs(inputs, shadow, find);
  return [
    ...inputs.problems,
    ...(unsent.length === 0
      ? []
      : [`its shadow reads ${unsent.join(", ")}, which requests do not carry, as none of its versions reads it`]),
  ];
}

/** Experiments that have the service's name; a service is never called as one. */
export function experimentOfName(name: string, known: readonly Definition[]): string[] {
  return known.some((one) => one.kind === "experiment" && one.name === name)
    ? ["an experiment has its name: both are asked for by it, so give it another"]
    : [];
}
