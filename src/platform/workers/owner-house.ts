/** What the workers of a platform get of it. */
import type { Clock } from "../../base/clock.ts";
import type { Metrics } from "../../monitor/metrics/metrics.ts";
import type { ServePorts } from "../../serve/ports.ts";
import { desksOf } from "../monitoring/monitoring.ts";
import type { Owned } from "../platform-parts.ts";
import { Workers } from "./worker-server.ts";

interface Owner {
  readonly dataDir: string;
  readonly registryFolder: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly ports: ServePorts;
}

export function openWorkers(
  owner: Owner,
  { online, sources, training, monitoring, sampleRate, drift }: Owned,
): Workers {
  const { dataDir, registryFolder, clock, metrics, ports } = owner;
  return new Workers({
    dataDir,
    registryFolder,
    clock,
    servingLogSampleRate: sampleRate,
    driftSampleRate: drift.rate,
    keepDrift: (windows) => drift.keep(windows),
    monitoring: desksOf(monitoring),
    push: ports.push,
    correct: (source, corrections) => ports.correct!(source, corrections),
    readiness: ports.readiness,
    metrics,
    training,
    flushedViews: () => sources.flushedViews(),
    releaseDeadReaders: () => online.releaseDeadReaders(),
  });
}
