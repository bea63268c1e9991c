/**
 * Where the archived log of each source ends: up to there everything that was known can be folded again.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { TrainingPorts, TrainingView } from "./ports.ts";
import type { JoinPlan } from "./service-plan.ts";

/**
 * Whether the archive already holds the event at `offset` of an entity of the view, so that everything up to it can be
 * folded again.
 */
export function isArchived(offset: number, files: EventFiles, view?: TrainingView, key?: EntityKey): boolean {
  if (files.keyedBy !== undefined && view !== undefined && key !== undefined) {
    return offset < files.keyedBy(view.definition.key).endOf(key);
  }
  return offset < (offset < 0 ? files.historyEnd : files.liveEnd);
}

/** One source's log as a piece of work sees it from beginning to end. */
export interface LogSnapshot {
  readonly files: EventFiles;
  /** Time up to which the files hold all that was known; -Infinity for a log without events. */
  readonly logEnd: number;
}

/** Throws `SOURCE_UNKNOWN`. */
export async function snapshotLog(ports: TrainingPorts, source: string): Promise<LogSnapshot> {
  // Asked before the archive is brought up to date: what is closed now is in it then.
  const closedUpTo = ports.closedUpTo(source) ?? Number.NEGATIVE_INFINITY;
  const complete = await ports.completeUpTo(source);
  const files = await (await ports.archive(source)).files();
  const isArchivedTo = complete !== null && files.liveEnd >= complete.position;
  return { files, logEnd: Math.max(files.lastKnownTime, closedUpTo, isArchivedTo ? complete.upTo : closedUpTo) };
}

/** The logs of all sources that the views are folded from, by source. */
export async function snapshotLogs(
  ports: TrainingPorts,
  plan: Pick<JoinPlan, "views">,
): Promise<ReadonlyMap<string, LogSnapshot>> {
  const snapshots = new Map<string, LogSnapshot>();
  for (const { view } of plan.views) {
    const { name } = view.source;
    if (!snapshots.has(name)) snapshots.set(name, await snapshotLog(ports, name));
  }
  return snapshots;
}

/** RFC 3339, or null for a log without events. */
export function formatLogEnd(logEnd: number): string | null {
  return Number.isFinite(logEnd) ? formatMicros(logEnd as Micros) : null;
}

/** Sets the flag of every label row whose time lies after the end of one of the logs. */
export async function flagTimesAfterLog(
  engine: QueryEngine,
  snapshots: ReadonlyMap<string, LogSnapshot>,
  flags: Uint8Array,
): Promise<void> {
  if (snapshots.size === 0) return;
  const end = Math.min(...[...snapshots.values()].map((snapshot) => snapshot.logEnd));
  const late = Number.isFinite(end) ? `t > ${end}` : "true";
  for await (const batch of engine.stream(`SELECT row FROM spine_label WHERE ${late}`, [{ as: "int32" }])) {
    for (const row of batch.columns[0] as Int32Array) flags[row] = 1;
  }
}

export function afterLogError(rows: number, total: number, snapshots: ReadonlyMap<string, LogSnapshot>): OnefoldError {
  const ends = [...snapshots].map(([name, { logEnd }]) => `${name} ${formatLogEnd(logEnd) ?? "has no events"}`);
  return new OnefoldError("SPINE_AFTER_LOG", `${rows} of ${total} label rows lie after the end of the log`, {
    where: `the log of each source ends at: ${ends.join("; ")}`,
    hint: "events for them may still arrive: import or archive those first, or wait for the next run of a batch source, or keep the rows, flagged in the output: `onefold train --allow-after-log`, `allowAfterLog` in code",
  });
}
