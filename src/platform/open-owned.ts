/** Opens what only the owner of a data folder has: its store, its sources, and what watches them. */
import { join } from "node:path";
import { openServingLog } from "../serve/serving-log.ts";
import { ShadowCounts } from "./experiments/shadow-counts.ts";
import { resumeForgetting } from "./forget/forget-entity.ts";
import { FreshnessWatch } from "./monitoring/freshness-watch.ts";
import { Monitoring } from "./monitoring/monitoring.ts";
import { openOwnedDrift } from "./monitoring/open-drift.ts";
import { openOwnedStore } from "./online/open-published.ts";
import type { PlatformOptions } from "./platform-options.ts";
import type { Owned } from "./platform-parts.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import { SourceRuntimes } from "./source-runtimes.ts";
import { keptVectorsBytesDefault } from "./state-memory.ts";
import { openTrainingJobs } from "./training-jobs/open-jobs.ts";

/** Share of the entities whose served vectors are kept for the audit, unless said otherwise. */
const SERVING_LOG_SAMPLE_RATE = 0.01;

/** `closers` gets what is to be closed, also where this throws. `jobsFolder` is that of the registry's files. */
export async function openOwned(
  options: PlatformOptions,
  context: RuntimeContext,
  { jobsFolder, closers }: { readonly jobsFolder: string; readonly closers: (() => Promise<void>)[] },
): Promise<Owned> {
  const { online, startPublishing, publishing, close } = await openOwnedStore(options, context);
  closers.push(close);
  const { servingLogSampleRate: sampleRate = SERVING_LOG_SAMPLE_RATE } = options;
  const drift = openOwnedDrift(context.dataDir, context.clock, options.driftSampleRate);
  closers.push(() => drift.recorder.close());
  closers.push(async () => drift.folded?.close());
  const servingLog = await openServingLog({ folder: join(context.dataDir, "serving-log"), sampleRate });
  closers.push(() => servingLog.close());
  await resumeForgetting(context, online);
  const sources = await SourceRuntimes.open(context, online, options.onProgress);
  closers.push(() => sources.close());
  startPublishing(sources);
  drift.folded?.follow((source, runner) => sources.freshness().get(source)?.runners.includes(runner) === true);
  const freshness = await FreshnessWatch.open(context, sources);
  closers.push(() => freshness.close());
  const training = await openTrainingJobs(context, sources, jobsFolder, options);
  if (training !== null) closers.push(() => training.close());
  const { keptVectorsBytes = keptVectorsBytesDefault() } = options;
  const monitoring = new Monitoring(context, { gauges: () => sources.gauges(), freshness, training }, options);
  closers.push(() => monitoring.close());
  const shadows = new ShadowCounts(context);
  closers.push(() => shadows.close());
  const kept = { servingLog, keptVectorsBytes, sampleRate, shadows };
  const parts = { online, publishing, sources, freshness, training, monitoring, drift };
  return { ...parts, ...kept, checks: options };
}
