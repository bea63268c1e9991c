/** What leaking would have cost, as a table and examples for people. */
import type { Platform } from "../platform.ts";
import { formatCount } from "./progress.ts";
import { formatCell, formatShare, formatTable } from "./table.ts";

type LeakageReport = Awaited<ReturnType<Platform["explainLeakage"]>>;

export function leakageText(report: LeakageReport): string {
  const { rows, rowsChanged, features, out } = report;
  const changed = features.filter((feature) => feature.rowsChanged > 0);
  const lines = [
    `${formatCount(rowsChanged)} of ${formatCount(rows)} label rows (${formatShare(rowsChanged, rows)}) would be others with final knowledge, in ${changed.length} of ${features.length} features`,
    formatTable(
      ["feature", "rows changed", "share", "mean abs. difference", "with one value only"],
      features.map(({ name, rowsChanged: count, rowsWithOneValue, meanAbsoluteDifference }) => [
        name,
        formatCount(count),
        formatShare(count, rows),
        meanAbsoluteDifference === null ? "-" : String(Number(meanAbsoluteDifference.toPrecision(6))),
        formatCount(rowsWithOneValue),
      ]),
    ),
  ];
  const examples = changed.flatMap(({ name, examples: rowsOf }) =>
    rowsOf.map(({ row, time, keys, asKnown, final, asKnownStatus, finalStatus }) => [
      name,
      String(row),
      Object.entries(keys)
        .map(([entity, key]) => `${entity} ${key}`)
        .join(", "),
      time,
      cell(asKnown, asKnownStatus),
      cell(final, finalStatus),
    ]),
  );
  if (examples.length > 0)
    lines.push("", formatTable(["feature", "row", "entity", "label time", "as known", "final"], examples));
  if (out !== null) lines.push("", `${formatCount(rows)} rows as known: ${out}`);
  return lines.join("\n");
}

/** A null's status says more than a dash. */
function cell(value: unknown, status: string): string {
  return value === null ? status : formatCell(value);
}
