/**
 * How far each feature of a view is from what it was: of the services that read it, in that in which it is furthest. What a
 * transformation or an on-demand view makes counts for what it is made of, as with importances.
 */
import { isOnefoldError } from "../../base/errors.ts";
import { serviceId } from "../../define/service-version.ts";
import type { DriftReport, ReportedFeature } from "../../monitor/drift/drift-report.ts";
import type { Registry } from "../../registry/registry.ts";
import type { DriftDesk } from "./drift-desk.ts";
import { featuresBehind } from "./feature-importance.ts";
import { SERVED_TEST_MAX, SIGNAL_SAMPLES_MIN } from "./hourly-drift.ts";
import { servicePartsOf } from "./service-parts.ts";

export interface FeatureDriftFigure {
  /** Id of the service. */
  readonly service: string;
  /** Under which name the service has it. */
  readonly as: string;
  /**
   * From 0 on: the larger of the effect of its values (distance of Kolmogorov and Smirnov, or of Jensen and Shannon) and of
   * the difference of the parts that are missing.
   */
  readonly effect: number;
  /** Beyond its threshold, and the effect is more than small; or values are missing that were not, or the other way. */
  readonly isDrifting: boolean;
  readonly measure: string | null;
  readonly value: number | null;
  readonly threshold: number | null;
  readonly missingBefore: number;
  readonly missingNow: number;
}

/** By `view@version` and feature, `traffic@1.departures_1h`: the last 24 hours against the baseline. */
export async function featureDrifts(
  drift: Pick<DriftDesk, "services" | "report">,
  registry: Registry,
): Promise<ReadonlyMap<string, FeatureDriftFigure>> {
  const parts = servicePartsOf(registry);
  const furthest = new Map<string, FeatureDriftFigure>();
  for (const service of await drift.services()) {
    const report = await reportOf(drift, service);
    if (report === null) continue;
    const { definition } = registry.service(service);
    for (const reported of report.features) {
      const figure = figureOf(serviceId(definition), reported);
      if (figure === null) continue;
      for (const feature of featuresBehind(definition, reported.feature, parts)) {
        const before = furthest.get(feature);
        if (before === undefined || isFurther(figure, before)) furthest.set(feature, figure);
      }
    }
  }
  return furthest;
}

/** Null where nothing is kept to compare with, or the service is gone. `service`: its reference. */
async function reportOf(drift: Pick<DriftDesk, "report">, service: string): Promise<DriftReport | null> {
  try {
    const settings = { samplesMin: SIGNAL_SAMPLES_MIN, exactTestMax: SERVED_TEST_MAX };
    return await drift.report({ service, settings });
  } catch (error) {
    if (isOnefoldError(error) && (error.code === "VALUES_MISSING" || error.code === "SERVICE_UNKNOWN")) return null;
    throw error;
  }
}

/** Null where there are too few values to say anything. */
function figureOf(service: string, { feature, judged, missing, reference, current }: ReportedFeature) {
  const isSmall = [reference, current].some((side) => side.count + side.missing < SIGNAL_SAMPLES_MIN);
  if (isSmall) return null;
  const figure: FeatureDriftFigure = {
    service,
    as: feature,
    effect: Math.max(judged?.effect.value ?? 0, Math.abs(missing.current - missing.reference)),
    isDrifting:
      missing.isDrifted || (judged !== null && judged.isBeyond && judged.effect.value >= judged.effect.threshold),
    measure: judged?.measure ?? null,
    value: judged?.value ?? null,
    threshold: judged?.threshold ?? null,
    missingBefore: missing.reference,
    missingNow: missing.current,
  };
  return figure;
}

function isFurther(a: FeatureDriftFigure, b: FeatureDriftFigure): boolean {
  return a.isDrifting === b.isDrifting ? a.effect > b.effect : a.isDrifting;
}
