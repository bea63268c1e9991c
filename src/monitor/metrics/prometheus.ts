/**
 * What metrics are made with: the one file that knows the metrics library.
 *
 * Counters and histograms listen to what the house publishes (`base/diagnostics.ts`), from `start` to `stop`; what is
 * asked for is asked when someone scrapes.
 */
import type { Channel } from "node:diagnostics_channel";
import { AggregatorRegistry, Counter, Gauge, Histogram, type PrometheusContentType, Registry } from "prom-client";
import { type DurationTally, histogramLines } from "./duration-tally.ts";

export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** What one process has counted and measured: plain data, to be sent to another that sums. */
export type MetricValues = readonly MetricValue[];
export interface MetricValue {
  readonly name: string;
  /** "counter", "gauge" or "histogram". */
  readonly type: unknown;
}

export type Labels = Readonly<Record<string, string>>;
/** One line each. */
export type Asked = Iterable<readonly [labels: Labels, value: number]>;

export class Instruments {
  readonly #registry = new Registry();
  readonly #subscriptions: { readonly channel: Channel; readonly listener: (message: unknown) => void }[] = [];
  #listening = false;

  /** Listens from now on; a second call does nothing. */
  start(): void {
    if (this.#listening) return;
    this.#listening = true;
    for (const { channel, listener } of this.#subscriptions) channel.subscribe(listener);
  }

  stop(): void {
    this.#listening = false;
    for (const { channel, listener } of this.#subscriptions) channel.unsubscribe(listener);
  }

  async page(): Promise<MetricsPage> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  async values(): Promise<MetricValues> {
    return (await this.#registry.getMetricsAsJSON()) as unknown as MetricValues;
  }

  on<Message>(channel: Channel, listener: (message: Message) => void): void {
    this.#subscriptions.push({ channel, listener: (message) => listener(message as Message) });
  }

  counter(name: string, help: string, labelNames: string[], collect?: () => void): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry], ...(collect && { collect }) });
  }

  gauge(name: string, help: string, labelNames: string[], collect?: () => void | Promise<void>): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry], ...(collect && { collect }) });
  }

  histogram(name: string, help: string, labelNames: string[], buckets: number[]): Histogram {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.#registry] });
  }

  /** A counter whose lines are what is asked at each scrape; without any, it has none. */
  askedCounter(name: string, help: string, labelNames: string[], ask: () => Asked): void {
    const counter: Counter = this.counter(name, help, labelNames, () => {
      counter.reset();
      if (labelNames.length === 0) counter.remove();
      for (const [labels, value] of ask()) counter.inc({ ...labels }, value);
    });
  }

  /** The same as a gauge. */
  askedGauge(name: string, help: string, labelNames: string[], ask: () => Asked | Promise<Asked>): void {
    const gauge: Gauge = this.gauge(name, help, labelNames, async () => {
      const asked = await ask();
      gauge.reset();
      if (labelNames.length === 0) gauge.remove();
      for (const [labels, value] of asked) gauge.set({ ...labels }, value);
    });
  }

  /** The registry asks any metric for its lines; this one's are counted by a tally. */
  tallied(name: string, help: string, label: string, tally: DurationTally): void {
    const described = { name, help, type: "histogram", aggregator: "sum" };
    const metric = { ...described, get: async () => ({ ...described, values: histogramLines(name, label, tally) }) };
    this.#registry.registerMetric(metric as unknown as Histogram);
  }
}

/** One page of the sums over several processes. */
export async function sumPage(processes: readonly MetricValues[]): Promise<MetricsPage> {
  const sums = AggregatorRegistry.aggregate<PrometheusContentType>([...processes]);
  return { contentType: sums.contentType, text: await sums.metrics() };
}

/** What several processes have counted and measured together. */
export async function sumValues(processes: readonly MetricValues[]): Promise<MetricValues> {
  return (await AggregatorRegistry.aggregate([...processes]).getMetricsAsJSON()) as unknown as MetricValues;
}

/** What several processes have counted together, without what was only measured: for when they are gone. */
export async function sumCounted(processes: readonly MetricValues[]): Promise<MetricValues> {
  const sums = await sumValues(processes);
  return sums.filter(({ type }) => type !== "gauge");
}
