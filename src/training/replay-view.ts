/**
 * One view over its archived events, entity by entity: the loop that training, audit and preview share.
 */
import { throwIfCancelled } from "../base/cancelled.ts";
import { deriveForView, keyFromStored } from "../fold/derive.ts";
import type { ViewState, ReadBuffer } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { readEventsByEntity } from "../offline-store/event-reader.ts";
import type { FeatureColumn } from "./feature-columns.ts";
import { ViewJoin, type EventBound, type LabelRun } from "./point-in-time-join.ts";
import type { TrainingView } from "./ports.ts";

export interface ReplayRequest {
  readonly engine: QueryEngine;
  readonly view: Pick<TrainingView, "definition" | "source" | "fold">;
  readonly files: EventFiles;
  /** Table (entity_id INTEGER, entity_key VARCHAR) that the labels' ids stand for. */
  readonly entityTable: string;
  readonly bound: EventBound;
  readonly labels: LabelRun;
  readonly columns: readonly FeatureColumn[];
  readonly onRead?: (label: number, state: ViewState | null, read: ReadBuffer) => void;
  readonly onProgress?: (labelsDone: number) => void;
  readonly signal?: AbortSignal;
}

export interface ReplayResult {
  readonly eventsFolded: number;
  readonly eventsPoisoned: number;
  readonly firstPoison: string | null;
  readonly coincidentLabels: number;
}

/** Of parts of one replay, in the order of their entities. */
export function sumOfResults(results: readonly ReplayResult[]): ReplayResult {
  const sum = (of: (result: ReplayResult) => number): number => results.reduce((total, one) => total + of(one), 0);
  return {
    eventsFolded: sum((one) => one.eventsFolded),
    eventsPoisoned: sum((one) => one.eventsPoisoned),
    firstPoison: results.find((one) => one.firstPoison !== null)?.firstPoison ?? null,
    coincidentLabels: sum((one) => one.coincidentLabels),
  };
}

/** Fills `columns` with what each label sees. Throws `CANCELLED`, and what the engine throws. */
export async function replayView(request: ReplayRequest): Promise<ReplayResult> {
  const { engine, view, files, labels } = request;
  const join = new ViewJoin({
    fold: view.fold,
    storedColumnCount: view.source.columns.length,
    derive: deriveForView(view.definition, view.source)?.derive ?? null,
    bound: request.bound,
    labels,
    columns: request.columns,
    features: view.definition.features,
    ...(request.onRead === undefined ? {} : { onRead: request.onRead }),
  });
  if (labels.count > 0) {
    const batches = readEventsByEntity(engine, {
      files,
      source: view.source,
      keyColumns: view.definition.key,
      derivedKey: keyFromStored(view.source, view.definition.key, view.fold),
      columns: view.fold.eventColumns,
      restrictTo: request.entityTable,
      order: request.bound.startsWith("effective") ? "effective-time" : "offset",
    });
    for await (const batch of batches) {
      throwIfCancelled(request.signal);
      join.push(batch);
      request.onProgress?.(join.labelsDone);
    }
  }
  join.finish();
  request.onProgress?.(join.labelsDone);
  return join;
}
