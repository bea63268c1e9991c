/**
 * Whether promises of freshness hold of what a server past the owner's machine serves, by what those who fold tell in the
 * online store: an owner that publishes with each beat (`published.ts`), workers on Kafka by the partition
 * (`told-freshness.ts`).
 *
 *     all that became known before T is in the states that are read here   ─▶   the oldest that may not be is as old as T
 *
 * Nobody tells of an event that is missing; they tell up to when none is. So a word that does not come any more, as a
 * process is gone or a store stands still, ages like an event that is not folded. Words come every half second or so: up to
 * some seconds nothing is made of it. What follows is judged by the same function as in the process that folds.
 */
import type { Clock } from "../../base/clock.ts";
import { parseMicros } from "../../base/micros.ts";
import type { FreshnessGauges } from "../../monitor/metrics/monitored-house.ts";
import {
  type FreshnessFacts,
  judge,
  type Judged,
  type SourceFacts,
  type ViewFacts,
} from "../../monitor/freshness/judge.ts";
import { type FreshnessReport, freshnessReport } from "../../monitor/freshness/report.ts";
import { Violations } from "../../monitor/freshness/violations.ts";
import type { Registry } from "../../registry/registry.ts";
import type { StaleViews } from "../monitoring/stale-views.ts";
import type { CatalogView } from "../view-catalog.ts";

export interface FreshnessEars {
  /** All that became known before is in the view's states, as they are read now; null where nobody says. */
  wholeUntil(view: CatalogView): number | null;
  /** How old that may be though all goes well: so late counts as at once. */
  lateness(view: CatalogView): number;
  /** Known time of the source's last event, null before the first; undefined where nobody says. */
  lastEventAt(view: CatalogView): number | null | undefined;
}

export interface OnlineFreshnessOptions {
  readonly clock: Clock;
  readonly registry: Pick<Registry, "sources">;
  /** Those that are served. */
  views(): readonly CatalogView[];
  readonly ears: FreshnessEars;
  readonly stale: StaleViews;
  /** Told when another fallback is served, or none any more. */
  onStale?(): void;
}

export class OnlineFreshness {
  readonly #options: OnlineFreshnessOptions;
  /** Since this process began. */
  readonly #violations = new Violations();

  constructor(options: OnlineFreshnessOptions) {
    this.#options = options;
  }

  /** Turns fallbacks on and off. */
  judgeNow(): void {
    const now = this.#options.clock.now();
    this.#judge(this.#facts(now), now);
  }

  report(): FreshnessReport {
    const { clock, stale } = this.#options;
    const now = clock.now();
    const facts = this.#facts(now);
    const judged = this.#judge(facts, now);
    const isFallenBack = (view: string): boolean => stale.of(view).active !== null;
    return freshnessReport({ facts, judged, violations: this.#violations, isFallenBack }, now);
  }

  measured(): FreshnessGauges {
    const nowMicros = this.#options.clock.now();
    const facts = this.#facts(nowMicros);
    return { facts, judged: judge(facts, nowMicros), nowMicros };
  }

  #judge(facts: FreshnessFacts, now: number): readonly Judged[] {
    const judged = judge(facts, now);
    this.#violations.note(judged, now);
    const broken = judged.filter(({ isBroken }) => isBroken);
    const isChanged = this.#options.stale.replace(
      facts.views.flatMap(({ view, source, sla }) => {
        const isBroken = broken.some((one) =>
          one.kind === "pipeline-age" ? one.view === view : one.kind === "source-silence" && one.source === source,
        );
        const fallback = isBroken ? sla?.fallback : undefined;
        return fallback === undefined ? [] : [[view, fallback] as const];
      }),
    );
    if (isChanged) this.#options.onStale?.();
    return judged;
  }

  /** Of what nobody tells there are none. */
  #facts(now: number): FreshnessFacts {
    const { registry, views, ears } = this.#options;
    const served = views();
    const sources = registry.sources().flatMap(({ definition: { name, sla }, createdAt }): SourceFacts[] => {
      const told = served.flatMap((view) => (view.source.name === name ? [ears.lastEventAt(view)] : []));
      const heard = told.filter((at) => at !== undefined);
      if (heard.length === 0) return [];
      const last = Math.max(...heard.map((at) => at ?? Number.NEGATIVE_INFINITY));
      const lastEventAt = Number.isFinite(last) ? last : null;
      return [{ source: name, sla, lastEventAt, registeredAt: parseMicros(createdAt) }];
    });
    const facts = served.flatMap((view): ViewFacts[] => {
      const until = ears.wholeUntil(view);
      if (until === null) return [];
      const { name, source, definition } = view;
      const oldestUnfoldedAt = now - until <= ears.lateness(view) ? null : until;
      return [{ view: name, source: source.name, sla: definition.sla, oldestUnfoldedAt, entities: null }];
    });
    return { sources, views: facts };
  }
}
