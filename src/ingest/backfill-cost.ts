/**
 * What computing a view from history will take, before it is begun: the events are counted, and the view is folded for
 * some of its entities, drawn by a hash of their keys, to see what an event costs and what a state takes.
 */
import { randomUUID } from "node:crypto";
import type { Micros } from "../base/micros.ts";
import type { SourceDefinition, ViewDefinition } from "../define/definition.ts";
import { deriveForView, keyFromStored } from "../fold/derive.ts";
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import { type QueryEngine, sqlName } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { readEventsByEntity, withKeyedEvents } from "../offline-store/event-reader.ts";
import { HISTORY_BASE } from "../schema/event-offset.ts";
import type { Value } from "../schema/value.ts";

/** About so many events are folded on trial. */
const TRIAL_EVENTS = 100_000;
/** Of an entity with far more, no more than these. */
const TRIAL_EVENTS_MAX = 4 * TRIAL_EVENTS;

export interface BackfillCost {
  /** Events to fold. */
  readonly events: number;
  /** Of the files that hold them. */
  readonly readBytes: number;
  /** Estimated. */
  readonly entities: number;
  /** That the states will take as encoded; estimated from the trial. */
  readonly stateBytes: number;
  /** That it will take with nothing else going on; estimated from the trial. */
  readonly seconds: number;
  /** Entities folded on trial. */
  readonly trialEntities: number;
}

export interface BackfillCostRequest {
  readonly source: SourceDefinition;
  readonly view: { readonly definition: ViewDefinition; readonly fold: ViewFold };
  readonly files: EventFiles;
  readonly engine: QueryEngine;
}

export async function estimateBackfill(request: BackfillCostRequest): Promise<BackfillCost> {
  const { source, view, files, engine } = request;
  const all = [...files.history, ...files.live];
  const events = files.historyEnd - HISTORY_BASE + files.liveEnd;
  const readBytes = all.reduce((sum, { bytes }) => sum + bytes, 0);
  const none = { events, readBytes, entities: 0, stateBytes: 0, seconds: 0, trialEntities: 0 };
  if (events === 0) return none;
  const { key } = view.definition;
  const scan = { files, source, keyColumns: key, derivedKey: keyFromStored(source, key, view.fold) };
  const drawn = `drawn_${randomUUID()}`;
  const every = Math.max(1, Math.ceil(events / TRIAL_EVENTS));
  const began = performance.now();
  const entities = await withKeyedEvents(engine, scan, async (relation) => {
    // Of few entities the draw may hit none: then it is the one that comes first by its hash. Those with the most events
    // come last: where they end the trial, all others have been folded.
    await engine.run(`CREATE TABLE ${sqlName(drawn)} AS
      SELECT (row_number() OVER (ORDER BY events, _key) - 1)::INTEGER AS entity_id, _key AS entity_key
      FROM (SELECT _key, events, row_number() OVER (ORDER BY hash(_key)) AS place
        FROM (SELECT _key, count(*) AS events FROM ${relation} GROUP BY _key))
      WHERE hash(_key) % ${every} = 0 OR place = 1`);
    const [row] = await engine.rows(`SELECT count(DISTINCT _key)::DOUBLE AS entities FROM ${relation}`);
    return Number(row!["entities"]);
  });
  const countedMs = performance.now() - began;
  try {
    const trial = await foldDrawn(request, scan, drawn);
    if (trial.events === 0) return { ...none, entities };
    // The engine's work on all events is about what counting them took; reading them takes that much once more.
    const milliseconds = trial.foldMs * (events / trial.events) + 2 * countedMs;
    return {
      events,
      readBytes,
      entities,
      stateBytes: Math.round(trial.stateBytes * (entities / trial.entities)),
      seconds: milliseconds / 1000,
      trialEntities: trial.entities,
    };
  } finally {
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(drawn)}`);
  }
}

type Scan = Pick<Parameters<typeof readEventsByEntity>[1], "files" | "source" | "keyColumns" | "derivedKey">;

async function foldDrawn(
  { source, view, engine }: BackfillCostRequest,
  scan: Scan,
  drawn: string,
): Promise<{
  readonly entities: number;
  readonly events: number;
  readonly stateBytes: number;
  readonly foldMs: number;
}> {
  const { fold } = view;
  const derivation = deriveForView(view.definition, source);
  const stored: Value[] = source.columns.map(() => null);
  let [entity, entities, events, stateBytes, foldMs] = [-1, 0, 0, 0, 0];
  let state: ViewState = fold.empty();
  const batches = readEventsByEntity(engine, {
    ...scan,
    columns: fold.inputColumns,
    order: "offset",
    survivorsOnly: true,
    restrictTo: drawn,
  });
  for await (const batch of batches) {
    const began = performance.now();
    for (let i = 0; i < batch.rowCount; i++) {
      if (batch.entity[i] !== entity) {
        if (entity !== -1) stateBytes += fold.encode(state).length;
        entity = batch.entity[i]!;
        entities++;
        state = fold.empty();
      }
      batch.fillRow(i, stored);
      const event = {
        offset: batch.offset[i]!,
        eventTime: batch.eventTime[i]! as Micros,
        knownTime: batch.knownTime[i]! as Micros,
      };
      try {
        fold.fold(state, { ...event, row: derivation === null ? stored : derivation.derive(stored) });
      } catch {
        // A derived column that cannot be computed of an older event: it will be a dead letter, which costs no more.
      }
    }
    foldMs += performance.now() - began;
    events += batch.rowCount;
    if (events >= TRIAL_EVENTS_MAX) break;
  }
  if (entity !== -1) stateBytes += fold.encode(state).length;
  return { entities, events, stateBytes, foldMs };
}
