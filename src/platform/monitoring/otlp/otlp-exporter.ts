/**
 * Sends metrics over OTLP with OpenTelemetry's own exporter: the one file that knows it. What is sent is asked of the house
 * each time, as at a scrape; nothing is counted a second time for it.
 */
import { ValueType } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  MeterProvider,
  type MetricData,
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from "@opentelemetry/sdk-metrics";
import type { Micros } from "../../../base/micros.ts";
import type { MeasuredMetric } from "../../../monitor/metrics/measured-metrics.ts";

export interface OtlpSink {
  /** Where metrics are posted to, path and all. */
  readonly url: string;
  readonly everyMs: number;
  /** Attributes of whoever measures, as `service.name`. */
  readonly resource: Readonly<Record<string, string>>;
  /** Since when counters count. */
  readonly startedAt: Micros;
  now(): Micros;
  measured(): Promise<readonly MeasuredMetric[]>;
  /** Told of each time that sending did not succeed, and with null of the first that did again. */
  onOutcome(error: Error | null): void;
}

export interface OpenedExport {
  /** Sends once more, and ends. Never rejects. */
  close(): Promise<void>;
}

type HrTime = [seconds: number, nanos: number];

export function openExporter(sink: OtlpSink): OpenedExport {
  const resource = resourceFromAttributes(sink.resource);
  const producer: MetricProducer = {
    collect: async (): Promise<CollectionResult> => {
      const startTime = hrTime(sink.startedAt);
      const endTime = hrTime(sink.now());
      const metrics = (await sink.measured()).flatMap((one) => metricData(one, startTime, endTime));
      const scope = { name: "onefold" };
      return { resourceMetrics: { resource, scopeMetrics: [{ scope, metrics }] }, errors: [] };
    },
  };
  const reader = new PeriodicExportingMetricReader({
    exporter: watched(new OTLPMetricExporter({ url: sink.url }), sink.onOutcome),
    exportIntervalMillis: sink.everyMs,
    exportTimeoutMillis: Math.min(sink.everyMs, 10_000),
    metricProducers: [producer],
  });
  const provider = new MeterProvider({ resource, readers: [reader] });
  return {
    close: async () => {
      await provider.shutdown().catch(() => undefined);
    },
  };
}

/** Whoever asked for it is told what becomes of it; the library tells nobody. */
function watched(exporter: OTLPMetricExporter, onOutcome: OtlpSink["onOutcome"]): PushMetricExporter {
  const send = exporter.export.bind(exporter);
  exporter.export = (metrics, done) => {
    send(metrics, (result) => {
      onOutcome(result.code === 0 ? null : (result.error ?? new Error("the metrics were not taken")));
      done(result);
    });
  };
  return exporter;
}

function metricData(
  { name, help, unit, kind, numbers, histograms }: MeasuredMetric,
  startTime: HrTime,
  endTime: HrTime,
) {
  const descriptor = { name, description: help, unit, valueType: ValueType.DOUBLE };
  const aggregationTemporality = AggregationTemporality.CUMULATIVE;
  const points = numbers.map(({ labels, value }) => ({ startTime, endTime, attributes: labels, value }));
  const one = ((): MetricData => {
    switch (kind) {
      case "histogram": {
        const dataPoints = histograms.map(({ labels, bounds, counts, sum, count }) => {
          const value = { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count };
          return { startTime, endTime, attributes: labels, value };
        });
        return { descriptor, aggregationTemporality, dataPointType: DataPointType.HISTOGRAM, dataPoints };
      }
      case "counter": {
        const dataPointType = DataPointType.SUM;
        return { descriptor, aggregationTemporality, dataPointType, dataPoints: points, isMonotonic: true };
      }
      default:
        return { descriptor, aggregationTemporality, dataPointType: DataPointType.GAUGE, dataPoints: points };
    }
  })();
  return one.dataPoints.length === 0 ? [] : [one];
}

function hrTime(micros: number): HrTime {
  const seconds = Math.floor(micros / 1e6);
  return [seconds, Math.round((micros - seconds * 1e6) * 1000)];
}
