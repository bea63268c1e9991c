/**
 * The public door of `onefold`.
 */
export { ERROR_CODES, type ErrorCode, type ErrorDetails, isOnefoldError, OnefoldError } from "./base/errors.ts";
export { type Clock, ReplayClock, systemClock } from "./base/clock.ts";
export {
  type DurationMicros,
  formatDuration,
  formatMicros,
  micros,
  type Micros,
  microsFromMillis,
  parseDuration,
  parseMicros,
} from "./base/micros.ts";
export type { Column, Value, ValueType } from "./schema/value.ts";
export * from "./define/aggregation-definition.ts";
export type { DefinedAt } from "./define/defined-at.ts";
export * from "./define/definition.ts";
export * from "./define/expectation-definition.ts";
export * from "./define/transformation-definition.ts";
export * from "./define/alert-definition.ts";
export {
  alert,
  type AlertOptions,
  defaultAlerts,
  retrain,
  type RetrainOptions,
  type RuleOptions,
} from "./define/alert.ts";
export {
  command,
  type CommandOptions,
  type EnvironmentName,
  webhook,
  type WebhookOptions,
} from "./define/destination.ts";
export { experiment, type ExperimentOptions } from "./define/experiment.ts";
export type { Experiment } from "./define/experiment-typing.ts";
export * from "./define/experiment-definition.ts";
export type { Expression } from "./define/expression.ts";
export { type ColumnType, t } from "./define/column-type.ts";
export { col, type Expr, lit, when } from "./define/expression-builder.ts";
export {
  column,
  count,
  countSessions,
  countDistinct,
  decayedSum,
  ewma,
  first,
  firstK,
  histogram,
  last,
  lastK,
  max,
  mean,
  min,
  quantile,
  rate,
  stddev,
  sum,
  timeSinceLast,
  topCounts,
  topK,
  topOther,
  variance,
} from "./define/aggregation-builder.ts";
export type { Feature, GroupedFeature } from "./define/feature-builder.ts";
export { type Expectation, expectation } from "./define/expectation.ts";
export { sequence, type SequenceFeature } from "./define/sequence.ts";
export { type Custom, custom, type CustomFunctions } from "./define/custom.ts";
export { entity, type Entity } from "./define/entity.ts";
export {
  http,
  type CursorOptions,
  type FromEnvironment,
  type HttpPollOptions,
  type PathText,
} from "./define/http-poll.ts";
export * from "./define/poll-definition.ts";
export { batch, type BatchSource, type EventOf, stream, type Stream } from "./define/source.ts";
export type { SourceSlaOptions, ViewSlaOptions } from "./define/sla.ts";
export { view, type View } from "./define/view.ts";
export { onDemand, type OnDemand } from "./define/on-demand.ts";
export type { Selection } from "./define/selection.ts";
export {
  bucketize,
  clip,
  cross,
  hashBucket,
  impute,
  log1p,
  minMax,
  oneHot,
  ordinal,
  quantileBins,
  standardize,
} from "./define/transformation.ts";
export { customTransformation, type TransformationFunctions } from "./define/custom-transformation.ts";
export type { Transformation } from "./define/transformation-typing.ts";
export { service, type Service, type Vector, type VectorKeys, type VectorRequest } from "./define/service.ts";
export type { DurationText } from "./define/typing.ts";
export { type JsonSchema, rowJsonSchema, vectorJsonSchema } from "./schema/json-schema.ts";
export { openOnlineServer, openPlatform, runTrainingJob, serveAsWorker } from "./platform/open.ts";
export type { BackfillCost, Platform } from "./platform.ts";
export type { Correction, CorrectionOutcome, CorrectionResult } from "./ingest/corrections.ts";
export type {
  AuditOptions,
  AuditReport,
  BackfilledView,
  BackfillOptions,
  FitOptions,
  LeakageOptions,
  PlatformOptions,
  ServiceVectorOptions,
  TrainOptions,
  VectorAnswer,
  VectorOptions,
} from "./platform/platform-options.ts";
export type { ImportOptions, ImportReport, OnProgress } from "./platform/runtime-context.ts";
export type { DriftOptions, DriftReport, DriftSettings } from "./platform/monitoring/drift-desk.ts";
export type { OnlineServer, OnlineServerOptions } from "./platform/online/online-server.ts";
export type { PushResult, RowOutcome } from "./ingest/pipeline.ts";
export type { HttpOptions, HttpServer } from "./serve/http.ts";
export type { FitSplit, FittedService, FittedStep } from "./registry/fitted-service.ts";
export type { TrainingJobOptions } from "./platform/training-jobs/run-training-job.ts";
export type { TrainingJobsOptions } from "./platform/training-jobs/training-jobs.ts";
export type { WorkerOptions } from "./platform/workers/worker-house.ts";
export type { WorkersOptions, WorkerServer } from "./platform/workers/worker-server.ts";
export type { RespOptions, RespServer } from "./serve/resp/server.ts";
export type { Plan, PlannedChange, Registered, Registry } from "./registry/registry.ts";
