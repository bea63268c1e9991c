/**
 * Whether what is promised of freshness holds. Three things that are kept apart:
 *
 * - **pipeline age**: now less the known time of the oldest event that is durable and not folded: how far the platform is
 *   behind what it has. 0 where it is not.
 * - **source silence**: now less the known time of the source's last event, or less the time it was registered, where there
 *   was none: how long nothing has come, whether nothing happened or whoever sends is broken.
 * - **entity age**: now less the time of an entity's last event, over all entities of a view: how old what is served
 *   is, although all has come and all is folded.
 *
 * Pure: facts and a time in, what holds out.
 */
import type { SourceSla, ViewSla } from "../../define/definition.ts";

export type FreshnessKind = "pipeline-age" | "source-silence" | "entity-age";

export interface SourceFacts {
  readonly source: string;
  readonly sla: SourceSla | undefined;
  /** Known time of its last event; null where there was none. */
  readonly lastEventAt: number | null;
  readonly registeredAt: number;
}

export interface ViewFacts {
  /** `view@version`. */
  readonly view: string;
  readonly source: string;
  readonly sla: ViewSla | undefined;
  /** Known time of the oldest durable event that is not folded into it; null where all are. */
  readonly oldestUnfoldedAt: number | null;
  /** Null where nobody counts them. */
  readonly entities: EntityAges | null;
}

/** All entities of a view, by when they had their last events. */
export interface EntityAges {
  readonly entities: number;
  /** Of their encoded states. */
  readonly bytes: number;
  /** How many had their last event before `edge`, which is at or shortly before `time`. */
  before(time: number): { readonly count: number; readonly edge: number };
}

export interface FreshnessFacts {
  readonly sources: readonly SourceFacts[];
  readonly views: readonly ViewFacts[];
}

/** One thing that was measured, and what it is held against. */
export interface Judged {
  readonly kind: FreshnessKind;
  readonly source: string;
  /** `view@version`; null of a source. */
  readonly view: string | null;
  /** Seconds; of entity ages the share of entities that are older than promised. */
  readonly value: number;
  /** Null where nothing is promised. */
  readonly threshold: number | null;
  readonly isBroken: boolean;
  /** Since when, where that follows from the facts: null of entity ages, of which only whoever looks again and again knows. */
  readonly brokenSince: number | null;
  /** Entities that were looked at; 1 where it is not about entities. */
  readonly samples: number;
}

export function judge({ sources, views }: FreshnessFacts, now: number): Judged[] {
  return [...sources.map((one) => judgeSilence(one, now)), ...views.flatMap((one) => judgeView(one, now))];
}

function judgeSilence({ source, sla, lastEventAt, registeredAt }: SourceFacts, now: number): Judged {
  const since = lastEventAt ?? registeredAt;
  return { ...judgeAge(since, sla?.silenceMicros, now), kind: "source-silence", source, view: null };
}

function judgeView({ view, source, sla, oldestUnfoldedAt, entities }: ViewFacts, now: number): Judged[] {
  const age = judgeAge(oldestUnfoldedAt, sla?.pipelineAgeMicros, now);
  const pipeline: Judged = { ...age, kind: "pipeline-age", source, view };
  if (sla?.entityAge === undefined || entities === null) return [pipeline];
  const { withinMicros, atLeast } = sla.entityAge;
  const value = entities.entities === 0 ? 0 : entities.before(now - withinMicros).count / entities.entities;
  // 1 - 0.95 is a little more than 0.05 in binary.
  const threshold = Number((1 - atLeast).toPrecision(12));
  const isBroken = value > threshold;
  const samples = entities.entities;
  return [pipeline, { kind: "entity-age", source, view, value, threshold, isBroken, brokenSince: null, samples }];
}

/** Of what is as old as `since`, or not old at all. */
function judgeAge(
  since: number | null,
  micros: number | undefined,
  now: number,
): Pick<Judged, "value" | "threshold" | "isBroken" | "brokenSince" | "samples"> {
  const age = since === null ? 0 : Math.max(0, now - since);
  const isBroken = micros !== undefined && age > micros;
  return {
    value: age / 1e6,
    threshold: micros === undefined ? null : micros / 1e6,
    isBroken,
    brokenSince: isBroken ? since! + micros : null,
    samples: 1,
  };
}
