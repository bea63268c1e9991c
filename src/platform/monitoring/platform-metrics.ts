/** The metrics of a platform: what they ask it for. */
import { STATUS_NAMES } from "../../fold/view-fold.ts";
import { Metrics } from "../../monitor/metrics/metrics.ts";
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

/** Null where the folder is another's, who keeps it. */
export function openUsage({ sources }: Owned, options: Omit<UsageKeeperOptions, "sources">): UsageKeeper {
  return new UsageKeeper({ ...options, sources: () => sources.gauges() });
}
