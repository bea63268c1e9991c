/**
 * Keeps, day by day, who read which feature and what each view cost: once a minute, and when the platform closes, it takes
 * what the counters of all its processes say.
 */
import type { Clock } from "../../base/clock.ts";
import type { SourceGauges } from "../../monitor/metrics/monitored-house.ts";
import type { MetricValues } from "../../monitor/metrics/prometheus.ts";
import { CONSUMER_VECTORS, FEATURE_READS } from "../../monitor/metrics/request-metrics.ts";
import { DayCount, dayOf } from "../../monitor/metrics/usage-days.ts";
import type { FeatureReads, ServiceReads } from "../../monitor/metrics/usage-tally.ts";
import { readUsageDay, writeUsageDay } from "./usage-files.ts";

const KEEP_MS = 60_000;

export interface UsageKeeperOptions {
  readonly dataDir: string;
  /** Who keeps it, of letters and digits; none of the folder's owner. */
  readonly writer?: string;
  readonly clock: Clock;
  /** What all processes that serve have counted together. */
  counted(): Promise<MetricValues>;
  sources(): readonly SourceGauges[];
}

export class UsageKeeper {
  readonly #options: UsageKeeperOptions;
  readonly #keeping: NodeJS.Timeout;
  #day: string;
  #count: DayCount | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: UsageKeeperOptions) {
    this.#options = options;
    this.#day = dayOf(options.clock.now());
    this.#keeping = setInterval(() => void this.keepNow(), KEEP_MS);
    this.#keeping.unref();
  }

  /** Also done once a minute. What cannot be written now is written the next time. */
  keepNow(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#keep()).catch(() => undefined);
    return this.#writing;
  }

  close(): Promise<void> {
    clearInterval(this.#keeping);
    return this.keepNow();
  }

  async #keep(): Promise<void> {
    const { dataDir, writer, clock, counted, sources } = this.#options;
    this.#count ??= new DayCount((await readUsageDay(dataDir, this.#day, writer)) ?? undefined);
    const views = sources().flatMap(({ views: each }) =>
      each.map(({ view, cost }) => ({
        view,
        cpuSeconds: cost.foldSeconds + cost.encodeSeconds,
        eventsFolded: cost.eventsFolded,
        bytesWritten: cost.bytesWritten,
      })),
    );
    // What came around midnight is of the day before.
    const values = await counted();
    this.#count.take({ reads: readsOf(values), views, services: servicesOf(values) });
    await this.#write();
    const today = dayOf(clock.now());
    if (today === this.#day) return;
    this.#day = today;
    // A clock that was set back comes to a day that was counted before.
    this.#count.begin((await readUsageDay(dataDir, today, writer)) ?? undefined);
  }

  async #write(): Promise<void> {
    const { dataDir, writer } = this.#options;
    const day = this.#count!.of(this.#day);
    if (day.reads.length > 0 || day.views.length > 0) await writeUsageDay(dataDir, day, writer);
  }
}

function servicesOf(values: MetricValues): ServiceReads[] {
  const metric = values.find(({ name }) => name === CONSUMER_VECTORS) as unknown as VectorsMetric | undefined;
  return (metric?.values ?? []).map(({ labels: { service, consumer }, value }) => ({
    service,
    consumer,
    vectors: value,
  }));
}

interface VectorsMetric {
  readonly values: readonly { readonly labels: Omit<ServiceReads, "vectors">; readonly value: number }[];
}

interface ReadsMetric {
  readonly values: readonly { readonly labels: Omit<FeatureReads, "reads">; readonly value: number }[];
}

function readsOf(values: MetricValues): FeatureReads[] {
  const metric = values.find(({ name }) => name === FEATURE_READS) as unknown as ReadsMetric | undefined;
  return (metric?.values ?? []).map(({ labels: { view, feature, consumer }, value }) => {
    return { view, feature, consumer, reads: value };
  });
}
