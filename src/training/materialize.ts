/**
 * The feature rows of past minutes, as they would have been written had the view been folded live then: one row for each
 * entity and closed minute of known time in which it changed, read at the minute's last microsecond.
 *
 * What the live fold writes are the minutes since the view was registered; these are the others: of imported history, and of
 * the log from before.
 */
import { throwIfCancelled } from "../base/cancelled.ts";
import { MICROS_PER_MINUTE, type Micros } from "../base/micros.ts";
import { deriveForView, keyFromStored } from "../fold/derive.ts";
import { createReadBuffer } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { readEventsByEntity } from "../offline-store/event-reader.ts";
import type { FeatureRow } from "../offline-store/feature-rows.ts";
import { decodeEntityKey } from "../schema/entity-key.ts";
import { HISTORY_BASE } from "../schema/event-offset.ts";
import type { Value } from "../schema/value.ts";
import { correctableEvent, CorrectedEntity } from "./corrected-entity.ts";
import type { TrainingView } from "./ports.ts";

const ROWS_PER_BATCH = 20_000;

export interface MaterializeRequest {
  readonly view: TrainingView;
  readonly files: EventFiles;
  readonly engine: QueryEngine;
  /** Minutes that begin at or after this. */
  readonly from: number;
  /** Minutes that end at or before this; no event can become known before it any more. */
  readonly to: number;
  readonly onProgress?: (eventsDone: number, eventsTotal: number) => void;
  readonly signal?: AbortSignal;
}

/** Rows by entity, and of each by minute. Throws `CANCELLED`, and what the engine throws. */
export async function* pastFeatureRows(request: MaterializeRequest): AsyncIterableIterator<readonly FeatureRow[]> {
  const { view, files, engine, from, to, onProgress, signal } = request;
  const { definition, entity, source, fold } = view;
  const derivation = deriveForView(definition, source);
  const stored: Value[] = source.columns.map(() => null);
  const buffer = createReadBuffer(fold.features.length);
  const keyTypes = entity.keys.map((key) => key.type);
  const total = files.historyEnd - HISTORY_BASE + files.liveEnd;
  let rows: FeatureRow[] = [];
  let state = fold.empty();
  let corrected: CorrectedEntity | null = null;
  let changes = false;
  let key: readonly Value[] = [];
  let [current, changedIn, done] = [-1, Number.NEGATIVE_INFINITY, 0];
  /** The minute is over for the entity: nothing of a later one is in its state yet. */
  const close = (): void => {
    const minute = changedIn;
    changedIn = Number.NEGATIVE_INFINITY;
    if (!Number.isFinite(minute) || minute < from || minute + MICROS_PER_MINUTE > to) return;
    fold.read(state, (minute + MICROS_PER_MINUTE - 1) as Micros, buffer);
    rows.push({ key, minute: minute as Micros, epoch: files.epoch, values: [...buffer.values] });
  };
  const batches = readEventsByEntity(engine, {
    files,
    source,
    keyColumns: definition.key,
    derivedKey: keyFromStored(source, definition.key, fold),
    columns: fold.eventColumns,
    order: "offset",
    withKeys: true,
  });
  for await (const batch of batches) {
    throwIfCancelled(signal);
    for (let i = 0; i < batch.rowCount; i++) {
      if (batch.entity[i] !== current) {
        close();
        current = batch.entity[i]!;
        key = decodeEntityKey(batch.keyText(current), keyTypes);
        state = fold.empty();
        corrected = null;
      }
      const knownTime = batch.knownTime[i]! as Micros;
      const minute = Math.floor(knownTime / MICROS_PER_MINUTE) * MICROS_PER_MINUTE;
      if (minute > changedIn) close();
      if (batch.retractions?.has(current) === true) {
        corrected ??= new CorrectedEntity(fold, (outcome) => (changes = outcome.kind === "folded"));
        // A mark changes the entity, too: it loses an event.
        changes = Number.isNaN(batch.eventTime[i]!);
        corrected.add(correctableEvent(batch, i, stored.length, derivation?.derive ?? null));
        state = corrected.state();
        if (changes) changedIn = minute;
        continue;
      }
      batch.fillRow(i, stored);
      const event = { offset: batch.offset[i]!, eventTime: batch.eventTime[i]! as Micros, knownTime };
      if (folds(() => fold.fold(state, { ...event, row: derivation === null ? stored : derivation.derive(stored) })))
        changedIn = minute;
    }
    done += batch.rowCount;
    onProgress?.(done, Math.max(done, total));
    if (rows.length >= ROWS_PER_BATCH) {
      yield rows;
      rows = [];
    }
  }
  close();
  if (rows.length > 0) yield rows;
}

/** An event whose derived columns cannot be computed is a dead letter, and changes nothing. */
function folds(fold: () => { readonly kind: string }): boolean {
  try {
    return fold().kind === "folded";
  } catch {
    return false;
  }
}
