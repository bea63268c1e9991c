/**
 * The columns of `onefold features --by importance,drift,cost,usage` as text.
 */
import { InvalidArgumentError } from "commander";
import type { FeatureColumn, FeatureColumnName, NamedFeature } from "../platform/monitoring/feature-columns.ts";
import { FEATURE_COLUMNS } from "../platform/monitoring/feature-column-names.ts";
import { formatCount } from "./progress.ts";

/** `importance`, or several behind one another. */
export function parseColumns(text: string): readonly FeatureColumnName[] {
  const names = text.split(",");
  const known: readonly string[] = FEATURE_COLUMNS;
  if (names.every((name) => known.includes(name))) return names as FeatureColumnName[];
  throw new InvalidArgumentError(`Features are listed by ${known.join(", ")}.`);
}

export function cellOf({ name, of, json }: FeatureColumn, feature: NamedFeature): string {
  if (name === "usage") return usageText(json(feature) as Usage);
  const value = of(feature);
  if (value === null) return "-";
  const number = String(Number(value.toPrecision(4)));
  return name === "drift" && (json(feature) as { readonly drifting: boolean }).drifting
    ? `${number}, drifting`
    : number;
}

interface Usage {
  readonly reads: number;
  readonly last_read_on: string | null;
  readonly consumers: readonly { readonly consumer: string; readonly reads: number }[];
}

/** How often, when last, and the three that read it most. */
function usageText({ reads, last_read_on: lastReadOn, consumers }: Usage): string {
  if (lastReadOn === null) return "0";
  const shown = consumers.slice(0, 3).map((one) => `${one.consumer || "(unnamed)"} ${formatCount(one.reads)}`);
  const more = consumers.length > 3 ? [`${consumers.length - 3} more`] : [];
  return `${formatCount(reads)}, last ${lastReadOn}: ${[...shown, ...more].join(", ")}`;
}
