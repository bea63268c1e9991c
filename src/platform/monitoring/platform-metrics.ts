/** The metrics of a platform: what they ask it for. */
import { STATUS_NAMES } from "../../fold/view-fold.ts";
import { Metrics } from "../../monitor/metrics/metrics.ts";
import type { MetricValues } from "../../monitor/metrics/prometheus.ts";
import type { MonitoredHouse } from "../../monitor/metrics/monitored-house.ts";
import { onlineStoreBytes, storeBytes } from "../data-folder.ts";
import type { Owned } from "../platform-parts.ts";
import { UsageKeeper, type UsageKeeperOptions } from "./usage-keeper.ts";

type Asked = Pick<
  MonitoredHouse,
  "resp" | "unreadFits" | "registryUp" | "workers" | "alerts" | "expectations" | "skew"
>;

export function openMetrics(dataDir: string, owned: Owned | null, asked: Asked): Metrics {
  return new Metrics({
    ...asked,
    sources: () => owned?.sources.gauges() ?? [],
    freshness: () => owned?.freshness.measured() ?? null,
    publishing: () => owned?.publishing() ?? null,
    remoteStore: () => null,
    onlineStoreBytes: () => onlineStoreBytes(dataDir),
    storeBytes: () => storeBytes(dataDir),
    statusNames: STATUS_NAMES,
  });
}

interface UsageHouse {
  readonly context: Pick<UsageKeeperOptions, "dataDir" | "clock">;
  readonly workers: Pick<UsageKeeperOptions, "counted">;
  readonly closers: (() => Promise<void>)[];
}

/** Of the owner of a folder: where it is another's, that one keeps it. */
export function keepUsage({ sources, monitoring }: Owned, { context, workers, closers }: UsageHouse): void {
  const { dataDir, clock } = context;
  const counted = (): Promise<MetricValues> => workers.counted();
  const usage = new UsageKeeper({ dataDir, clock, counted, sources: () => sources.gauges() });
  monitoring.keepUsage = () => usage.keepNow();
  closers.push(() => usage.close());
}
