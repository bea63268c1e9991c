/**
 * What a process has counted and measured, metric by metric with a point for each set of labels: the same as the page has,
 * for whoever sends it elsewhere. Histograms have the counts of their buckets, each by itself, not those up to it.
 */
import type { MetricValues } from "./prometheus.ts";

export interface MeasuredMetric {
  readonly name: string;
  readonly help: string;
  /** As UCUM writes it: "s", "By", "1"; empty where the name says none. */
  readonly unit: string;
  readonly kind: "counter" | "gauge" | "histogram";
  /** Of counters and gauges. */
  readonly numbers: readonly MeasuredNumber[];
  readonly histograms: readonly MeasuredHistogram[];
}

export interface MeasuredNumber {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MeasuredHistogram {
  readonly labels: Readonly<Record<string, string>>;
  /** Upper bounds, each included; past the last one there is one more bucket. */
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** As the metrics library gives them. */
interface Given {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly {
    readonly metricName?: string;
    readonly labels: Readonly<Record<string, string | number>>;
    readonly value: number;
  }[];
}

export function measuredMetrics(values: MetricValues): MeasuredMetric[] {
  return (values as unknown as readonly Given[]).map((given): MeasuredMetric => {
    const { name, help, type } = given;
    const isHistogram = type === "histogram";
    return {
      name,
      help,
      unit: unitOf(name),
      kind: isHistogram ? "histogram" : type === "counter" ? "counter" : "gauge",
      numbers: isHistogram ? [] : given.values.map(({ labels, value }) => ({ labels: asTexts(labels), value })),
      histograms: isHistogram ? histogramsOf(given) : [],
    };
  });
}

function histogramsOf({ name, values }: Given): MeasuredHistogram[] {
  type Collected = {
    labels: Record<string, string>;
    upTo: [bound: number, total: number][];
    sum: number;
    count: number;
  };
  const byLabels = new Map<string, Collected>();
  for (const { metricName, labels, value } of values) {
    const { le, ...others } = labels;
    const texts = asTexts(others);
    const id = JSON.stringify(Object.entries(texts).toSorted());
    const of = byLabels.get(id) ?? { labels: texts, upTo: [], sum: 0, count: 0 };
    byLabels.set(id, of);
    if (metricName === `${name}_sum`) of.sum = value;
    else if (metricName === `${name}_count`) of.count = value;
    else of.upTo.push([le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le), value]);
  }
  return Array.from(byLabels.values(), ({ labels, upTo, sum, count }) => {
    const inOrder = upTo.toSorted(([a], [b]) => a - b);
    const counts = inOrder.map(([, total], i) => total - (inOrder[i - 1]?.[1] ?? 0));
    const bounds = inOrder.map(([bound]) => bound).filter(Number.isFinite);
    return { labels, bounds, counts, sum, count };
  });
}

function asTexts(labels: Readonly<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}

function unitOf(name: string): string {
  const [, unit = ""] = /_(seconds|bytes|ratio)(?:_total)?$/.exec(name) ?? [];
  return { seconds: "s", bytes: "By", ratio: "1" }[unit] ?? "";
}
