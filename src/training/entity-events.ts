/**
 * The archived events of one entity in fold order, for people who ask why a value is what it is.
 */
import type { Micros } from "../base/micros.ts";
import { messageOf } from "../base/errors.ts";
import { deriveForView, keyFromStored } from "../fold/derive.ts";
import type { FoldEvent } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { readEventsByEntity } from "../offline-store/event-reader.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Value } from "../schema/value.ts";
import { createEntityTable } from "./entity-table.ts";
import type { TrainingView } from "./ports.ts";

export interface EntityEventsRequest {
  readonly engine: QueryEngine;
  readonly view: Pick<TrainingView, "definition" | "source" | "fold">;
  readonly files: EventFiles;
  readonly key: EntityKey;
  /** Only offsets up to this one. */
  readonly upToOffset?: number;
  /** Without the events that were taken back by this offset. */
  readonly countingAt?: number;
}

/** An event; `poison` says why the view cannot take it, where a derived column throws. */
export interface EntityEvent extends FoldEvent {
  readonly poison: string | null;
  /** Offset of the mark that takes it back; Infinity for none. */
  readonly retractedAt: number;
}

/** Events and, with a NaN event time, marks of what was taken back, one by one, each with a row of its own (stored columns the view needs, then derived ones). */
export async function* readEntityEvents(request: EntityEventsRequest): AsyncIterableIterator<EntityEvent> {
  const { engine, view, files, key, upToOffset, countingAt = Number.NEGATIVE_INFINITY } = request;
  const derivation = deriveForView(view.definition, view.source);
  await createEntityTable(engine, "one_entity", [key]);
  const batches = readEventsByEntity(engine, {
    files,
    source: view.source,
    keyColumns: view.definition.key,
    derivedKey: keyFromStored(view.source, view.definition.key, view.fold),
    columns: view.fold.inputColumns,
    restrictTo: "one_entity",
    order: "offset",
    ...(upToOffset === undefined ? {} : { beforeOffset: upToOffset + 1 }),
  });
  for await (const batch of batches) {
    for (let i = 0; i < batch.rowCount; i++) {
      const retractedAt = batch.retractions?.at[i] ?? Number.POSITIVE_INFINITY;
      if (retractedAt <= countingAt) continue;
      const eventTime = batch.eventTime[i]! as Micros;
      const stored = Array.from<Value>({ length: view.source.columns.length }).fill(null);
      batch.fillRow(i, stored);
      let poison: string | null = null;
      try {
        if (!Number.isNaN(eventTime)) derivation?.derive(stored);
      } catch (error) {
        poison = messageOf(error);
      }
      yield {
        offset: batch.offset[i]!,
        eventTime,
        knownTime: batch.knownTime[i]! as Micros,
        row: stored,
        poison,
        retractedAt,
      };
    }
  }
}
