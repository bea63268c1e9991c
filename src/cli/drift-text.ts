/** A drift report for people. */
import type { DriftReport, DriftSide } from "../platform/monitoring/drift-desk.ts";
import { formatCount } from "./progress.ts";
import { formatTable } from "./table.ts";
import { timeText } from "./time-text.ts";

export function driftReportText(report: DriftReport): string {
  const { service, baseline, current, features, drifted, unmatched } = report;
  const lines = [
    `${service}: ${drifted} of ${features.length} features drifted`,
    `  baseline ${sideText(baseline)}`,
    `  current  ${sideText(current)}`,
  ];
  const rows = features.map(({ feature, judged, reason, missing, isDrifted, reference, current: now }) => [
    isDrifted ? "!" : "",
    feature,
    judged === null ? "-" : judged.measure,
    judged === null ? (reason ?? "-") : shortNumber(judged.value),
    judged === null ? "-" : shortNumber(judged.threshold),
    judged === null ? "-" : shortNumber(judged.effect.value),
    judged === null ? "-" : shortNumber(judged.test.pValue),
    `${percent(missing.reference)} to ${percent(missing.current)}${missing.isDrifted ? " !" : ""}`,
    `${formatCount(reference.count)} / ${formatCount(now.count)}`,
  ]);
  const header = ["", "feature", "measure", "value", "threshold", "effect", "p-value", "missing", "values"];
  lines.push(formatTable(header, rows));
  if (unmatched.length > 0) lines.push(`not on both sides: ${unmatched.join(", ")}`);
  return lines.join("\n");
}

function sideText({ source, isExact, window }: DriftSide): string {
  const times = [window.startMicros, window.endMicros].map((micros) =>
    Number.isFinite(micros) ? timeText(micros) : null,
  );
  const when = times[0] === null ? "" : `, ${times[0]} to ${times[1]}`;
  return `${source}: ${formatCount(window.vectors)} vectors${when}${isExact ? "" : ", sketched"}`;
}

function shortNumber(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 0.0001 && Math.abs(value) < 1e6
    ? String(Number(value.toPrecision(4)))
    : value.toExponential(2);
}

function percent(part: number): string {
  return `${Number((100 * part).toPrecision(3))}%`;
}
