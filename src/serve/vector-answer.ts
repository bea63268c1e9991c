/**
 * A feature vector as HTTP answers carry it: values by name, and as much metadata as was asked for.
 */
import { performance } from "node:perf_hooks";
import type { Clock } from "../base/clock.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import { startsExactly, STATUS_NAMES } from "../fold/view-fold.ts";
import { valueToJson } from "../schema/check-value.ts";
import { encodeVectorToken } from "../schema/vector-token.ts";
import type { FeatureVector } from "./feature-vector.ts";
import type { JsonSchema, RouteRequest } from "./route.ts";
import type { PlanFeature, VectorPlan } from "./vector-plan.ts";

/** What a caller may ask for beside the values. */
export interface AnswerOptions {
  /** Status, event time, age and window of each feature. */
  readonly full: boolean;
  readonly token: boolean;
}

export const answerOptionSchemas: Readonly<Record<string, JsonSchema>> = {
  metadata: { enum: ["full", true, false], description: '"full" or true adds metadata.features' },
  token: { type: "boolean", description: "adds metadata.token, from which the vector can be computed again" },
};

export const answerOptionQuerySchemas: Readonly<Record<string, JsonSchema>> = {
  metadata: { enum: ["full", "true", "false"] },
  token: { enum: ["true", "false"] },
};

/** From the body's fields where it has them, else from the query's. */
export function answerOptions({ body, query }: RouteRequest): AnswerOptions {
  const asked = (body ?? {}) as { metadata?: unknown; token?: unknown };
  const metadata = String(asked.metadata ?? query["metadata"] ?? "false");
  return { full: metadata !== "false", token: String(asked.token ?? query["token"] ?? "false") === "true" };
}

export function answerFeatures(plan: VectorPlan, vector: FeatureVector): Record<string, unknown> {
  const features: Record<string, unknown> = {};
  for (let i = 0; i < plan.features.length; i++) {
    const { name, type } = plan.features[i]!;
    features[name] = valueToJson(vector.values[i]!, type);
  }
  return features;
}

/** The part of the metadata that belongs to one vector. */
export function answerMetadata(
  plan: VectorPlan,
  vector: FeatureVector,
  options: AnswerOptions,
): Record<string, unknown> {
  return {
    as_of: formatMicros(vector.asOf),
    missing_features: vector.missing,
    ...(options.token ? { token: encodeVectorToken(vector.token) } : {}),
    ...(options.full
      ? {
          features: Object.fromEntries(
            plan.features.map((each, i) => [each.name, featureMetadata(plan, vector, each, i)]),
          ),
        }
      : {}),
  };
}

/** The part that belongs to the answer as a whole: how long it took since `startMs`, and when that was. */
export function answerTiming(startMs: number, clock: Clock): { latency_ms: number; timestamp: string } {
  return { latency_ms: Math.round((performance.now() - startMs) * 1000) / 1000, timestamp: formatMicros(clock.now()) };
}

function featureMetadata(
  plan: VectorPlan,
  vector: FeatureVector,
  feature: PlanFeature,
  i: number,
): Record<string, unknown> {
  const eventTime = vector.eventTimes[i]!;
  const windowStart = feature.windowMicros === null ? null : vector.windowStarts[i]!;
  return {
    status: STATUS_NAMES[vector.statuses[i]!],
    view: plan.views[feature.view]!.name,
    event_time: eventTime === null ? null : formatMicros(eventTime),
    age_ms: eventTime === null ? null : (vector.asOf - eventTime) / 1000,
    window_start: windowStart === null ? null : formatMicros(windowStart as Micros),
    window_bound_ms: feature.windowMicros === null ? null : feature.hopMicros / 1000,
    exact: startsExactly(feature, vector.windowStarts[i]!, vector.asOf) && vector.errors[i] === 0,
    error: vector.errors[i],
  };
}

const timeSchema: JsonSchema = { type: "string", format: "date-time" };

export const featuresSchema: JsonSchema = {
  type: "object",
  description: "values by name; null where nothing is known",
  additionalProperties: true,
};

export const metadataSchema: JsonSchema = {
  type: "object",
  properties: {
    latency_ms: { type: "number", description: "time spent in the server" },
    timestamp: { ...timeSchema, description: "when the answer was made" },
    as_of: { ...timeSchema, description: "the one moment that all values are read at" },
    missing_features: {
      type: "array",
      items: { type: "string" },
      description: "features whose entity is unseen, whose newest event is past its TTL, or whose value is an error",
    },
    token: { type: "string" },
    features: {
      type: "object",
      additionalProperties: {
        type: "object",
        properties: {
          status: { enum: STATUS_NAMES },
          view: { type: "string" },
          event_time: { type: ["string", "null"], description: "newest event folded for the entity" },
          age_ms: { type: ["number", "null"], description: "as_of less event_time" },
          window_start: {
            type: ["string", "null"],
            description: "the value covers (window_start, as_of]; of a session, just before its first event",
          },
          window_bound_ms: {
            type: ["number", "null"],
            description: "window_start is less than this later than it should be, however busy the entity",
          },
          exact: {
            type: "boolean",
            description:
              "whether window_start is exactly where it should be (as_of less a time window's length), and error is 0",
          },
          error: {
            type: "number",
            description: "how far the value may be off, as docs/aggregations.md states it for its aggregation",
          },
        },
      },
    },
  },
};
