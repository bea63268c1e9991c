/**
 * The archived events of one entity in fold order, for people who ask why a value is what it is.
 */
import type { Micros } from "../base/micros.ts";
import { keyFromStored } from "../fold/derive.ts";
import type { FoldEvent } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { readEventsByEntity } from "../offline-store/event-reader.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Row, Value } from "../schema/value.ts";
import { createEntityTable } from "./entity-table.ts";
import type { TrainingView } from "./ports.ts";
import { deriveOf } from "./replay-view.ts";

export interface EntityEventsRequest {
  readonly engine: QueryEngine;
  readonly view: Pick<TrainingView, "definition" | "source" | "fold">;
  readonly files: EventFiles;
  readonly key: EntityKey;
  /** Only offsets up to this one. */
  readonly upToOffset?: number;
}

/** Events one by one, each with a row of its own (stored columns the view needs, then derived ones). */
export async function* readEntityEvents(request: EntityEventsRequest): AsyncIterableIterator<FoldEvent> {
  const { engine, view, files, key, upToOffset } = request;
  const derive = deriveOf(view);
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
      const stored = Array.from<Value>({ length: view.source.columns.length }).fill(null);
      batch.fillRow(i, stored);
      yield {
        offset: batch.offset[i]!,
        eventTime: batch.eventTime[i]! as Micros,
        knownTime: batch.knownTime[i]! as Micros,
        row: derivedOrNothing(derive, stored),
      };
    }
  }
}

/** Where a derived column throws, the event is poison in every mode; the fold is given no derived values then. */
function derivedOrNothing(derive: ((stored: Value[]) => Row) | null, stored: Value[]): Row {
  if (derive === null) return stored;
  try {
    return derive(stored);
  } catch {
    return stored;
  }
}
