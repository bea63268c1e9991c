/**
 * What features can be listed by, each as a column of numbers: `onefold features --by importance,cost`.
 */
import { InvalidArgumentError } from "commander";
import type { Platform } from "../platform.ts";
import type { FeatureUsage, UsageSums } from "../platform/monitoring/usage-files.ts";
import { formatCount } from "./progress.ts";

export interface FeatureColumn {
  readonly name: string;
  /** Null where nothing is known of it. */
  of(feature: ListedFeature): number | null;
  /** In tables, where it is more than the number. */
  text?(feature: ListedFeature): string;
  /** With `--json`, likewise. */
  json?(feature: ListedFeature): unknown;
}

export interface ListedFeature {
  /** `name@version`. */
  readonly view: string;
  readonly feature: string;
}

export interface ColumnOptions {
  /** Days that are looked back upon, today among them. */
  readonly days: number;
}

type Column = Omit<FeatureColumn, "name">;

/** What each column is computed from, by its name. */
const COLUMNS: Readonly<Record<string, (platform: Platform, options: ColumnOptions) => Promise<Column>>> = {
  importance: async ({ dataDir, registry }) => {
    const { featureImportances } = await import("../platform/monitoring/feature-importance.ts");
    const importances = await featureImportances(dataDir, registry);
    return { of: ({ view, feature }) => importances.get(`${view}.${feature}`) ?? null };
  },
  // CPU seconds of its view.
  cost: async (platform, options) => {
    const usage = await usageOf(platform, options);
    return {
      of: ({ view }) => usage.view(view).cpuSeconds,
      json: ({ view }) => {
        const { cpuSeconds, eventsFolded, bytesWritten } = usage.view(view);
        return { view_cpu_seconds: cpuSeconds, view_events_folded: eventsFolded, view_bytes_written: bytesWritten };
      },
    };
  },
  usage: async (platform, options) => {
    const usage = await usageOf(platform, options);
    return {
      of: ({ view, feature }) => usage.feature(view, feature).reads,
      text: ({ view, feature }) => usageText(usage.feature(view, feature)),
      json: ({ view, feature }) => {
        const { reads, lastReadOn, consumers } = usage.feature(view, feature);
        return { reads, last_read_on: lastReadOn, consumers };
      },
    };
  },
};

async function usageOf({ dataDir, clock }: Platform, { days }: ColumnOptions): Promise<UsageSums> {
  const { firstDayOf, readUsageDays, sumDays } = await import("../platform/monitoring/usage-files.ts");
  return sumDays(await readUsageDays(dataDir, firstDayOf(days, clock.now())));
}

/** How often, when last, and the three that read it most. */
function usageText({ reads, lastReadOn, consumers }: FeatureUsage): string {
  if (lastReadOn === null) return "0";
  const shown = consumers.slice(0, 3).map((one) => `${one.consumer || "(unnamed)"} ${formatCount(one.reads)}`);
  const more = consumers.length > 3 ? [`${consumers.length - 3} more`] : [];
  return `${formatCount(reads)}, last ${lastReadOn}: ${[...shown, ...more].join(", ")}`;
}

/** `importance`, or several behind one another. */
export function parseColumns(text: string): readonly string[] {
  const names = text.split(",");
  const unknown = names.filter((name) => !Object.hasOwn(COLUMNS, name));
  if (unknown.length === 0) return names;
  throw new InvalidArgumentError(`Features are listed by ${Object.keys(COLUMNS).join(", ")}.`);
}

export function featureColumns(
  platform: Platform,
  names: readonly string[],
  options: ColumnOptions,
): Promise<FeatureColumn[]> {
  return Promise.all(names.map(async (name) => ({ name, ...(await COLUMNS[name]!(platform, options)) })));
}

/** The largest of the first column first, and of equal ones by the next; what is unknown last. */
export function sortedBy<T extends { readonly view: string; readonly feature: string }>(
  rows: readonly T[],
  columns: readonly FeatureColumn[],
): T[] {
  return rows.toSorted((a, b) => {
    for (const { of } of columns) {
      const [first, second] = [of(a) ?? Number.NEGATIVE_INFINITY, of(b) ?? Number.NEGATIVE_INFINITY];
      if (first !== second) return first < second ? 1 : -1;
    }
    return 0;
  });
}
