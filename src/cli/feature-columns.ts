/**
 * What features can be listed by, each as a column of numbers: `onefold features --by importance`.
 */
import { InvalidArgumentError } from "commander";
import type { Platform } from "../platform.ts";

export interface FeatureColumn {
  readonly name: string;
  /** Null where nothing is known of it. */
  of(feature: { readonly view: string; readonly feature: string }): number | null;
}

/** What each column is computed from, by its name. */
const COLUMNS: Readonly<Record<string, (platform: Platform) => Promise<FeatureColumn["of"]>>> = {
  importance: async ({ dataDir, registry }) => {
    const { featureImportances } = await import("../platform/monitoring/feature-importance.ts");
    const importances = await featureImportances(dataDir, registry);
    return ({ view, feature }) => importances.get(`${view}.${feature}`) ?? null;
  },
};

/** `importance`, or several behind one another. */
export function parseColumns(text: string): readonly string[] {
  const names = text.split(",");
  const unknown = names.filter((name) => !Object.hasOwn(COLUMNS, name));
  if (unknown.length === 0) return names;
  throw new InvalidArgumentError(`Features are listed by ${Object.keys(COLUMNS).join(", ")}.`);
}

export function featureColumns(platform: Platform, names: readonly string[]): Promise<FeatureColumn[]> {
  return Promise.all(names.map(async (name) => ({ name, of: await COLUMNS[name]!(platform) })));
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
