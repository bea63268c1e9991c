/**
 * Archived events folded into a view's states, entity by entity, and handed over in parts.
 *
 * The engine sorts history and archived live events by (entity, offset), so each entity's state is folded in one go,
 * encoded once and never read back. Nothing is stored here: a part is plain data, so that another process may fold what
 * this one writes. What the view cannot take comes as dead letters, in the part whose states are past it or in one before.
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
import type { EntityKey } from "../schema/entity-key.ts";
import type { Value } from "../schema/value.ts";
import type { BackfillPace } from "./backfill-pace.ts";
import type { NewDeadLetter } from "./dead-letters.ts";
import { entityOf, FoldLetters, poison, type Refusal } from "./fold-letters.ts";
import type { RebuildPlace } from "./rebuild-place.ts";

/** Events folded between two looks at the pace. */
const EVENTS_PER_LOOK = 64;
/** Refused events kept back until their rows are read. */
const REFUSED_PER_PART = 10_000;

export interface ArchiveFoldRequest {
  readonly source: SourceDefinition;
  readonly view: {
    readonly definition: ViewDefinition;
    readonly fold: ViewFold;
    /** For a draft: tells its present definition from those before. */
    readonly draft?: string;
  };
  readonly files: EventFiles;
  /** Live offset behind the last event to fold; 0 for history alone. */
  readonly upTo: number;
  /** The states that `startingBytes` gives hold the history below this offset, and only what follows is folded. */
  readonly continueFrom?: number;
  /** Of an entity's state; null where it has none. Asked with `continueFrom` alone. */
  readonly startingBytes?: (key: EntityKey) => Uint8Array | null;
  /** Goes on behind it, with its counts. */
  readonly start: RebuildPlace | null;
  /** Of encoded states: a part that has more is handed over. */
  readonly partBytesMax: number;
  readonly pace?: BackfillPace;
  /** Told between parts, too. */
  readonly onEvents?: (eventsDone: number) => void;
  readonly signal?: AbortSignal;
}

/** States of whole entities, in the order of their keys. The arrays belong to whoever gets them. */
export interface FoldedStates {
  readonly keys: readonly EntityKey[];
  /** Of each, that of its last event. */
  readonly offsets: Float64Array;
  /** Event time of each one's last event, microseconds. */
  readonly lastEventTimes: Float64Array;
  /** Where each one's bytes end in `bytes`. */
  readonly ends: Int32Array;
  readonly bytes: Uint8Array;
}

export interface FoldedPart {
  /** To be durable before the states are. */
  readonly letters: readonly NewDeadLetter[];
  readonly states: FoldedStates;
  /** Behind the last state that was handed over, in this part or before; null while there was none. */
  readonly place: RebuildPlace | null;
  /** Of all events up to here, as in a place. */
  readonly counts: Omit<RebuildPlace, "afterKey">;
}

/** Throws `CANCELLED`, what the engine throws, and `STATE_CODEC` where a state to go on with cannot be read. */
export type ArchiveFolder = (request: ArchiveFoldRequest) => AsyncIterableIterator<FoldedPart>;

/** One that folds in this thread. */
export function foldArchiveWith(engine: QueryEngine): ArchiveFolder {
  return (request) => new ArchiveFold(engine, request).parts();
}

class ArchiveFold {
  readonly #engine: QueryEngine;
  readonly #request: ArchiveFoldRequest;
  readonly #fold: ViewFold;
  readonly #viewName: string;
  readonly #derivation: ViewDerivation | null;
  readonly #letters: FoldLetters;
  readonly #stored: Value[];
  #key: EntityKey | null = null;
  #state: ViewState;
  #events: number;
  #entities: number;
  #poisoned: number;
  #finished: { readonly key: EntityKey; readonly state: ViewState; readonly bytes: Uint8Array }[] = [];
  #finishedBytes = 0;
  /** Behind the last entity that is finished. */
  #place: RebuildPlace | null;
  /** Events that were refused since the last part. */
  #refused = new Map<number, Refusal>();

  constructor(engine: QueryEngine, request: ArchiveFoldRequest) {
    this.#engine = engine;
    this.#request = request;
    const { source, view, start } = request;
    this.#fold = view.fold;
    this.#viewName = formatViewName(view.definition);
    this.#derivation = deriveForView(view.definition, source);
    this.#letters = new FoldLetters(source, view.definition, view.draft);
    this.#stored = compileDerived(source).columns.map(() => null);
    this.#state = this.#fold.empty();
    [this.#events, this.#entities, this.#poisoned] = [start?.events ?? 0, start?.entities ?? 0, start?.poisoned ?? 0];
    this.#place = start;
  }

  async *parts(): AsyncIterableIterator<FoldedPart> {
    const { source, view, files, upTo, continueFrom, start, pace } = this.#request;
    const keylessTable = `keyless_${randomUUID()}`;
    const batches = readEventsByEntity(this.#engine, {
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
      ...(start === null ? {} : { afterKey: start.afterKey }),
    });
    try {
      for await (const batch of batches) {
        pace?.resume();
        yield* this.#foldBatch(batch);
        this.#request.onEvents?.(this.#events);
        this.#refuseCancelled();
      }
      // The last entity is whole only if the reading was.
      this.#refuseCancelled();
      this.#finishEntity();
      yield await this.#takePart();
      yield* this.#refuseKeyless(keylessTable);
    } finally {
      await this.#engine.run(`DROP TABLE IF EXISTS ${sqlName(keylessTable)}`);
    }
  }

