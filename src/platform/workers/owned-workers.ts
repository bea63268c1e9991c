/** The workers of a platform: what they get of its owner. */
import type { Clock } from "../../base/clock.ts";
import type { Metrics } from "../../monitor/metrics/metrics.ts";
import type { ServePorts } from "../../serve/ports.ts";
import { desksOf } from "../monitoring/monitoring.ts";
import type { Owned } from "../platform-parts.ts";
import { Workers } from "./worker-server.ts";

export interface OwnedWorkersOptions {
  readonly dataDir: string;
  readonly registryFolder: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** The owner's. */
  readonly ports: ServePorts;
}

export function openWorkers(
  { online, sources, training, monitoring, sampleRate, drift }: Owned,
  options: OwnedWorkersOptions,
): Workers {
  const { ports, ...given } = options;
  return new Workers({
    ...given,
    servingLogSampleRate: sampleRate,
    driftSampleRate: drift.rate,
    keepDrift: (windows) => drift.keep(windows),
    push: ports.push,
    correct: ports.correct!,
    readiness: ports.readiness,
    freshness: ports.freshness!,
    training,
    monitoring: desksOf(monitoring),
    flushedViews: () => sources.flushedViews(),
    staleViews: () => sources.stale.active,
    releaseDeadReaders: () => online.releaseDeadReaders(),
  });
}
