/**
 * What features can be listed by, each as a column of numbers, and which of them alone: the important ones that drift, those
 * that cost and are of no use.
 */
import type { Clock } from "../../base/clock.ts";
import type { Registry } from "../../registry/registry.ts";
import type { FeatureColumnName, FeaturesAsked, FeatureSelection } from "../../serve/feature-list-desk.ts";
import type { DriftDesk } from "./drift-desk.ts";
import { firstDayOf, readUsageDays, sumDays, type UsageSums } from "./usage-files.ts";

export type { FeatureColumnName, FeatureSelection } from "../../serve/feature-list-desk.ts";

export interface FeatureHouse {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly drift: Pick<DriftDesk, "services" | "report">;
}

export interface NamedFeature {
  /** `name@version`. */
  readonly view: string;
  readonly feature: string;
}

export interface FeatureColumn {
  readonly name: FeatureColumnName;
  /** Null where nothing is known of it. */
  of(feature: NamedFeature): number | null;
  json(feature: NamedFeature): unknown;
}

export interface ArrangedFeatures<T> {
  readonly columns: readonly FeatureColumn[];
  readonly rows: readonly T[];
}

export const DAYS = 30;
/** A smaller share of what any model reported is of no use. */
export const IMPORTANCE_MIN = 0.01;

/** Columns where none is asked for: what the selection is about, and what it is best listed by. */
const COLUMNS_OF: Readonly<Record<FeatureSelection, readonly FeatureColumnName[]>> = {
  drifting: ["importance", "drift"],
  useless: ["cost", "usage", "importance"],
  unused: [],
};

/** What a selection looks at. */
const LOOKED_AT: Readonly<Record<FeatureSelection, readonly FeatureColumnName[]>> = {
  drifting: ["drift"],
  useless: ["usage", "importance"],
  unused: ["usage"],
};

/** Those that are selected, the largest of the first column first. */
export async function arrangeFeatures<T extends NamedFeature>(
  house: FeatureHouse,
  rows: readonly T[],
  { by, only, days = DAYS }: Pick<FeaturesAsked, "by" | "only" | "days">,
): Promise<ArrangedFeatures<T>> {
  const shown = by ?? (only === undefined ? [] : COLUMNS_OF[only]);
  const wanted = [...new Set([...shown, ...(only === undefined ? [] : LOOKED_AT[only])])];
  const loaded = new Map<FeatureColumnName, LoadedColumn>();
  const usage = wanted.some((name) => name === "cost" || name === "usage") ? await usageOf(house, days) : null;
  for (const name of wanted) loaded.set(name, await COLUMNS[name](house, usage));
  const columns = shown.map((name) => ({ name, ...loaded.get(name)! }));
  const selected = only === undefined ? rows : rows.filter((row) => isSelected[only](row, loaded));
  return { columns, rows: sortedBy(selected, columns) };
}

interface LoadedColumn {
  of(feature: NamedFeature): number | null;
  json(feature: NamedFeature): unknown;
  /** Of drift alone. */
  isDrifting?(feature: NamedFeature): boolean;
}

type Loaded = ReadonlyMap<FeatureColumnName, LoadedColumn>;

const isSelected: Readonly<Record<FeatureSelection, (feature: NamedFeature, loaded: Loaded) => boolean>> = {
  drifting: (feature, loaded) => loaded.get("drift")!.isDrifting!(feature),
  useless: (feature, loaded) => {
    const importance = loaded.get("importance")!.of(feature);
    return loaded.get("usage")!.of(feature) === 0 || (importance !== null && importance < IMPORTANCE_MIN);
  },
  unused: (feature, loaded) => loaded.get("usage")!.of(feature) === 0,
};

const COLUMNS: Readonly<
  Record<FeatureColumnName, (house: FeatureHouse, usage: UsageSums | null) => Promise<LoadedColumn>>
> = {
  importance: async ({ dataDir, registry }) => {
    const { featureImportances } = await import("./feature-importance.ts");
    const importances = await featureImportances(dataDir, registry);
    const of = ({ view, feature }: NamedFeature): number | null => importances.get(`${view}.${feature}`) ?? null;
    return { of, json: of };
  },
  drift: async ({ drift, registry }) => {
    const { featureDrifts } = await import("./feature-drifts.ts");
    const drifts = await featureDrifts(drift, registry);
    const figureOf = ({ view, feature }: NamedFeature) => drifts.get(`${view}.${feature}`) ?? null;
    return {
      of: (feature) => figureOf(feature)?.effect ?? null,
      isDrifting: (feature) => figureOf(feature)?.isDrifting ?? false,
      json: (feature) => {
        const figure = figureOf(feature);
        if (figure === null) return null;
        const { isDrifting, missingBefore, missingNow, ...same } = figure;
        return { ...same, drifting: isDrifting, missing_before: missingBefore, missing_now: missingNow };
      },
    };
  },
  // CPU seconds of its view.
  cost: async (_house, usage) => ({
    of: ({ view }) => usage!.view(view).cpuSeconds,
    json: ({ view }) => {
      const { cpuSeconds, eventsFolded, bytesWritten } = usage!.view(view);
      return { view_cpu_seconds: cpuSeconds, view_events_folded: eventsFolded, view_bytes_written: bytesWritten };
    },
  }),
  usage: async (_house, usage) => ({
    of: ({ view, feature }) => usage!.feature(view, feature).reads,
    json: ({ view, feature }) => {
      const { reads, lastReadOn, consumers } = usage!.feature(view, feature);
      return { reads, last_read_on: lastReadOn, consumers };
    },
  }),
};

async function usageOf({ dataDir, clock }: FeatureHouse, days: number): Promise<UsageSums> {
  return sumDays(await readUsageDays(dataDir, firstDayOf(days, clock.now())));
}

/** The largest of the first column first, and of equal ones by the next; what is unknown last. */
function sortedBy<T extends NamedFeature>(rows: readonly T[], columns: readonly FeatureColumn[]): readonly T[] {
  return rows.toSorted((a, b) => {
    for (const { of } of columns) {
      const [first, second] = [of(a) ?? Number.NEGATIVE_INFINITY, of(b) ?? Number.NEGATIVE_INFINITY];
      if (first !== second) return first < second ? 1 : -1;
    }
    return 0;
  });
}
