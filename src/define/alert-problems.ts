/**
 * What contradicts itself in a rule, whether the DSL wrote it or another language did.
 */
import { formatDuration } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { AlertDefinition, RuleDefinition, WatchedKind } from "./alert-definition.ts";
import { nameProblems } from "./names.ts";

export const WATCHED_KINDS: readonly WatchedKind[] = [
  "pipeline-age",
  "source-silence",
  "entity-age",
  "expectation",
  "drift",
  "missing-drift",
  "folded-drift",
  "folded-missing-drift",
  "skew",
  "signal-source",
];

/** Measured over a window of values, so that chance alone moves it. */
export function isStatistical(kind: WatchedKind): boolean {
  return kind.endsWith("drift");
}

const WINDOWS_MAX = 100;

/** A sentence for each contradiction; empty when there is none. */
export function ruleProblems(rule: RuleDefinition): string[] {
  const { watches, bound, windows, samplesMin, falseDiscoveryRate, to } = rule;
  return [
    ...nameProblems("its name", rule.name),
    ...(watches.kinds.length === 0 ? [`on is missing: give one or more of ${WATCHED_KINDS.join(", ")}`] : []),
    ...watches.kinds.flatMap(kindProblems),
    ...(bound !== undefined && !Number.isFinite(bound.value) ? [`${bound.side} is no finite number`] : []),
    ...(isWhole(windows, 1, WINDOWS_MAX) ? [] : [`windows is no whole number from 1 to ${WINDOWS_MAX}`]),
    ...(isWhole(samplesMin, 0, Number.MAX_SAFE_INTEGER) ? [] : ["samplesMin is no whole number from 0"]),
    ...(falseDiscoveryRate > 0 && falseDiscoveryRate <= 1
      ? []
      : ["falseDiscoveryRate is no number above 0 and up to 1"]),
    ...(new Set(to).size < to.length ? ["to names a destination twice"] : []),
    ...(rule.kind === "retrain" ? retrainProblems(rule) : alertProblems(rule)),
  ];
}

function alertProblems({ severity, repeatMicros, cooldownMicros, to }: AlertDefinition): string[] {
  return [
    ...(["info", "warning", "critical"].includes(severity)
      ? []
      : [`severity ${JSON.stringify(severity)} is none of info, warning, critical`]),
    ...(repeatMicros === undefined ? [] : repeatProblems(repeatMicros, cooldownMicros, to)),
  ];
}

/** A repeat is a notice that something fires, so the cool-down holds for it, too. */
function repeatProblems(repeatMicros: number, cooldownMicros: number, to: readonly string[]): string[] {
  return [
    ...(repeatMicros > 0 ? [] : ["repeat is no time: leave it out to be told once"]),
    ...(repeatMicros < cooldownMicros
      ? [`repeat is shorter than cooldown, ${formatDuration(cooldownMicros)}: make cooldown as short`]
      : []),
    ...(to.length === 0 ? ["repeat needs to: nobody is told again"] : []),
  ];
}

function retrainProblems({ labels, boundary, to }: RuleDefinition & { readonly kind: "retrain" }): string[] {
  return [
    ...(to.length === 0 ? ["to is missing: give the webhook that trains the model"] : []),
    ...(["inclusive", "exclusive"].includes(boundary) ? [] : ["boundary is none of inclusive, exclusive"]),
    ...(labels.kind === "ticks" && labels.rangeMicros < labels.everyMicros
      ? ["labels: range is shorter than every, so there may be no tick"]
      : []),
  ];
}

function kindProblems(kind: string): string[] {
  if ((WATCHED_KINDS as readonly string[]).includes(kind)) return [];
  const near = nearestNames(kind, WATCHED_KINDS);
  const meant = near.length === 0 ? `it is one of ${WATCHED_KINDS.join(", ")}` : `did you mean ${near.join(" or ")}?`;
  return [`on: there is no ${JSON.stringify(kind)}: ${meant}`];
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}
