/**
 * Alerts by their definition, slowly: everything that was ever reported is kept, and each question is answered by
 * looking through all of it again.
 */
import type { AlertDefinition, RuleDefinition } from "../../../src/define/alert-definition.ts";

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

export type Said = null | "firing" | "resolved" | "again";

export interface Subject {
  readonly reports: readonly Report[];
  readonly silences: readonly Held[];
}

/** What destinations are told of each subject in each round, or null. A round may come without a report. */
export function told(
  rule: AlertDefinition,
  rounds: readonly number[],
  subjects: ReadonlyMap<string, Subject>,
): ReadonlyMap<string, readonly Said[]> {
  const all = new Map(Array.from(subjects.keys(), (name) => [name, [] as Said[]]));
  for (const now of rounds) {
    const still: string[] = [];
    for (const [name, { reports, silences }] of subjects) {
      const before = all.get(name)!;
      const said = before.findLast((one) => one !== null) ?? "resolved";
      const last = reports.findLastIndex(({ at }) => at <= now);
      const is = fires(rule, reports, last) ? "firing" : "resolved";
      const isCooling = is === "firing" && firings(before, rounds).some((when) => now - when < rule.cooldownMicros);
      const isHeld = silences.some(({ from, until }) => from <= now && now < until);
      const isSaid = is === (said === "again" ? "firing" : said);
      if (isSaid && is === "firing" && !isHeld) still.push(name);
      before.push(isSaid || isCooling || isHeld ? null : is);
    }
    const { repeatMicros = Number.POSITIVE_INFINITY } = rule;
    if (!still.some((name) => now - firings(all.get(name)!, rounds).at(-1)! >= repeatMicros)) continue;
    for (const name of still) all.get(name)![all.get(name)!.length - 1] = "again";
  }
  return all;
}

/** When it was told that it fires, again or not. */
function firings(said: readonly Said[], rounds: readonly number[]): number[] {
  return said.flatMap((one, i) => (one === "firing" || one === "again" ? [rounds[i]!] : []));
}
