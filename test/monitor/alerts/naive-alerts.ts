/**
 * Alerts by their definition, slowly: everything that was ever reported is kept, and each question is answered by
 * looking through all of it again.
 */
import type { RuleDefinition } from "../../../src/define/alert-definition.ts";

export interface Report {
  readonly at: number;
  readonly isBeyond: boolean;
  readonly start: number;
  readonly end: number;
}

export interface Held {
  readonly from: number;
  readonly until: number;
}

/** Whether it fires right after the report `place`, counting from 0; -1: before any. */
export function fires(rule: RuleDefinition, reports: readonly Report[], place: number): boolean {
  if (place < 0) return false;
  const run = (isBeyond: boolean): Report[] => {
    let first = place + 1;
    while (first > 0 && reports[first - 1]!.isBeyond === isBeyond) first -= 1;
    return reports.slice(first, place + 1);
  };
  const now = reports[place]!.at;
  if (fires(rule, reports, place - 1)) {
    const well = run(false);
    return well.length === 0 || now - well[0]!.at < rule.keepFiringMicros;
  }
  const beyond = run(true);
  return beyond.length > 0 && now - beyond[0]!.at >= rule.forMicros && apart(beyond) >= rule.windows;
}

/** How many windows do not overlap, taking each as early as it can be. */
function apart(reports: readonly Report[]): number {
  const taken: Report[] = [];
  for (const report of reports) {
    if (taken.every(({ end }) => report.start >= end && report.end > end)) taken.push(report);
  }
  return taken.length;
}

/** What destinations are told in each round, or null. A round may come without a report. */
export function told(
  rule: RuleDefinition,
  rounds: readonly number[],
  reports: readonly Report[],
  silences: readonly Held[],
): (null | "firing" | "resolved")[] {
  const all: (null | "firing" | "resolved")[] = [];
  for (const now of rounds) {
    const said = all.findLast((one) => one !== null) ?? "resolved";
    const last = reports.findLastIndex(({ at }) => at <= now);
    const is = fires(rule, reports, last) ? "firing" : "resolved";
    const saidFiring = all.flatMap((one, i) => (one === "firing" ? [rounds[i]!] : []));
    const isCooling = is === "firing" && saidFiring.some((when) => now - when < rule.cooldownMicros);
    const isHeld = silences.some(({ from, until }) => from <= now && now < until);
    all.push(is === said || isCooling || isHeld ? null : is);
  }
  return all;
}