  async *#foldBatch(batch: EntityEventBatch): AsyncIterableIterator<FoldedPart> {
    const { pace, partBytesMax } = this.#request;
    let entity = -1;
    for (let i = 0; i < batch.rowCount; i++) {
      if (batch.entity[i] !== entity) {
        entity = batch.entity[i]!;
        const key = batch.keyText(entity);
        // The first entity of a batch is often the last one of the batch before.
        if (key !== this.#key) {
          this.#finishEntity();
          if (this.#finishedBytes >= partBytesMax) yield await this.#takePart();
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
    if (this.#refused.size >= REFUSED_PER_PART) yield await this.#takePart();
  }

  #startingState(key: EntityKey): ViewState {
    const bytes = this.#request.startingBytes?.(key) ?? null;
    return bytes === null ? this.#fold.empty() : this.#fold.decode(bytes);
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

  #finishEntity(): void {
    if (this.#key === null || this.#state.lastOffset === Number.NEGATIVE_INFINITY) return;
    const bytes = this.#fold.encode(this.#state);
    this.#finished.push({ key: this.#key, state: this.#state, bytes });
    this.#finishedBytes += bytes.length;
    this.#entities++;
    this.#place = { afterKey: this.#key, ...this.#counts() };
  }

  async #takePart(): Promise<FoldedPart> {
    const states = packed(this.#finished, this.#finishedBytes);
    this.#finished = [];
    this.#finishedBytes = 0;
    // Letters of the entity that is not finished yet, too: to say them twice after a crash adds nothing.
    return { letters: await this.#takeLetters(), states, place: this.#place, counts: this.#counts() };
  }

  #counts(): FoldedPart["counts"] {
    return { events: this.#events, entities: this.#entities, poisoned: this.#poisoned };
  }

  /** The fold was given only the columns it needs; a letter shows the whole row. */
  async #takeLetters(): Promise<NewDeadLetter[]> {
    const { files, source } = this.#request;
    const refused = this.#refused;
    this.#refused = new Map();
    const letters: NewDeadLetter[] = [];
    for await (const rows of readEventRowsAt(this.#engine, files, source, [...refused.keys()])) {
      for (const event of rows) letters.push(this.#letters.ofArchived(event, refused.get(event.offset)!));
    }
    return letters;
  }

  /** Events let in before the view was registered, which asks for a key that they do not have. */
  async *#refuseKeyless(keylessTable: string): AsyncIterableIterator<FoldedPart> {
    const { files, source } = this.#request;
    const { deriveEach } = compileDerived(source);
    for await (const rows of readEventRows(this.#engine, files, source, keylessTable)) {
      const letters = rows.map((event) => {
        const faults = deriveEach(event.stored);
        const derived = { row: event.stored, ...(faults === null ? {} : { faults }) };
        const entity = entityOf(this.#fold, this.#derivation, derived);
        if ("refusal" in entity) return this.#letters.ofArchived(event, entity.refusal);
        throw new OnefoldError("INTERNAL", `the event at ${event.offset} has a key for ${this.#viewName} after all`);
      });
      this.#events += letters.length;
      this.#poisoned += letters.length;
      yield { letters, states: packed([], 0), place: this.#place, counts: this.#counts() };
    }
  }

  #refuseCancelled(): void {
    if (this.#request.signal?.aborted !== true) return;
    throw new OnefoldError("CANCELLED", `rebuilding ${this.#viewName} was cancelled`);
  }
}

function packed(
  finished: readonly { readonly key: EntityKey; readonly state: ViewState; readonly bytes: Uint8Array }[],
  length: number,
): FoldedStates {
  const states = {
    keys: finished.map(({ key }) => key),
    offsets: Float64Array.from(finished, ({ state }) => state.lastOffset),
    lastEventTimes: Float64Array.from(finished, ({ state }) => state.lastEventTime),
    ends: new Int32Array(finished.length),
    bytes: new Uint8Array(length),
  };
  let end = 0;
  for (const [i, { bytes }] of finished.entries()) {
    states.bytes.set(bytes, end);
    states.ends[i] = end += bytes.length;
  }
  return states;
}
