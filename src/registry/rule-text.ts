/** A rule in a line: what it watches, and what it does. */
import { formatDuration } from "../base/micros.ts";
import type { RuleDefinition } from "../define/alert-definition.ts";

export function ruleText(rule: RuleDefinition): string {
  const { watches, bound, forMicros, windows, to } = rule;
  const { kinds, ...others } = watches;
  const repeat = rule.kind === "alert" ? rule.repeatMicros : undefined;
  const names = Object.values(others).flat();
  return [
    kinds.join(", "),
    ...(names.length === 0 ? [] : [`of ${names.join(", ")}`]),
    ...(bound === undefined ? [] : [`${bound.side} ${bound.value}`]),
    ...(forMicros === 0 ? [] : [`for ${formatDuration(forMicros)}`]),
    ...(windows === 1 ? [] : [`in ${windows} windows`]),
    rule.kind === "retrain" ? `trains ${rule.service}` : rule.severity,
    ...(to.length === 0 ? [] : [`to ${to.join(", ")}`]),
    ...(repeat === undefined ? [] : [`again every ${formatDuration(repeat)}`]),
    ...(rule.isOff === true ? ["(off)"] : []),
  ].join(" ");
}
