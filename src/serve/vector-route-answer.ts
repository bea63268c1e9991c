/**
 * A route's answer with one feature vector: as data for callers in this process, as text for the wire. Each
 * is made only when it is asked for, which must be within the turn that read the vector: the plan fills it anew
 * at its next read.
 */
import type { Clock } from "../base/clock.ts";
import { featuresText } from "./features-text.ts";
import type { RouteAnswer } from "./route.ts";
import { answerFeatures, answerMetadata, type AnswerOptions, answerTiming } from "./vector-answer.ts";
import type { VectorValues } from "./vector-buffer.ts";
import type { VectorPlan } from "./vector-plan.ts";

/**
 * `label` is what comes before the features, and has at least one field;
 * the work on the request began at `startMs`.
 */
export function vectorRouteAnswer(
  label: Readonly<Record<string, unknown>>,
  plan: VectorPlan,
  vector: VectorValues,
  options: AnswerOptions,
  startMs: number,
  clock: Clock,
): RouteAnswer {
  const ofVector = answerMetadata(plan, vector, options);
  const metadata = { ...answerTiming(startMs, clock), ...ofVector };
  const { token } = ofVector;
  return {
    status: 200,
    ...(typeof token === "string" ? { headers: { "x-onefold-token": token } } : {}),
    get body() {
      return { ...label, features: answerFeatures(plan, vector), metadata };
    },
    jsonText: () =>
      `${JSON.stringify(label).slice(0, -1)},"features":${featuresText(plan, vector)},"metadata":${JSON.stringify(metadata)}}`,
  };
}
