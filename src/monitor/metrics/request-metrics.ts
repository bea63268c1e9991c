/**
 * Metrics of requests and of the vectors that they read.
 */
import { diagnostics } from "../../base/diagnostics.ts";
import { ANSWER_SECONDS } from "./latency-bounds.ts";
import type { MonitoredHouse } from "./monitored-house.ts";
import type { Instruments } from "./prometheus.ts";
import { RequestTally } from "./request-tally.ts";
import { type UsedPlan, UsageTally } from "./usage-tally.ts";
import { VectorTally } from "./vector-tally.ts";

interface Served {
  readonly service: string;
  readonly durationMs: number;
  readonly statuses: readonly number[];
  readonly isKept: boolean;
  readonly plan: UsedPlan;
  readonly consumer: string;
}

export function addRequestMetrics(make: Instruments): void {
  const tally = new RequestTally(ANSWER_SECONDS);
  make.askedCounter("onefold_http_requests_total", "HTTP requests answered", ["method", "route", "status"], () =>
    Array.from(tally.counted(), ({ method, route, status, count }) => [
      { method, route, status: String(status) },
      count,
    ]),
  );
  make.tallied("onefold_http_request_seconds", "Time to answer", "route", tally.durations);
  const errors = make.counter("onefold_errors_total", "Error answers by code", ["code"]);
  make.on<{ method: string; route: string; status: number; code: string | null; durationMs: number }>(
    diagnostics.answered,
    ({ method, route, status, code, durationMs }) => {
      tally.add(method, route, status, durationMs / 1000);
      if (code !== null) errors.inc({ code });
    },
  );
  make.on<{ code: string }>(diagnostics.refused, ({ code }) => errors.inc({ code }));
}

/** Reads by feature and consumer, for whoever wants to know what is unused. */
export const FEATURE_READS = "onefold_feature_reads_total";
export const CONSUMER_VECTORS = "onefold_consumer_vectors_total";

export function addVectorMetrics(make: Instruments, { statusNames }: Pick<MonitoredHouse, "statusNames">): void {
  const tally = new VectorTally(ANSWER_SECONDS, statusNames.length);
  const usage = new UsageTally();
  make.on<Served>(diagnostics.served, ({ service, durationMs, statuses, isKept, plan, consumer }) => {
    tally.add(service, durationMs / 1000, statuses, isKept);
    usage.add(plan, consumer);
  });
  const byConsumer = "Feature vectors by who read them; the consumer is empty of those without a name";
  make.askedCounter(CONSUMER_VECTORS, byConsumer, ["service", "consumer"], () =>
    usage.services().map(({ service, consumer, vectors }) => [{ service, consumer }, vectors] as const),
  );
  const reads = "Reads of a feature by who read it; the consumer is empty of those without a name";
  make.askedCounter(FEATURE_READS, reads, ["view", "feature", "consumer"], () =>
    usage.features().map(({ view, feature, consumer, reads: count }) => [{ view, feature, consumer }, count] as const),
  );
  make.askedCounter("onefold_vectors_total", "Feature vectors read", ["service"], () =>
    Array.from(tally.durations.entries(), ([service, { count }]) => [{ service }, count]),
  );
  const kept = "Feature vectors answered as they were read before, unchanged since";
  make.askedCounter("onefold_vectors_kept_total", kept, ["service"], () =>
    Array.from(tally.durations.entries(), ([service]) => [{ service }, tally.kept(service)]),
  );
  const failing = "Failures of on-demand views, one a vector or output";
  const failures = make.counter("onefold_on_demand_errors_total", failing, ["view", "code"]);
  make.on<{ view: string; code: string }>(diagnostics.onDemandFailed, ({ view, code }) => failures.inc({ view, code }));
  make.askedCounter("onefold_feature_values_total", "Feature values read, by status", ["status"], () =>
    Array.from(tally.statuses.entries())
      .filter(([, count]) => count > 0)
      .map(([code, count]) => [{ status: statusNames[code]! }, count]),
  );
  make.tallied("onefold_vector_seconds", "Time to read a vector", "service", tally.durations);
}
