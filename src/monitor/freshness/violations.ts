/**
 * When promises of freshness were broken: since when one is, and for how much of the last day. What is judged again and
 * again is noted; what was broken and is not any more is kept for 30 days. Plain data, to be stored.
 */
import { MICROS_PER_DAY } from "../../base/micros.ts";
import type { FreshnessKind, Judged } from "./judge.ts";

const KEPT_MICROS = 30 * MICROS_PER_DAY;
/** Of all subjects together: the oldest go. */
const KEPT_MAX = 10_000;

export interface Violation {
  readonly kind: FreshnessKind;
  readonly source: string;
  readonly view: string | null;
  readonly since: number;
  /** Null while it is broken. */
  until: number | null;
}

export class Violations {
  #violations: Violation[];

  constructor(stored: readonly Violation[] = []) {
    this.#violations = stored.map((one) => ({ ...one }));
  }

  /** Takes in what was judged now; whether anything began or ended by it. What is not judged any more is not broken. */
  note(judged: readonly Judged[], now: number): boolean {
    const broken = new Map(judged.filter(({ isBroken }) => isBroken).map((one) => [idOf(one), one]));
    let isChanged = false;
    for (const violation of this.#violations) {
      if (violation.until !== null || broken.delete(idOf(violation))) continue;
      violation.until = now;
      isChanged = true;
    }
    for (const { kind, source, view, brokenSince } of broken.values()) {
      this.#violations.push({ kind, source, view, since: brokenSince ?? now, until: null });
      isChanged = true;
    }
    if (isChanged) this.#forget(now);
    return isChanged;
  }

  /** Since when it is broken, or null; and the share of the last 24 hours in which it was. */
  of(one: Pick<Judged, "kind" | "source" | "view">, now: number): { since: number | null; ratio24h: number } {
    const id = idOf(one);
    const from = now - MICROS_PER_DAY;
    let since: number | null = null;
    let brokenMicros = 0;
    for (const violation of this.#violations) {
      if (idOf(violation) !== id) continue;
      if (violation.until === null) since = violation.since;
      brokenMicros += Math.max(0, Math.min(violation.until ?? now, now) - Math.max(violation.since, from));
    }
    return { since, ratio24h: Math.min(1, brokenMicros / MICROS_PER_DAY) };
  }

  /** All that is kept, oldest first. */
  get all(): readonly Violation[] {
    return this.#violations;
  }

  #forget(now: number): void {
    const kept = this.#violations.filter(({ until }) => until === null || until > now - KEPT_MICROS);
    this.#violations = kept.slice(-KEPT_MAX);
  }
}

function idOf({ kind, source, view }: Pick<Judged, "kind" | "source" | "view">): string {
  return `${kind} ${source} ${view ?? ""}`;
}
