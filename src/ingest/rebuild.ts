/**
 * A view's states computed anew from the archive and the log: the same fold, entity by entity.
 *
 *     archive ──▶ archive-fold: here, or in another process ──▶ parts ──▶ dead letters, then states with their place
 *     log, behind what is archived ──▶ hot states ──────────────────────▶ the same
 *
 * The states end up holding exactly the events below `upTo`, in a space beside the live ones; switching is the caller's.
 *
 * Cut short, it goes on behind the last entity whose state was written (`places`), or is simply repeated: from nothing
 * the space is dropped first, and continued states skip the events at or below their last offset.
 */
import { OnefoldError } from "../base/errors.ts";
import { formatViewName } from "../define/definition.ts";
import { deriveForView, type ViewDerivation } from "../fold/derive.ts";
import { lastEventTimeIn } from "../fold/state-codec.ts";
import type { LocalOnlineStore, MetaWrite, StateSpace, StateWrite } from "../online-store/online-store.ts";
import { HISTORY_BASE } from "../schema/event-offset.ts";
import type { ArchiveFolder, ArchiveFoldRequest, FoldedPart, FoldedStates } from "./archive-fold.ts";
import type { NewDeadLetter } from "./dead-letters.ts";
import type { EventLog } from "./event-log.ts";
import { isErased, isRetraction, type LogEvent } from "./event.ts";
import { entityOf, FoldLetters, poison, type Refusal } from "./fold-letters.ts";
import type { HotStates } from "./hot-states.ts";
import { openHotStates } from "./open-hot-states.ts";
import type { RebuildPlaces } from "./rebuild-place.ts";
import { forgetTotals, SpaceTotals } from "./space-totals.ts";

/** Encoded states in one commit: few enough that a flush of live states, which waits for it, hardly does. */
const COMMIT_BYTES = 1024 * 1024;
/** Events of the log folded between two looks at the pace. */
const EVENTS_PER_LOOK = 64;
/** Changed states kept back while the log is folded. */
const DIRTY_STATES_MAX = 50_000;

export interface RebuildRequest extends Pick<
  ArchiveFoldRequest,
  "source" | "view" | "files" | "upTo" | "continueFrom" | "pace" | "signal"
