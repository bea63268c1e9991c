/**
 * How fresh everything is, as it is told over HTTP and by the command: plain JSON data.
 */
import { formatMicros, type Micros } from "../../base/micros.ts";
import type { Fallback } from "../../define/definition.ts";
import type { EntityAges, FreshnessFacts, Judged, SourceFacts, ViewFacts } from "./judge.ts";
import type { Violations } from "./violations.ts";

/** Ages up to which entities are counted, in seconds: from a minute to a year. */
export const AGE_SECONDS: readonly number[] = [
  60, 300, 900, 3600, 21_600, 86_400, 259_200, 604_800, 2_592_000, 7_776_000, 31_536_000,
];

/** A promise, and whether it holds. */
export interface Promised {
  readonly threshold: number;
  readonly broken: boolean;
  readonly broken_since: string | null;
  /** Share of the last 24 hours in which it was broken. */
  readonly broken_ratio_24h: number;
}

export interface AgedEntity {
  readonly key: string;
  readonly last_event_at: string;
  readonly age_seconds: number;
}

export interface SourceFreshness {
  readonly source: string;
  readonly last_event_at: string | null;
  readonly silence_seconds: number;
  /** Null where no silence is promised. */
  readonly silence_sla_seconds: Promised | null;
}

export interface ViewFreshness {
  readonly view: string;
  readonly source: string;
  readonly pipeline_age_seconds: number;
  readonly pipeline_age_sla_seconds: Promised | null;
  readonly entities: number | null;
  /** Entities at most so old; the last, with null, are all. `up_to_seconds` is where the count is exact. */
  readonly entities_by_age: readonly { readonly up_to_seconds: number | null; readonly entities: number }[];
  /** Share of entities older than promised, which is `older_than_seconds`. */
  readonly stale_ratio: number | null;
  readonly older_than_seconds: number | null;
  readonly stale_ratio_sla: Promised | null;
  readonly fallback: { readonly declared: Fallback | null; readonly serving: boolean };
  /** Those whose last event is the longest ago; absent where they were not asked for. */
  readonly oldest_entities?: readonly AgedEntity[];
}

export interface FreshnessReport {
  readonly as_of: string;
  readonly sources: readonly SourceFreshness[];
  readonly views: readonly ViewFreshness[];
}

export interface ReportParts {
  readonly facts: FreshnessFacts;
  readonly judged: readonly Judged[];
  readonly violations: Violations;
  /** Whether the view's fallback is served in place of its values. */
  isFallenBack(view: string): boolean;
}

export function freshnessReport(
  { facts, judged, violations, isFallenBack }: ReportParts,
  now: number,
): FreshnessReport {
  const find = (kind: Judged["kind"], source: string, view: string | null): Judged | undefined =>
    judged.find((one) => one.kind === kind && one.source === source && one.view === view);
  const promised = (one: Judged | undefined): Promised | null => {
    if (one === undefined || one.threshold === null) return null;
    const { since, ratio24h } = violations.of(one, now);
    return {
      threshold: one.threshold,
      broken: one.isBroken,
      broken_since: since === null ? null : timeText(since),
      broken_ratio_24h: ratio24h,
    };
  };
  const ofSource = ({ source, lastEventAt }: SourceFacts): SourceFreshness => {
    const silence = find("source-silence", source, null)!;
    return {
      source,
      last_event_at: lastEventAt === null ? null : timeText(lastEventAt),
      silence_seconds: silence.value,
      silence_sla_seconds: promised(silence),
    };
  };
  const ofView = ({ view, source, sla, entities }: ViewFacts): ViewFreshness => {
    const pipeline = find("pipeline-age", source, view)!;
    const stale = find("entity-age", source, view);
    return {
      view,
      source,
      pipeline_age_seconds: pipeline.value,
      pipeline_age_sla_seconds: promised(pipeline),
      entities: entities?.entities ?? null,
      entities_by_age: entities === null ? [] : entitiesByAge(entities, now),
      stale_ratio: stale?.value ?? null,
      older_than_seconds: stale === undefined ? null : sla!.entityAge!.withinMicros / 1e6,
      stale_ratio_sla: promised(stale),
      fallback: { declared: sla?.fallback ?? null, serving: isFallenBack(view) },
    };
  };
  return { as_of: timeText(now), sources: facts.sources.map(ofSource), views: facts.views.map(ofView) };
}

/** Cumulative: entities whose last event is at or after the edge that is that long ago, and all of them. */
export function entitiesByAge(
  ages: EntityAges,
  now: number,
): { readonly up_to_seconds: number | null; readonly entities: number }[] {
  const counted = AGE_SECONDS.map((seconds) => {
    const { count, edge } = ages.before(now - seconds * 1e6);
    return { up_to_seconds: (now - edge) / 1e6, entities: ages.entities - count };
  });
  return [...counted, { up_to_seconds: null, entities: ages.entities }];
}

function timeText(micros: number): string {
  return formatMicros(Math.floor(micros) as Micros);
}
