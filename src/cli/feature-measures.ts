/**
 * What features can be listed by, beside what they are: `onefold features --by cost,usage`. Each measure loads what it needs
 * once, and then says of each feature how it ranks and what is shown. More of them are more entries of the table.
 */
import type { Clock } from "../base/clock.ts";
import {
  type FeatureUsage,
  firstDayOf,
  readUsageDays,
  sumDays,
  type UsageSums,
} from "../platform/monitoring/usage-files.ts";
import { formatCount } from "./progress.ts";

export interface MeasureContext {
  readonly dataDir: string;
  readonly clock: Clock;
  /** Days that are looked back upon, today among them. */
  readonly days: number;
}

export interface MeasuredFeature {
  /** The larger, the earlier in the list. */
  readonly rank: number;
  readonly cells: readonly string[];
  readonly json: Readonly<Record<string, unknown>>;
}

export interface FeatureMeasure {
  readonly headings: readonly string[];
  /** `view` is `name@version`. */
  load(context: MeasureContext): Promise<(view: string, feature: string) => MeasuredFeature>;
}

const cost: FeatureMeasure = {
  headings: ["view's CPU s", "view's events", "view's bytes written"],
  load: async (context) => {
    const usage = await loadUsage(context);
    return (view) => {
      const { cpuSeconds, eventsFolded, bytesWritten } = usage.view(view);
      return {
        rank: cpuSeconds,
        cells: [cpuSeconds.toFixed(1), formatCount(eventsFolded), formatCount(bytesWritten)],
        json: { view_cost: { cpu_seconds: cpuSeconds, events_folded: eventsFolded, bytes_written: bytesWritten } },
      };
    };
  },
};

const usage: FeatureMeasure = {
  headings: ["reads", "last read", "consumers"],
  load: async (context) => {
    const sums = await loadUsage(context);
    return (view, feature) => {
      const used = sums.feature(view, feature);
      const { reads, lastReadOn, consumers } = used;
      return {
        rank: reads,
        cells: [formatCount(reads), lastReadOn ?? "never", consumersText(used)],
        json: { usage: { reads, last_read_on: lastReadOn, consumers } },
      };
    };
  },
};

export const FEATURE_MEASURES: Readonly<Record<string, FeatureMeasure>> = { cost, usage };

async function loadUsage({ dataDir, clock, days }: MeasureContext): Promise<UsageSums> {
  return sumDays(await readUsageDays(dataDir, firstDayOf(days, clock.now())));
}

/** The three that read it most. */
function consumersText({ consumers }: FeatureUsage): string {
  const shown = consumers.slice(0, 3).map(({ consumer, reads }) => `${consumer || "(unnamed)"} ${formatCount(reads)}`);
  const more = consumers.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(", ") || "-";
}
