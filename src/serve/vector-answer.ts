/**
 * A feature vector as HTTP answers carry it: values by name, and as much metadata as was asked for.
 */
import { performance } from "node:perf_hooks";
import type { Clock } from "../base/clock.ts";
import type { ErrorCode } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import { startsExactly, Status, STATUS_NAMES } from "../fold/view-fold.ts";
import { valueToJson } from "../schema/check-value.ts";
import { encodeVectorToken } from "../schema/vector-token.ts";
import {
  errorOf,
  eventTimeOf,
  isMissing,
  missingOf,
  outputEventTime,
  staleOf,
  tokenOf,
  windowStartOf,
} from "./feature-vector.ts";
import type { ServedExposure } from "./experiment-plan.ts";
import { nonFiniteOf } from "./non-finite.ts";
import type { JsonSchema, RouteRequest } from "./route.ts";
import { snapshotAgeMs } from "./snapshot-age.ts";
import type { FeatureVector } from "./vector-buffer.ts";
import type { PlanOutput, VectorPlan } from "./vector-plan.ts";

/** What a caller may ask for beside the values. */
export interface AnswerOptions {
  /** Status, event time, age and window of each feature. */
  readonly full: boolean;
  readonly token: boolean;
  /** Who asks, as it names itself. */
  readonly consumer?: string;
  /** The experiment that chose what is answered. */
  readonly exposure?: ServedExposure;
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
export function answerOptions({ body, query, consumer = "" }: RouteRequest, exposure?: ServedExposure): AnswerOptions {
  const asked = (body ?? {}) as { metadata?: unknown; token?: unknown };
  const metadata = String(asked.metadata ?? query["metadata"] ?? "false");
  const full = metadata !== "false";
  const token = String(asked.token ?? query["token"] ?? "false") === "true";
  return exposure === undefined ? { full, token, consumer } : { full, token, consumer, exposure };
}

export function answerFeatures(plan: VectorPlan, vector: FeatureVector): Record<string, unknown> {
  const features: Record<string, unknown> = {};
  for (let i = 0; i < plan.outputs.length; i++) {
    const { name, type } = plan.outputs[i]!;
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
  const ageMs = snapshotAgeMs(plan, vector.asOf);
  return {
    as_of: formatMicros(vector.asOf),
    ...(ageMs === null ? {} : { snapshot_age_ms: ageMs }),
    ...metadataBehindTime(plan, vector, options),
  };
}

/** The same without what hangs on the moment, `as_of` and the states' age, which comes first. */
export function metadataBehindTime(
  plan: VectorPlan,
  vector: FeatureVector,
  options: AnswerOptions,
): Record<string, unknown> {
  const fit = plan.program?.fit ?? null;
  const { exposure } = options;
  const stale = staleOf(plan);
  const nonFinite = nonFiniteOf(plan, vector);
  return {
    ...(exposure === undefined ? {} : { experiment: exposure.experiment, variant: exposure.variant }),
    missing_features: missingOf(plan, vector),
    ...(stale.length === 0 ? {} : { stale_features: stale }),
    ...(nonFinite.length === 0 ? {} : { non_finite_features: nonFinite }),
    ...(fit === null ? {} : { fit: fit.version }),
    ...(options.token ? { token: encodeVectorToken(tokenOf(plan, vector)) } : {}),
    ...(options.full ? { features: allMetadata(plan, vector) } : {}),
  };
}

function allMetadata(plan: VectorPlan, vector: FeatureVector): Record<string, unknown> {
  return Object.fromEntries(
    plan.outputs.map((each, i) => [
      each.name,
      vector.codes === null
        ? featureMetadata(plan, vector, each, i)
        : computedMetadata(plan, vector, each, i, vector.codes[i]!),
    ]),
  );
}

/** Whether no more is said of the vector than when it was, and that nothing is missing or not finite. */
export function isUsual(plan: VectorPlan, vector: FeatureVector, options: AnswerOptions): boolean {
  const { statuses } = vector;
  for (let i = 0; i < plan.outputs.length; i++) if (isMissing(statuses[i]!)) return false;
  const hasFit = (plan.program?.fit ?? null) !== null;
  return isPlain(options) && !hasFit && staleOf(plan).length === 0 && nonFiniteOf(plan, vector).length === 0;
}

/** The part that belongs to the answer as a whole: how long it took since `startMs`, and when that was. */
export function answerTiming(startMs: number, clock: Clock): AnswerTiming {
  return { latency_ms: latencyMs(startMs), timestamp: formatMicros(clock.now()) };
}

export interface AnswerTiming {
  readonly latency_ms: number;
  readonly timestamp: string;
}

function latencyMs(startMs: number): number {
  return latencyMicros(startMs) / 1000;
}

export function latencyMicros(startMs: number): number {
  return Math.round((performance.now() - startMs) * 1000);
}

/** Whether the answer is made of the vector's values and statuses alone. */
export function isPlain({ full, token, exposure }: AnswerOptions): boolean {
  return !full && !token && exposure === undefined;
}

/** Of a feature that is returned as it was read. */
function featureMetadata(
  plan: VectorPlan,
  vector: FeatureVector,
  output: PlanOutput,
  i: number,
): Record<string, unknown> {
  const read = output.inputs[0]!;
  const { windowMicros, hopMicros } = plan.features[read]!;
  const windowStart = windowMicros === null ? null : (windowStartOf(plan, read) as Micros);
  return {
    status: STATUS_NAMES[vector.statuses[i]!],
    view: output.view,
    ...answerAge(vector, eventTimeOf(plan, vector, read)),
    window_start: windowStart === null ? null : formatMicros(windowStart),
    window_bound_ms: windowMicros === null ? null : hopMicros / 1000,
    exact: isExact(plan, vector, read),
    error: errorOf(plan, read),
  };
}

/** Of what a program computed: as old as the oldest feature behind it, and exact where all of them are and it is no error. */
function computedMetadata(
  plan: VectorPlan,
  vector: FeatureVector,
  output: PlanOutput,
  i: number,
  code: ErrorCode | null,
): Record<string, unknown> {
  const message = messageOf(plan, i);
  const isComputed = output.transformation !== null || !plan.views.some(({ name }) => name === output.view);
  if (!isComputed) return featureMetadata(plan, vector, output, i);
  return {
    status: STATUS_NAMES[vector.statuses[i]!],
    ...(code === null ? {} : { code }),
    ...(message === null ? {} : { message }),
    view: output.view,
    ...(output.transformation === null ? {} : { transformation: output.transformation }),
    ...answerAge(vector, outputEventTime(plan, vector, i)),
    window_start: null,
    window_bound_ms: null,
    exact: vector.statuses[i] !== Status.ERROR && output.inputs.every((input) => isExact(plan, vector, input)),
    error: null,
  };
}

/** What was said of an output that is an error: good within the turn that read the vector. */
function messageOf({ program }: VectorPlan, output: number): string | null {
  return program === null ? null : program.slots.messages[program.outputs[output]!.slot]!;
}

function answerAge(vector: FeatureVector, eventTime: Micros | null): Record<string, unknown> {
  return {
    event_time: eventTime === null ? null : formatMicros(eventTime),
    age_ms: eventTime === null ? null : (vector.asOf - eventTime) / 1000,
  };
}

function isExact(plan: VectorPlan, vector: FeatureVector, read: number): boolean {
  return startsExactly(plan.features[read]!, windowStartOf(plan, read), vector.asOf) && errorOf(plan, read) === 0;
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
    stale_features: {
      type: "array",
      items: { type: "string" },
      description:
        "features of views that are not as fresh as they promise now: their values are the view's fallback, or the last ones, as it declares; absent where there are none",
    },
    non_finite_features: {
      type: "array",
      items: { type: "string" },
      description:
        'features that are, or hold, a float64 that is not finite: among the features it is the text "NaN", "Infinity" or "-Infinity"; absent where there are none',
    },
    snapshot_age_ms: {
      type: "number",
      description: "of a server with several processes: how far the values may be behind the events folded at as_of",
    },
    token: { type: "string" },
    experiment: {
      type: "string",
      description: "that chose the service, where it was asked for by an experiment's name",
    },
    variant: { type: "string", description: "the version that it chose: the answer is that service's" },
    fit: { type: "integer", description: "version of what the service's transformations were fitted to" },
    features: {
      type: "object",
      additionalProperties: {
        type: "object",
        properties: {
          status: { enum: STATUS_NAMES },
          code: { type: "string", description: "why a computed value has status ERROR; see docs/errors.md" },
          message: { type: "string", description: "what the on-demand view's function threw, or gave that it may not" },
          view: {
            type: "string",
            description: "where it comes from; several, with commas, of a transformation of several",
          },
          transformation: { type: "string", description: "what was made of the features, where something was" },
          event_time: {
            type: ["string", "null"],
            description: "newest event folded for the entity; of a computed value the oldest among its inputs'",
          },
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
              "whether window_start is exactly where it should be (as_of less a time window's length), and error is 0; of a computed value, whether all its inputs are exact and it is no ERROR",
          },
          error: {
            type: ["number", "null"],
            description:
              "how far the value may be off, as docs/aggregations.md states it for its aggregation; null for a computed value",
          },
        },
      },
    },
  },
};
