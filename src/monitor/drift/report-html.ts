/**
 * Drift reports as one HTML page with plots, that needs no server, no script and no other file.
 */
import { formatMicros, type Micros } from "../../base/micros.ts";
import { BASELINE_COLOUR, CURRENT_COLOUR, distributionSvg } from "./distribution-plot.ts";
import type { DriftReport, DriftSide, ReportedFeature } from "./drift-report.ts";
import { standardDeviation } from "./numeric-profile.ts";
import type { Profile } from "./profile.ts";

const STYLE = `
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2330; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.5rem 0 0; } h3 { font-size: 1rem; margin: 0 0 .3rem; }
table { border-collapse: collapse; width: 100%; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e2e5ea; }
th { font-weight: 600; color: #59617a; } td.number, th.number { text-align: right; }
.side { color: #59617a; margin: .2rem 0; } .feature { border-top: 2px solid #e2e5ea; padding: 1rem 0; }
.drifted { color: #a02337; font-weight: 600; } .quiet { color: #59617a; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .3em 0 .8em; }
svg { max-width: 100%; height: auto; }
`;

export function reportsToHtml(reports: readonly DriftReport[]): string {
  const title = `Drift of ${reports.map(({ service }) => service).join(", ")}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
${reports.map(reportHtml).join("\n")}
</body>
</html>
`;
}

function reportHtml(report: DriftReport): string {
  const { service, createdMicros, baseline, current, features, drifted, unmatched } = report;
  const inOrder = features.toSorted((a, b) => Number(b.isDrifted) - Number(a.isDrifted));
  const others =
    unmatched.length === 0 ? "" : `<p class="quiet">Not on both sides: ${escaped(unmatched.join(", "))}</p>`;
  return `<section>
<h2>${escaped(service)}: <span class="${drifted > 0 ? "drifted" : "quiet"}">${drifted} of ${features.length} features drifted</span></h2>
<p class="side">as of ${formatMicros(createdMicros as Micros)}</p>
<p class="side">${swatch(BASELINE_COLOUR)}baseline: ${sideHtml(baseline)}</p>
<p class="side">${swatch(CURRENT_COLOUR)}current: ${sideHtml(current)}</p>
<table>
<tr><th>feature</th><th>measure</th><th class="number">value</th><th class="number">threshold</th><th class="number">effect</th><th class="number">p-value</th><th class="number">missing</th><th class="number">values</th><th></th></tr>
${inOrder.map(rowHtml).join("\n")}
</table>
${others}
${inOrder.map(featureHtml).join("\n")}
</section>`;
}

function sideHtml({ source, isExact, window }: DriftSide): string {
  const times = [window.startMicros, window.endMicros];
  const when = times.every(Number.isFinite) ? times.map((time) => formatMicros(time as Micros)).join(" to ") : null;
  const vectors = `${window.vectors.toLocaleString("en")} vectors`;
  return [escaped(source), vectors, when, isExact ? "counted one by one" : "sketched"]
    .filter((part) => part !== null)
    .join(", ");
}

function rowHtml(drift: ReportedFeature): string {
  const { feature, judged, reason, missing, isDrifted, reference, current } = drift;
  const cells = [
    `<td>${escaped(feature)}</td>`,
    `<td>${escaped(judged?.measure ?? reason ?? "")}</td>`,
    ...[judged?.value, judged?.threshold, judged?.effect.value, judged?.test.pValue].map(numberCell),
    `<td class="number">${percent(missing.reference)} → ${percent(missing.current)}</td>`,
    `<td class="number">${reference.count.toLocaleString("en")} / ${current.count.toLocaleString("en")}</td>`,
    `<td class="drifted">${isDrifted ? "drifted" : ""}</td>`,
  ];
  return `<tr>${cells.join("")}</tr>`;
}

function featureHtml(drift: ReportedFeature): string {
  const { feature, view, judged, reason, missing, isDrifted, cells, reference, current } = drift;
  const said: string[] = [];
  if (judged !== null) {
    const bounds = judged.low === judged.high || judged.low === null || judged.high === null;
    const within = bounds ? "" : ` (between ${short(judged.low!)} and ${short(judged.high!)})`;
    said.push(`${judged.measure} ${short(judged.value)}${within}, threshold ${short(judged.threshold)}`);
    said.push(`effect: ${judged.effect.measure} ${short(judged.effect.value)}`);
    said.push(`${judged.test.name} test: p ${short(judged.test.pValue)} (${judged.test.method})`);
  } else if (reason !== null) said.push(reason);
  if (missing.isDrifted) said.push(`missing values: p ${short(missing.pValue)}, Cohen's h ${short(missing.effect)}`);
  return `<div class="feature">
<h3>${escaped(feature)} <span class="quiet">${escaped(view)}</span>${isDrifted ? ' <span class="drifted">drifted</span>' : ""}</h3>
<p class="side">${escaped(said.join("; "))}</p>
${cells === null ? "" : distributionSvg(cells)}
<p class="side">baseline: ${escaped(summary(reference))}<br>current: ${escaped(summary(current))}</p>
</div>`;
}

function summary(profile: Profile): string {
  const there = `${profile.count.toLocaleString("en")} values, ${profile.missing.toLocaleString("en")} missing`;
  if (profile.kind !== "numeric" || profile.count === 0) return there;
  const { mean, min, max } = profile;
  return `${there}, mean ${short(mean)}, standard deviation ${short(standardDeviation(profile))}, ${short(min)} to ${short(max)}`;
}

function numberCell(value: number | undefined): string {
  return `<td class="number">${value === undefined ? "" : short(value)}</td>`;
}

function short(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size >= 0.0001 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

function percent(part: number): string {
  return `${Number((100 * part).toPrecision(3))}%`;
}

function swatch(colour: string): string {
  return `<span class="swatch" style="background:${colour}"></span>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
