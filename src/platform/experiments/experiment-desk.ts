/**
 * Experiments of a platform: what runs and since when, and the steps that are asked for.
 */
import { type ExperimentDefinition, formatVariant } from "../../define/experiment-definition.ts";
import { layoutOf, POINTS, pointsOf } from "../../define/experiment-layout.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { ShadowNews } from "../../monitor/shadow/shadow-news.ts";
import { type FittedHouse, refuseUnfitted } from "../fitted-versions.ts";
import type { ShadowCounts } from "./shadow-counts.ts";
import type { ExperimentStepAsked, RecordedStep } from "../../registry/experiment-state.ts";
import type { ExperimentDesk, ShownExperiment, ShownStep } from "../../serve/experiment-desk.ts";

/** Records what is asked, and has all that serves follow it. */
export interface ExperimentChanges {
  step(name: string, asked: ExperimentStepAsked, by: string | null): Promise<void>;
}

export function experimentDesk(house: FittedHouse, shadows: ShadowCounts, { step }: ExperimentChanges): ExperimentDesk {
  const { registry } = house;
  /** Those of its versions that are to be served. */
  const refuseUnfittedOf = (name: string, isServed: (version: string, place: number) => boolean): void => {
    const served = show(name).variants.filter(({ share }) => share > 0);
    const given = registry.experiment(name).definition.variants.map(formatVariant).filter(isServed);
    refuseUnfitted(
      house,
      given,
      served.map(({ variant }) => variant),
    );
  };
  const show = (name: string): ShownExperiment => {
    return shownExperiment(registry.experiment(name).definition, registry.experimentSteps(name));
  };
  return {
    list: async () => registry.experiments().map(({ definition }) => show(definition.name)),
    show: async (name) => show(name),
    ramp: async (name, { weights, by }) => {
      refuseUnfittedOf(name, (_, place) => (weights[place] ?? 0) > 0);
      await step(name, { weights }, by);
      return show(name);
    },
    stop: async (name, { serve, by }) => {
      refuseUnfittedOf(name, (version) => version === serve);
      await step(name, { serve }, by);
      return show(name);
    },
    compare: async (name) => {
      const { shadow } = registry.experiment(name).definition;
      if (shadow === undefined) {
        throw new OnefoldError("VALUES_MISSING", `${name} has no shadow: nothing is computed beside its answers`, {
          hint: `give it one: shadow: { service: "delay@2", share: 0.1 }`,
        });
      }
      return { experiment: name, shadow: formatVariant(shadow), comparisons: await shadows.of(name) };
    },
    took: async (news) => {
      for (const one of news as readonly ShadowNews[]) shadows.took(one);
      return null;
    },
  };
}

export function shownExperiment(
  { name, variants, unit, salt, exposures = 1, overrides = [], shadow }: ExperimentDefinition,
  steps: readonly RecordedStep[],
): ShownExperiment {
  const nameOf = (place: number): string => formatVariant(variants[place]!);
  const layout = layoutOf(steps);
  const points = pointsOf(layout, variants.length);
  return {
    name,
    unit,
    salt,
    exposures,
    variants: points.map((count, place) => ({ variant: nameOf(place), share: count / POINTS })),
    layout: layout.map(({ from, to, variant }) => ({ from, to, variant: nameOf(variant) })),
    overrides: overrides.map(({ unit: one, variant }) => ({ unit: one, variant: nameOf(variant) })),
    shadow: shadow === undefined ? null : { service: formatVariant(shadow), share: shadow.share },
    steps: steps.map(({ at, by, ...step }): ShownStep => {
      return "stopped" in step ? { at, by, stopped: nameOf(step.stopped) } : { at, by, weights: step.weights };
    }),
  };
}
