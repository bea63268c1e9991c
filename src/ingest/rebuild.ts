/**
 * A view's states computed anew from the archive and the log: the same fold, entity by entity.
 *
 * The engine sorts history and archived live events by (entity, offset), so each entity's state is folded in
 * one go, encoded once and never read back; what the archive does not hold yet comes from the log. The states
 * end up holding exactly the events below `upTo`, in a space beside the live ones; switching is the caller's.
 *
 * Cut short, it goes on behind the last entity whose state was written (`places`), or is simply repeated: from nothing
 * the space is dropped first, and continued states skip the events at or below their last offset.
 */
import { randomUUID } from "node:crypto";
import { messageOf, OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import { formatViewName, type SourceDefinition, type ViewDefinition } from "../define/definition.ts";
import { compileDerived, deriveForView, keyFromStored, type ViewDerivation } from "../fold/derive.ts";
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import { type QueryEngine, sqlName } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { type EntityEventBatch, readEventsByEntity } from "../offline-store/event-reader.ts";
import { readEventRows, readEventRowsAt } from "../offline-store/event-rows.ts";
import type { LocalOnlineStore, StateSpace, StateWrite } from "../online-store/online-store.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { HISTORY_BASE } from "../schema/event-offset.ts";
import type { Value } from "../schema/value.ts";
import type { NewDeadLetter } from "./dead-letters.ts";
import type { EventLog } from "./event-log.ts";
import { isErased, isRetraction, type LogEvent } from "./event.ts";
import { entityOf, FoldLetters, poison, type Refusal } from "./fold-letters.ts";
import type { BackfillPace } from "./backfill-pace.ts";
import { HotStates } from "./hot-states.ts";
import type { RebuildPlace, RebuildPlaces } from "./rebuild-place.ts";
import { forgetTotals, SpaceTotals } from "./space-totals.ts";

/** Encoded states in one commit: few enough that a flush of live states, which waits for it, hardly does. */
const COMMIT_BYTES = 1024 * 1024;
/** Events folded between two looks at the pace. */
const EVENTS_PER_LOOK = 64;
/** Dead letters kept back until their rows are read. */
const LETTERS_PER_COMMIT = 10_000;
/** Changed states kept back while the log is folded. */
const DIRTY_STATES_MAX = 50_000;

export interface RebuildRequest {
  readonly source: SourceDefinition;
  readonly view: {
    readonly definition: ViewDefinition;
    readonly fold: ViewFold;
    /** For a draft: tells its present definition from those before. */
    readonly draft?: string;
  };
  readonly files: EventFiles;
  readonly engine: QueryEngine;
  /** Needed where `upTo` lies behind the archived live events. */
  readonly log: EventLog | null;
  readonly store: LocalOnlineStore;
  /** Emptied first, unless it is gone on with. */
  readonly space: StateSpace;
  /** That the space is of. */
  readonly epoch: number;
  /** Live offset behind the last event to fold; 0 for history alone. */
  readonly upTo: number;
  /** The states in `space` hold the history below this offset, and only what follows is folded. */
  readonly continueFrom?: number;
  /** Of a rebuild from nothing: where it stands, for one that follows when it is cut short. */
  readonly places?: RebuildPlaces;
  /** Encoded states in one commit. */
  readonly commitBytesMax?: number;
  /** Default: as fast as it can. */
  readonly pace?: BackfillPace;
  /** Takes the events that the view cannot take, as the live fold gives them. */
  readonly deadLetters: { add(letters: readonly NewDeadLetter[]): Promise<unknown> };
  readonly onProgress?: (eventsDone: number, eventsTotal: number) => void;
  readonly signal?: AbortSignal;
  /** The clock's time. */
  now(): number;
}

export interface RebuildResult {
  readonly events: number;
  readonly entities: number;
  /** Events that became dead letters. */
  readonly poisoned: number;
}

/**
 * Rebuilds one view. Throws `CANCELLED`, what the engine and the store throw, and `STATE_CODEC` where states
 * to continue cannot be read.
 */
export async function rebuildView(request: RebuildRequest): Promise<RebuildResult> {
  const isBegun = request.continueFrom !== undefined || (request.places?.start ?? null) !== null;
  if (!isBegun) {
    await request.store.commitAlone([], forgetTotals(request.store, request.space));
    await request.store.dropSpace(request.space);
  }
  const rebuild = new Rebuild(request);
  await rebuild.foldArchive();
  await rebuild.foldLog();
  return rebuild.finish();
}

class Rebuild {
  readonly #request: RebuildRequest;
  readonly #fold: ViewFold;
  readonly #viewName: string;
  readonly #derivation: ViewDerivation | null;
  readonly #letters: FoldLetters;
  readonly #totals: SpaceTotals;
  readonly #stored: Value[];
  readonly #total: number;
  #key: EntityKey | null = null;
  #state: ViewState;
  /** Of the state that the entity had, where it had one. */
  #countedTime: number = Number.NEGATIVE_INFINITY;
  #countedBytes = 0;
  #events: number;
  #entities: number;
  #poisoned: number;
  #writes: StateWrite[] = [];
  #writeBytes = 0;
  /** Behind the last entity among `#writes`. */
  #place: RebuildPlace | null = null;
  /** Archived events that were refused since the last commit. */
  #refused = new Map<number, Refusal>();
  /** Letters of events of the log since the last commit. */
  #logLetters: NewDeadLetter[] = [];
  #committing: Promise<void> = Promise.resolve();

  constructor(request: RebuildRequest) {
    this.#request = request;
    this.#fold = request.view.fold;
    this.#viewName = formatViewName(request.view.definition);
    this.#derivation = deriveForView(request.view.definition, request.source);
    this.#letters = new FoldLetters(request.source, request.view.definition, request.view.draft);
    this.#stored = compileDerived(request.source).columns.map(() => null);
    this.#state = this.#fold.empty();
    const { store, space } = request;
    this.#totals = SpaceTotals.open(store, space, request.now(), () => store.scan(space));
    const start = request.places?.start ?? { events: 0, entities: 0, poisoned: 0 };
    [this.#events, this.#entities, this.#poisoned] = [start.events, start.entities, start.poisoned];
    const { historyEnd } = request.files;
    this.#total = historyEnd - (request.continueFrom ?? HISTORY_BASE) + request.upTo;
  }

  /** To be called once all is folded. */
  finish(): RebuildResult {
    this.#request.onProgress?.(this.#total, this.#total);
    return { events: this.#events, entities: this.#entities, poisoned: this.#poisoned };
  }

  async foldArchive(): Promise<void> {
    const { engine, source, view, files, upTo, continueFrom, places, pace } = this.#request;
    const keylessTable = `keyless_${randomUUID()}`;
    const batches = readEventsByEntity(engine, {
      files,
      source,
      keyColumns: view.definition.key,
      derivedKey: keyFromStored(source, view.definition.key, this.#fold),
      columns: this.#fold.inputColumns,
      order: "offset",
      survivorsOnly: true,
      beforeOffset: upTo,
      withKeys: true,
      keylessTable,
      ...(continueFrom === undefined ? {} : { fromOffset: continueFrom }),
      ...((places?.start ?? null) === null ? {} : { afterKey: places!.start!.afterKey }),
    });
    try {
      for await (const batch of batches) {
        pace?.resume();
        await this.#foldBatch(batch);
        this.#report();
      }
      await this.#finishEntity();
      await this.#refuseKeyless(keylessTable);
      await this.#commit();
    } finally {
      await this.#committing;
      await engine.run(`DROP TABLE IF EXISTS ${sqlName(keylessTable)}`);
    }
  }

  /** Events let in before the view was registered, which asks for a key that they do not have. */
  async #refuseKeyless(keylessTable: string): Promise<void> {
    const { engine, files, source, deadLetters } = this.#request;
    const { deriveEach } = compileDerived(source);
    for await (const rows of readEventRows(engine, files, source, keylessTable)) {
      const letters = rows.map((event) => {
        const faults = deriveEach(event.stored);
        const derived = { row: event.stored, ...(faults === null ? {} : { faults }) };
        const entity = entityOf(this.#fold, this.#derivation, derived);
        if ("refusal" in entity) return this.#letters.ofArchived(event, entity.refusal);
        throw new OnefoldError("INTERNAL", `the event at ${event.offset} has a key for ${this.#viewName} after all`);
      });
      this.#events += letters.length;
      this.#poisoned += letters.length;
      await deadLetters.add(letters);
    }
  }

  /** Events below `upTo` that the archive did not hold when its files were listed. */
  async foldLog(): Promise<void> {
    const { files, log, upTo, store, space, epoch, pace } = this.#request;
    if (upTo <= files.liveEnd) return;
    if (log === null)
      throw new OnefoldError("INTERNAL", `a rebuild up to ${upTo} needs the log behind ${files.liveEnd}`);
    const hot = new HotStates({ fold: this.#fold, store, space, epoch });
    hot.totals = this.#totals;
    const flush = async (): Promise<void> => {
      const { states, committed } = hot.takeWrites();
      this.#writes = states;
      await this.#commit();
      await this.#committing;
      committed();
    };
    for await (const events of log.read(files.liveEnd)) {
      for (const [i, event] of events.entries()) {
        if (event.offset < upTo) this.#foldInto(hot, event);
        if (pace !== undefined && i % EVENTS_PER_LOOK === 0 && pace.isDue) await pace.rest();
      }
      this.#report();
      if (hot.dirtyCount >= DIRTY_STATES_MAX) await flush();
      if (events.at(-1)!.offset >= upTo - 1) break;
    }
    await flush();
  }

  #foldInto(hot: HotStates, event: LogEvent): void {
    this.#events++;
    if (isErased(event)) return;
    if (isRetraction(event))
      throw new OnefoldError(
        "INTERNAL",
        `the retraction at ${event.offset} is folded from the archive, which lacks it`,
      );
    const entity = entityOf(this.#fold, this.#derivation, event);
    if ("refusal" in entity) {
      this.#refuseFromLog(event, entity.refusal);
      return;
    }
    const entry = hot.entry(entity.key);
    const isNew = entry.state.lastOffset === Number.NEGATIVE_INFINITY;
    const outcome = this.#fold.fold(entry.state, event);
    if (outcome.kind === "folded") {
      hot.markDirty(entry);
      if (isNew) this.#entities++;
    } else if (outcome.kind === "poison") this.#refuseFromLog(event, poison(outcome.message));
  }

  #refuseFromLog(event: LogEvent, refusal: Refusal): void {
    this.#logLetters.push(this.#letters.ofLive(event.offset, event.row, refusal));
    this.#poisoned++;
  }

  #report(): void {
    this.#refuseCancelled();
    this.#request.onProgress?.(this.#events, Math.max(this.#events, this.#total));
  }

  #refuseCancelled(): void {
    if (this.#request.signal?.aborted !== true) return;
    throw new OnefoldError("CANCELLED", `rebuilding ${this.#viewName} was cancelled`);
  }

  async #foldBatch(batch: EntityEventBatch): Promise<void> {
    const { pace } = this.#request;
    let entity = -1;
    for (let i = 0; i < batch.rowCount; i++) {
      if (batch.entity[i] !== entity) {
        entity = batch.entity[i]!;
        const key = batch.keyText(entity);
        // The first entity of a batch is often the last one of the batch before.
        if (key !== this.#key) {
          await this.#finishEntity();
          this.#key = key;
          this.#state = this.#startingState(key);
        }
      }
      batch.fillRow(i, this.#stored);
      this.#foldOne(batch.offset[i]!, batch.eventTime[i]! as Micros, batch.knownTime[i]! as Micros);
      this.#events++;
      if (pace !== undefined && i % EVENTS_PER_LOOK === 0 && pace.isDue) {
        await pace.rest();
        this.#refuseCancelled();
      }
    }
    if (this.#refused.size >= LETTERS_PER_COMMIT) await this.#commit();
  }

  #startingState(key: EntityKey): ViewState {
    const { store, space, continueFrom } = this.#request;
    const bytes = continueFrom === undefined ? null : store.get(space, key);
    const state = bytes === null ? this.#fold.empty() : this.#fold.decode(bytes);
    this.#countedTime = state.lastEventTime;
    this.#countedBytes = bytes?.length ?? 0;
    return state;
  }

  #foldOne(offset: number, eventTime: Micros, knownTime: Micros): void {
    if (Number.isNaN(eventTime)) {
      this.#fold.fold(this.#state, { offset, eventTime, knownTime, row: this.#stored });
      return;
    }
    let message: string;
    try {
      const row = this.#derivation === null ? this.#stored : this.#derivation.derive(this.#stored);
      const outcome = this.#fold.fold(this.#state, { offset, eventTime, knownTime, row });
      if (outcome.kind !== "poison") return;
      message = outcome.message;
    } catch (error) {
      // Only a derived column declared after the event was let in can throw here.
      message = messageOf(error);
    }
    this.#refused.set(offset, poison(message));
    this.#poisoned++;
  }

  async #finishEntity(): Promise<void> {
    if (this.#key === null || this.#state.lastOffset === Number.NEGATIVE_INFINITY) return;
    const bytes = this.#fold.encode(this.#state);
    const { space, epoch } = this.#request;
    this.#writes.push({ space, key: this.#key, epoch, offset: this.#state.lastOffset, bytes });
    this.#writeBytes += bytes.length;
    this.#totals.moved(this.#countedTime, this.#state.lastEventTime);
    this.#totals.grew(bytes.length - this.#countedBytes);
    this.#entities++;
    this.#place = {
      afterKey: this.#key,
      events: this.#events,
      entities: this.#entities,
      poisoned: this.#poisoned,
    };
    if (this.#writeBytes >= (this.#request.commitBytesMax ?? COMMIT_BYTES)) await this.#commit();
  }

  /** Dead letters first, then the states. The commit goes on while the fold does; the next one waits for it. */
  async #commit(): Promise<void> {
    const [states, place] = [this.#writes, this.#place];
    const totals = this.#totals.takeWrites(this.#request.now());
    this.#writes = [];
    this.#writeBytes = 0;
    await this.#committing;
    await this.#writeLetters();
    const { places, store } = this.#request;
    const metas = places === undefined || place === null ? [] : [places.meta(place)];
    if (states.length > 0) this.#committing = store.commitAlone(states, [...metas, ...totals]);
    // Whoever waits for it next gets its error; until then it is not an unhandled one.
    this.#committing.catch(() => {});
  }

  /** The fold was given only the columns it needs; a letter shows the whole row. */
  async #writeLetters(): Promise<void> {
    const { engine, files, source, deadLetters } = this.#request;
    const [refused, logLetters] = [this.#refused, this.#logLetters];
    this.#refused = new Map();
    this.#logLetters = [];
    for await (const rows of readEventRowsAt(engine, files, source, [...refused.keys()])) {
      await deadLetters.add(rows.map((event) => this.#letters.ofArchived(event, refused.get(event.offset)!)));
    }
    if (logLetters.length > 0) await deadLetters.add(logLetters);
  }
}
