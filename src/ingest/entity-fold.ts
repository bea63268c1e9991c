/** Some entities of a view, folded from the archive. */
import { randomUUID } from "node:crypto";
import type { Micros } from "../base/micros.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { deriveForView, keyFromStored } from "../fold/derive.ts";
import type { ViewState } from "../fold/view-fold.ts";
import { type QueryEngine, sqlName } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { readEventsByEntity } from "../offline-store/event-reader.ts";
import { batchOfRows } from "../offline-store/row-batch.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Value } from "../schema/value.ts";
import type { PipelineView } from "./view-runner.ts";

export interface EntityFoldRequest {
  readonly source: SourceDefinition;
  readonly view: Pick<PipelineView, "definition" | "fold">;
  readonly engine: QueryEngine;
  readonly files: EventFiles;
  readonly keys: readonly EntityKey[];
  /** Of events and of retractions that count. */
  readonly beforeOffset: number;
  readonly withoutIds?: readonly string[];
  /** Of the partition. */
  readonly withoutOffsets?: readonly number[];
  readonly partition?: number | undefined;
}

/** Their states, those of entities without events empty. The fold passes over events that it cannot take: they have their letters. */
export async function foldEntities(request: EntityFoldRequest): Promise<Map<EntityKey, ViewState>> {
  const { engine, files, source, view, keys, beforeOffset, withoutIds = [], withoutOffsets = [], partition } = request;
  const { fold, definition } = view;
  const states = new Map<EntityKey, ViewState>(keys.map((key) => [key, fold.empty()]));
  if (keys.length === 0) return states;
  const entities = `refolded_${randomUUID()}`;
  const derivation = deriveForView(definition, source);
  const stored = Array.from<Value>({ length: source.columns.length }).fill(null);
  try {
    await engine.fill(entities, ENTITY_COLUMNS, [
      batchOfRows(
        ENTITY_COLUMNS.map(({ type }) => type),
        keys.map((key, i) => [i, key]),
      ),
    ]);
    await engine.run(`ALTER TABLE ${sqlName(entities)} ALTER entity_id TYPE INTEGER`);
    const batches = readEventsByEntity(engine, {
      files,
      source,
      keyColumns: definition.key,
      derivedKey: keyFromStored(source, definition.key, fold),
      columns: fold.inputColumns,
      restrictTo: entities,
      order: "offset",
      survivorsOnly: true,
      beforeOffset,
      withoutIds,
      withoutOffsets,
      partition,
    });
    for await (const batch of batches) {
      for (let i = 0; i < batch.rowCount; i++) {
        const state = states.get(keys[batch.entity[i]!]!)!;
        const event = {
          offset: batch.offset[i]!,
          eventTime: batch.eventTime[i]! as Micros,
          knownTime: batch.knownTime[i]! as Micros,
        };
        batch.fillRow(i, stored);
        try {
          const isMark = Number.isNaN(event.eventTime);
          fold.fold(state, { ...event, row: isMark || derivation === null ? stored : derivation.derive(stored) });
        } catch {
          // A derived column declared later that cannot be computed: it became a dead letter when it was first folded.
        }
      }
    }
    return states;
  } finally {
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(entities)}`);
  }
}

const ENTITY_COLUMNS = [
  { name: "entity_id", type: { name: "int64" } },
  { name: "entity_key", type: { name: "string" } },
] as const;
