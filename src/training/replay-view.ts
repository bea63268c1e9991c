/**
 * One view over its archived events, entity by entity: the loop that training, audit and preview share.
 */
import { OnefoldError } from "../base/errors.ts";
import { compileDerived, keyFromStored } from "../fold/derive.ts";
import { expressionColumns } from "../fold/expression.ts";
import type { ViewState, ReadBuffer } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { readEventsByEntity } from "../offline-store/event-reader.ts";
import type { Row, Value } from "../schema/value.ts";
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

/** Fills `columns` with what each label sees. Throws `CANCELLED`, and what the engine throws. */
export async function replayView(request: ReplayRequest): Promise<ReplayResult> {
  const { engine, view, files, labels } = request;
  const join = new ViewJoin({
    fold: view.fold,
    storedColumnCount: view.source.columns.length,
    derive: deriveOf(view),
    bound: request.bound,
    labels,
    columns: request.columns,
    ...(request.onRead === undefined ? {} : { onRead: request.onRead }),
  });
  if (labels.count > 0) {
    const batches = readEventsByEntity(engine, {
      files,
      source: view.source,
      keyColumns: view.definition.key,
      derivedKey: keyFromStored(view.source, view.definition.key, view.fold),
      columns: view.fold.inputColumns,
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

/** Computes the derived columns that the view uses behind a stored row; null where it uses none. */
export function deriveOf(view: Pick<TrainingView, "definition" | "source">): ((stored: Value[]) => Row) | null {
  const used = columnsUsed(view);
  if (!view.source.derived.some((derived) => used.includes(derived.name))) return null;
  const compiled = compileDerived(view.source, used);
  return (stored) => compiled.derive(stored);
}

/** Stored and derived columns that the view's key, inputs and predicates name. */
function columnsUsed({ definition, source }: Pick<TrainingView, "definition" | "source">): readonly string[] {
  const used = new Set(definition.key);
  for (const { aggregation } of definition.features) {
    if (aggregation.column !== undefined) used.add(aggregation.column);
    else if (aggregation.custom !== undefined) {
      // It is given the whole row.
      return [...source.columns, ...source.derived].map((column) => column.name);
    }
    if (aggregation.where !== undefined) for (const name of expressionColumns(aggregation.where)) used.add(name);
  }
  return [...used];
}

export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new OnefoldError("CANCELLED", "the work was cancelled");
}
