/** What monitoring asks of a running source: how far each of its parts is, and how old what it has is. */
import type { SourceGauges } from "../monitor/metrics/monitored-house.ts";
import type { RuntimeFreshness } from "./monitoring/runtime-freshness.ts";
import type { SourceParts } from "./source-parts.ts";

/** What monitoring asks at each scrape. */
export function sourceGauges(
  parts: SourceParts,
  { up, isTableRefused }: Pick<SourceGauges, "up" | "isTableRefused">,
): Omit<SourceGauges, "poll" | "batch"> {
  const { log, pendingRows, deadLetters, runners } = parts.pipeline;
  const { archivedEnd } = parts.archiver;
  return {
    source: parts.source.name,
    pendingRows,
    archiveLagEvents: archivedEnd === null ? null : log.durableEnd - archivedEnd,
    openDeadLetters: deadLetters.openCount,
    droppedDeadLetters: deadLetters.droppedCount,
    up,
    isTableRefused,
    views: runners.map(({ name, position, dirtyCount, cost }) => ({
      view: name,
      lagEvents: Math.max(0, log.durableEnd - position),
      unflushedStates: dirtyCount,
      cost,
    })),
  };
}

/** What freshness is judged by: when its last event became known, and the oldest that is not folded; null for none. */
export function sourceFreshness(parts: SourceParts): RuntimeFreshness {
  const { runners, times } = parts.pipeline;
  const lastEvent = Math.max(times.lastEvent, parts.historyEndsAt);
  return {
    lastEventAt: Number.isFinite(lastEvent) ? lastEvent : null,
    oldestUnfoldedAt: times.oldestUnfolded,
    runners,
  };
}
