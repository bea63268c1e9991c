/**
 * What computing a view from history will take, before it is begun: the view is folded for some of its entities, drawn by a hash of
 * their keys, to see what an event costs and what a state takes. No more keys than were drawn are held, however many there are.
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
/** From so many drawn ones the number of all is told within some percent. */
const DRAWN_MIN = 10_000;
/** Of fewer, about so many keys are counted. */
const COUNTED_KEYS = 1_000_000;

export interface BackfillCost {
  /** Events to fold. */
  readonly events: number;
  /** Of the files that hold them. */
  readonly readBytes: number;
  readonly entities: number;
  /** Whether `entities` is estimated by a part of them, within some percent. */
  readonly isApproximate: boolean;
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
  const none = { events, readBytes, entities: 0, isApproximate: false, stateBytes: 0, seconds: 0, trialEntities: 0 };
  if (events === 0) return none;
  const { key } = view.definition;
  const scan = { files, source, keyColumns: key, derivedKey: keyFromStored(source, key, view.fold) };
  const drawn = `drawn_${randomUUID()}`;
  const every = Math.max(1, Math.ceil(events / TRIAL_EVENTS));
  const began = performance.now();
  let drawnMs = 0;
  const counted = await withKeyedEvents(engine, scan, async (relation) => {
    const count = await drawEntities(engine, relation, drawn, every);
    drawnMs = performance.now() - began;
    return countEntities(engine, relation, count, every);
  });
  const { entities } = counted;
  try {
    const before = performance.now();
    const trial = await foldDrawn(request, scan, drawn);
    if (trial.events === 0) return { ...none, ...counted };
    // Drawing and the trial have each looked at all events once; what the trial took beyond that goes by the events it was of.
    const ofTrialMs = Math.max(trial.foldMs, performance.now() - before - drawnMs);
    const milliseconds = drawnMs + ofTrialMs * (events / trial.events);
    return {
      events,
      readBytes,
      ...counted,
      stateBytes: Math.round(trial.stateBytes * (entities / trial.entities)),
      seconds: milliseconds / 1000,
      trialEntities: trial.entities,
    };
  } finally {
    await engine.run(`DROP TABLE IF EXISTS ${sqlName(drawn)}`);
  }
}

/**
 * Table `drawn`; resolves to how many of all entities the draw has hit. Of few it may hit none: then the one is drawn that comes first
 * by its hash. Those with the most events come last: where they end the trial, all others have been folded.
 */
async function drawEntities(engine: QueryEngine, relation: string, drawn: string, every: number): Promise<number> {
  const draw = (
    condition: string,
  ): string => `SELECT (row_number() OVER (ORDER BY events, _key) - 1)::INTEGER AS entity_id,
      _key AS entity_key
    FROM (SELECT _key, count(*) AS events FROM ${relation} WHERE ${condition} GROUP BY _key)`;
  await engine.run(`CREATE TABLE ${sqlName(drawn)} AS ${draw(`hash(_key) % ${every} = 0`)}`);
  const [row] = await engine.rows(`SELECT count(*)::DOUBLE AS n FROM ${sqlName(drawn)}`);
  const hit = Number(row!["n"]);
  if (hit > 0) return hit;
  const first = `_key = (SELECT arg_min(_key, hash(_key)) FROM ${relation})`;
  await engine.run(`INSERT INTO ${sqlName(drawn)} ${draw(first)}`);
  return 0;
}

/** How many there are, by how many of them were drawn: of those whose hash is divided by `every`. */
async function countEntities(
  engine: QueryEngine,
  relation: string,
  drawn: number,
  every: number,
): Promise<Pick<BackfillCost, "entities" | "isApproximate">> {
  if (every === 1) return { entities: drawn, isApproximate: false };
  if (drawn >= DRAWN_MIN) return { entities: drawn * every, isApproximate: true };
  // There are fewer than this, as a draw goes: so that no more keys than can be held are counted.
  const fewer = (drawn + 10) * 2 * every;
  const part = Math.ceil(fewer / COUNTED_KEYS);
  const [row] = await engine.rows(
    `SELECT count(DISTINCT _key)::DOUBLE AS n FROM ${relation} WHERE hash(_key) % ${part} = 0`,
  );
  // One was drawn at least, whatever its hash.
  return { entities: Math.max(1, Number(row!["n"]) * part), isApproximate: part > 1 };
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