> {
  readonly foldArchive: ArchiveFolder;
  /** Needed where `upTo` lies behind the archived live events. */
  readonly log: EventLog | null;
  readonly store: LocalOnlineStore;
  /** Emptied first, unless it is gone on with. */
  readonly space: StateSpace;
  /** That the space is of. */
  readonly epoch: number;
  /** Of a rebuild from nothing: where it stands, for one that follows when it is cut short. */
  readonly places?: RebuildPlaces;
  /** Encoded states in one commit. */
  readonly commitBytesMax?: number;
  /** Takes the events that the view cannot take, as the live fold gives them. */
  readonly deadLetters: { add(letters: readonly NewDeadLetter[]): Promise<unknown> };
  readonly onProgress?: (eventsDone: number, eventsTotal: number) => void;
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
 * Rebuilds one view. Throws `CANCELLED`, what folding the archive and the store throw, and `STATE_CODEC` where states
 * to continue cannot be read.
 */
export async function rebuildView(request: RebuildRequest): Promise<RebuildResult> {
  const isBegun = request.continueFrom !== undefined || (request.places?.start ?? null) !== null;
  if (!isBegun) {
    await request.store.commitAlone([], forgetTotals(request.store, request.space));
    await request.store.dropSpace(request.space, request.pace, request.signal);
  }
  const rebuild = new Rebuild(request);
  await rebuild.foldArchive();
  await rebuild.foldLog();
  return rebuild.finish();
}

class Rebuild {
  readonly #request: RebuildRequest;
  readonly #derivation: ViewDerivation | null;
  readonly #letters: FoldLetters;
  readonly #totals: SpaceTotals;
  readonly #total: number;
  #events: number;
  #entities: number;
  #poisoned: number;
  /** Letters of events of the log since the last commit. */
  #logLetters: NewDeadLetter[] = [];
  #committing: Promise<void> = Promise.resolve();

  constructor(request: RebuildRequest) {
    this.#request = request;
    const { store, space, source, view, files, continueFrom, upTo, places } = request;
    this.#derivation = deriveForView(view.definition, source);
    this.#letters = new FoldLetters(source, view.definition, view.draft);
    this.#totals = SpaceTotals.open(store, space, request.now(), () => store.scan(space));
    const start = places?.start ?? { events: 0, entities: 0, poisoned: 0 };
    [this.#events, this.#entities, this.#poisoned] = [start.events, start.entities, start.poisoned];
    this.#total = files.historyEnd - (continueFrom ?? HISTORY_BASE) + upTo;
  }

  /** To be called once all is folded. */
  finish(): RebuildResult {
    this.#request.onProgress?.(this.#total, this.#total);
    return { events: this.#events, entities: this.#entities, poisoned: this.#poisoned };
  }

  async foldArchive(): Promise<void> {
    const { foldArchive, source, view, files, upTo, continueFrom, places, pace, signal, store, space } = this.#request;
    const parts = foldArchive({
      source,
      view,
      files,
      upTo,
      start: places?.start ?? null,
      partBytesMax: this.#request.commitBytesMax ?? COMMIT_BYTES,
      onEvents: (events) => this.#report(events),
      ...(pace === undefined ? {} : { pace }),
      ...(signal === undefined ? {} : { signal }),
      ...(continueFrom === undefined ? {} : { continueFrom, startingBytes: (key) => store.get(space, key) }),
    });
    try {
      for await (const part of parts) {
        await this.#take(part);
        this.#refuseCancelled();
      }
    } finally {
      await this.#committing;
    }
  }

  /** The commit goes on while the fold does; the next part waits for it. */
  async #take({ letters, states, place, counts }: FoldedPart): Promise<void> {
    const { places, pace, deadLetters } = this.#request;
    await this.#committing;
    if (letters.length > 0) await deadLetters.add(letters);
    [this.#events, this.#entities, this.#poisoned] = [counts.events, counts.entities, counts.poisoned];
    if (states.keys.length === 0) return;
    pace?.resume();
    this.#commit(this.#writesOf(states), places === undefined || place === null ? [] : [places.meta(place)]);
    await pace?.rest();
  }

  #writesOf({ keys, offsets, lastEventTimes, ends, bytes }: FoldedStates): StateWrite[] {
    const { space, epoch, store, continueFrom } = this.#request;
    return keys.map((key, i) => {
      const state = bytes.subarray(i === 0 ? 0 : ends[i - 1], ends[i]);
      const former = continueFrom === undefined ? null : store.get(space, key);
      this.#totals.moved(former === null ? Number.NEGATIVE_INFINITY : lastEventTimeIn(former), lastEventTimes[i]!);
      this.#totals.grew(state.length - (former?.length ?? 0));
      return { space, key, epoch, offset: offsets[i]!, bytes: state };
    });
  }

  /** Events below `upTo` that the archive did not hold when its files were listed. */
  async foldLog(): Promise<void> {
    const { files, log, upTo, store, space, epoch, pace, view, deadLetters } = this.#request;
    if (upTo <= files.liveEnd) return;
    if (log === null)
      throw new OnefoldError("INTERNAL", `a rebuild up to ${upTo} needs the log behind ${files.liveEnd}`);
    const hot = openHotStates({ fold: view.fold, store, space, epoch });
    hot.totals = this.#totals;
    const flush = async (): Promise<void> => {
      const { states, committed } = hot.takeWrites();
      const letters = this.#logLetters;
      this.#logLetters = [];
      if (letters.length > 0) await deadLetters.add(letters);
      // No place: the log is folded again from its beginning where this is cut short.
      if (states.length > 0) this.#commit(states, []);
      await this.#committing;
      committed();
    };
    for await (const events of log.read(files.liveEnd)) {
      for (const [i, event] of events.entries()) {
        if (event.offset < upTo) this.#foldInto(hot, event);
        if (pace !== undefined && i % EVENTS_PER_LOOK === 0 && pace.isDue) await pace.rest();
      }
      this.#refuseCancelled();
      this.#report(this.#events);
      if (hot.dirtyCount >= DIRTY_STATES_MAX) await flush();
      if (events.at(-1)!.offset >= upTo - 1) break;
    }
    await flush();
  }

  #foldInto(hot: HotStates, event: LogEvent): void {
    const { fold } = this.#request.view;
    this.#events++;
    if (isErased(event)) return;
    if (isRetraction(event))
      throw new OnefoldError(
        "INTERNAL",
        `the retraction at ${event.offset} is folded from the archive, which lacks it`,
      );
    const entity = entityOf(fold, this.#derivation, event);
    if ("refusal" in entity) {
      this.#refuseFromLog(event, entity.refusal);
      return;
    }
    const entry = hot.entry(entity.key);
    const isNew = entry.state.lastOffset === Number.NEGATIVE_INFINITY;
    const outcome = fold.fold(entry.state, event);
    if (outcome.kind === "folded") {
      hot.markDirty(entry);
      if (isNew) this.#entities++;
    } else if (outcome.kind === "poison") this.#refuseFromLog(event, poison(outcome.message));
  }

  #refuseFromLog(event: LogEvent, refusal: Refusal): void {
    this.#logLetters.push(this.#letters.ofLive(event.offset, event.row, refusal));
    this.#poisoned++;
  }

  #report(events: number): void {
    this.#request.onProgress?.(events, Math.max(events, this.#total));
  }

  #refuseCancelled(): void {
    const { signal, view } = this.#request;
    if (signal?.aborted !== true) return;
    throw new OnefoldError("CANCELLED", `rebuilding ${formatViewName(view.definition)} was cancelled`);
  }

  /** Only once the one before is done. */
  #commit(states: readonly StateWrite[], metas: readonly MetaWrite[]): void {
    const { store, now } = this.#request;
    this.#committing = store.commitAlone(states, [...metas, ...this.#totals.takeWrites(now())]);
    // Whoever waits for it next gets its error; until then it is not an unhandled one.
    this.#committing.catch(() => {});
  }
}
