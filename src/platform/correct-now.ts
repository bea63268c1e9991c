/**
 * Corrections of a source while nothing is pushed to it and all of its log is archived: what is known of their ids decides
 * what becomes of each.
 */
import type { SourceDefinition } from "../define/definition.ts";
import { type Correction, type CorrectionResult, planCorrections } from "../ingest/corrections.ts";
import type { SourcePipeline } from "../ingest/source-pipeline.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventArchive } from "../offline-store/event-archive.ts";
import { eventRelation } from "../offline-store/event-relation.ts";
import { countEventsOfIds, type EventsOfId } from "../offline-store/retractions.ts";

export interface CorrectedSource {
  readonly source: SourceDefinition;
  readonly archive: Pick<EventArchive, "files">;
  readonly pipeline: SourcePipeline;
}

export async function correctNow(
  { source, archive, pipeline }: CorrectedSource,
  openEngine: () => Promise<QueryEngine>,
  corrections: readonly Correction[],
): Promise<CorrectionResult> {
  const engine = await openEngine();
  let known: ReadonlyMap<string, EventsOfId>;
  try {
    const ids = [...new Set(corrections.map(({ id }) => id))];
    const { history, live } = await archive.files();
    known = await countEventsOfIds(engine, (some) => eventRelation(some, []), { files: [...history, ...live] }, ids);
  } finally {
    await engine.close();
  }
  const planned = planCorrections(source, corrections, known, (row) => pipeline.checkRow(row));
  return planned.result(planned.rows.length === 0 ? [] : await pipeline.correct(planned.rows));
}
