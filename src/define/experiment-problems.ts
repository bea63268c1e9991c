/**
 * What contradicts itself in an experiment, whether the DSL wrote it or another language did.
 */
import { type ExperimentDefinition, formatVariant } from "./experiment-definition.ts";
import { columnNameProblems, nameProblems } from "./names.ts";
import { repeated } from "./source-problems.ts";

const VARIANTS_MAX = 20;
const WEIGHT_MAX = 1_000_000;
const SALT_LENGTH_MAX = 200;
const OVERRIDES_MAX = 10_000;

/** A sentence for each contradiction; empty when there is none. */
export function experimentProblems(experiment: ExperimentDefinition): string[] {
  const { name, variants, weights, unit, salt, overrides = [], exposures = 1, shadow } = experiment;
  const names = variants.map(formatVariant);
  return [
    ...nameProblems("its name", name),
    ...(variants.length === 0 || (variants.length === 1 && shadow === undefined)
      ? ['service names fewer than two versions: give the control first, as ["delay@1", "delay@2"]']
      : []),
    ...(variants.length > VARIANTS_MAX
      ? [`it has ${variants.length} versions, at most ${VARIANTS_MAX} are served`]
      : []),
    ...repeated(names).map((variant) => `${variant} is in it twice`),
    ...weightProblems(weights, variants.length),
    ...(unit.from === "entity" ? nameProblems("its unit", unit.name) : columnNameProblems(unit.name)),
    ...(salt === "" || salt.length > SALT_LENGTH_MAX || salt.includes("\n")
      ? [`its salt is no text of 1 to ${SALT_LENGTH_MAX} characters without a line feed`]
      : []),
    ...(overrides.length > OVERRIDES_MAX
      ? [`it overrides ${overrides.length} units, at most ${OVERRIDES_MAX} are looked up`]
      : []),
    ...repeated(overrides.map((one) => one.unit)).map((one) => `unit ${JSON.stringify(one)} is overridden twice`),
    ...overrides.flatMap(({ unit: overridden, variant }) =>
      variants[variant] === undefined
        ? [`overrides: unit ${JSON.stringify(overridden)} is given none of ${names.join(", ")}`]
        : [],
    ),
    ...(exposures >= 0 && exposures <= 1 ? [] : ["exposures is no share from 0 to 1"]),
    ...(shadow === undefined ? [] : shadowProblems(shadow.share)),
  ];
}

/** Of an experiment's first weights, or of those that it is ramped to. */
export function weightProblems(weights: readonly number[], variantCount: number): string[] {
  const bad = weights.filter((weight) => !Number.isSafeInteger(weight) || weight < 0 || weight > WEIGHT_MAX);
  if (bad.length > 0) {
    return [
      `weight ${bad.map((weight) => JSON.stringify(weight)).join(", ")} is no whole number from 0 to ${WEIGHT_MAX}: for a finer share give larger ones, as 999 and 1`,
    ];
  }
  if (weights.length !== variantCount) {
    return [`it has ${weights.length} weights for ${variantCount} versions: give one for each`];
  }
  return weights.every((weight) => weight === 0) ? ["all its weights are 0"] : [];
}

function shadowProblems(share: number): string[] {
  return share > 0 && share <= 1 ? [] : ["shadow.share is no share above 0 and up to 1"];
}
