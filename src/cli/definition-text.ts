/** Features and promises as a person reads them: `mean(delay) over 1h where delay > 15`. */
import { formatDuration } from "../base/micros.ts";
import type { Freshness } from "../define/definition.ts";
import type { Aggregation } from "../define/aggregation-definition.ts";
import { expressionText } from "../define/expression-text.ts";
import { formatWindow } from "../define/window.ts";

export function formatAggregation(aggregation: Aggregation): string {
  const fn = aggregation.custom?.name ?? aggregation.fn;
  const over = aggregation.over === undefined ? "" : ` over ${formatWindow(aggregation.over)}`;
  const where = aggregation.where === undefined ? "" : ` where ${expressionText(aggregation.where)}`;
  const input = [...(aggregation.column === undefined ? [] : [aggregation.column]), ...formatParameters(aggregation)];
  return `${fn}(${input.join(", ")})${over}${where}`;
}

function formatParameters({ parameters }: Aggregation): string[] {
  const { k, q, halfLifeMicros, gapMicros, categories } = parameters ?? {};
  if (gapMicros !== undefined) return [`gap ${formatDuration(gapMicros)}`];
  if (halfLifeMicros !== undefined) return [`half-life ${formatDuration(halfLifeMicros)}`];
  if (categories !== undefined) return [`[${categories.map((one) => JSON.stringify(one)).join(", ")}]`];
  return [k, q].filter((one) => one !== undefined).map(String);
}

export function formatFreshness(freshness: Freshness): string {
  return typeof freshness === "number" ? formatDuration(freshness) : freshness;
}
