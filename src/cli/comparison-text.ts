/** A shadow held against what was served, for people: a table of features for each version that was served. */
import type { LatencySummary, ShownComparison, ShownComparisons } from "../platform/experiments/experiment-output.ts";
import { formatTable } from "./table.ts";

export function comparisonsText({ experiment, shadow, comparisons }: ShownComparisons): string {
  if (comparisons.length === 0)
    return `nothing was compared yet: ${shadow} is computed beside answers of ${experiment}`;
  return (comparisons as readonly ShownComparison[]).map(comparisonText).join("\n\n");
}

export function percent(share: number): string {
  return `${Math.round(share * 1e6) / 1e4}%`;
}

function comparisonText(comparison: ShownComparison): string {
  const { served, shadow, since, compared, dropped, failed, latency, features } = comparison;
  const failures = Object.entries(failed).map(([code, count]) => `${count} failed with ${code}`);
  const rows = features.map((one) => [
    one.feature,
    percent((one.mismatched + one.only_in_shadow + one.only_served) / one.compared),
    one.differences === null ? "-" : String(one.differences.mean),
    one.drift.value === null ? (one.drift.reason ?? "-") : `${one.drift.measure} ${short(one.drift.value)}`,
    one.drift.drifted ? "yes" : "no",
    `${one.served_micros} -> ${one.shadow_micros}`,
  ]);
  const alone = [
    ...comparison.served_alone.map(({ feature, micros }) => [feature, `only in ${served}`, "-", "-", "-", `${micros}`]),
    ...comparison.shadow_alone.map(({ feature, micros }) => [feature, `only in ${shadow}`, "-", "-", "-", `${micros}`]),
  ];
  return [
    `${shadow} beside ${served}, since ${since}: ${compared} answers compared, ${dropped} passed over`,
    ...failures,
    ...(latency === null ? [] : [`a vector takes ${latencyText(latency.served)} -> ${latencyText(latency.shadow)}`]),
    formatTable(["feature", "differs", "mean difference", "drift", "drifted", "micros a value"], [...rows, ...alone]),
  ].join("\n");
}

function latencyText({ p50_micros, p99_micros }: LatencySummary): string {
  return `${p50_micros} us (p99 ${p99_micros})`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
