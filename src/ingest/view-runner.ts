/**
 * Folds a source's events, in order, into the states of one view, and gives the flush what changed.
 *
 * Its position is the offset behind the last event folded; position, states, feature-row notes and outbox
 * are taken together by `takeWrites`, between two events, so that one commit holds exactly what the events
 * up to the position made of them.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Micros } from "../base/micros.ts";
import {
  type EntityDefinition,
  formatViewName,
  type SourceDefinition,
  type ViewDefinition,
} from "../define/definition.ts";
import { deriveForView, type ViewDerivation } from "../fold/derive.ts";
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import type { MetaWrite, LocalOnlineStore, StateSpace, StateWrite } from "../online-store/online-store.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { NewDeadLetter } from "./dead-letters.ts";
import { ChangeCounts } from "../online-store/change-counts.ts";
import type { RefoldedRun } from "./correction-run.ts";
import { isErased, isRetraction, type LogEvent } from "./event.ts";
import { FeatureRows } from "./feature-rows.ts";
import type { TailPlace, TailReader } from "./event-tail.ts";
import { entityOf, FoldLetters, poison, type Refusal } from "./fold-letters.ts";
import { EntitySlots } from "./entity-slots.ts";
import type { HotStates } from "./hot-states.ts";
import { openHotStates } from "./open-hot-states.ts";
import { SpaceTotals } from "./space-totals.ts";
import { readStoredView, stateSpace, type StoredView, viewMetaName } from "./stored-view.ts";
import type { TailGroup, TailMember } from "./tail-group.ts";
import { TailedStates } from "./tailed-states.ts";

export interface PipelineView {
  /** For a draft: tells its present definition from those before. */
  readonly draft?: string;
  readonly definition: ViewDefinition;
  readonly entity: EntityDefinition;
  readonly fold: ViewFold;
  /** Where a view begins that the store has no position of: default epoch 0 at offset 0. */
  readonly start?: { readonly epoch: number; readonly position: number; readonly space?: StateSpace };
}

export interface ViewRunnerOptions {
  readonly view: PipelineView;
  readonly store: LocalOnlineStore;
  readonly source: SourceDefinition;
  readonly clock: Clock;
  readonly hotCountMax?: number;
  /** Of each view: see `HotStatesOptions`. */
  readonly hotBytesMax?: () => number;
  readonly hotHeapBytesMax?: () => number;
  readonly tailReader: TailReader;
  /** Both shared by the views of the same entities; else its own. */
  readonly slots?: EntitySlots;
  readonly changes?: ChangeCounts;
}

export class ViewRunner implements TailMember {
  readonly name: string;
  readonly view: PipelineView;
  readonly #options: ViewRunnerOptions;
  readonly #rows: FeatureRows | null;
  readonly #letters: FoldLetters;
  readonly #derivation: ViewDerivation | null;
  readonly #stored: TailedStates;
  /** How often an entity's state has changed, or another's states have taken the place of all. */
  readonly changes: ChangeCounts;
  #hot: HotStates;
  #epoch: number;
  #position: number;
  #storedPosition: number;
  /** What the view has taken since the runner was made. */
  readonly cost = { foldSeconds: 0, encodeSeconds: 0, eventsFolded: 0, bytesWritten: 0 };
  #poisoned: NewDeadLetter[] = [];
  #spaceChanged = false;
  /** Takes the events that are folded, so that the states need not be written for each; null where none does. */
  #tails: TailGroup | null = null;

  constructor(options: ViewRunnerOptions, place?: StoredView) {
    this.#options = options;
    this.view = options.view;
    this.changes = options.changes ?? new ChangeCounts();
    this.name = formatViewName(options.view.definition);
    this.#letters = new FoldLetters(options.source, options.view.definition, options.view.draft);
    this.#derivation = deriveForView(options.view.definition, options.source);
    const stored = place ?? readStoredView(options.store, this.name);
    this.#epoch = stored?.epoch ?? options.view.start?.epoch ?? 0;
    this.#position = stored?.position ?? options.view.start?.position ?? 0;
    this.#storedPosition = stored === null ? Number.NEGATIVE_INFINITY : this.#position;
    const { store, tailReader } = options;
    this.#stored = new TailedStates({
      store,
      tailReader,
      view: { fold: options.view.fold, derivation: this.#derivation },
      position: () => this.#position,
    });
    if (place === undefined) this.#stored.tails = stored?.tails ?? null;
    this.#hot = this.#openHot(
      stored?.space ?? options.view.start?.space ?? stateSpace(this.name, this.#epoch),
      this.#epoch,
    );
    this.#rows = !options.view.definition.offline
      ? null
      : new FeatureRows({
          store: options.store,
          view: this.name,
          fold: options.view.fold,
          nextSequence: stored?.nextSequence ?? 0,
          slots: options.slots ?? new EntitySlots(),
          state: (key) => this.state(key),
          epoch: () => this.#epoch,
        });
  }

  get epoch(): number {
    return this.#epoch;
  }

  get space(): StateSpace {
    return this.#hot.space;
  }

  /** Of its states as they are stored, or about to be. */
  get totals(): SpaceTotals {
    return this.#hot.totals!;
  }

  /** Offset of the next event to fold. */
  get position(): number {
    return this.#position;
  }

  get hasWrites(): boolean {
    const isBehind = this.#position !== this.#storedPosition || this.#spaceChanged || this.#hot.dirtyCount > 0;
    return isBehind || (this.#rows?.hasWrites ?? false);
  }

  /** Feature rows of closed minutes that are still to be read. */
  get dueRows(): number {
    return this.#rows?.dueCount ?? 0;
  }

  /** Whether rows of closed minutes are not read yet, or read and not written. */
  get hasRowsToWrite(): boolean {
    return this.#rows?.hasRowsToWrite ?? false;
  }

  /** States changed since the last flush began, in their tails or else. */
  get dirtyCount(): number {
    return this.#hot.dirtyCount;
  }

  /** Dead letters since the last flush began. */
  get letterCount(): number {
    return this.#poisoned.length;
  }

  /** Live state of an entity, or null where it is unseen. Good until another is asked for, and not past the turn. */
  state(key: EntityKey): ViewState | null {
    return this.#hot.get(key);
  }

  get tailPlace(): TailPlace | null {
    return this.#stored.tails;
  }

  /** From now on what is folded is in the group's tails before. States that changed until now are written whole. */
  joinTails(group: TailGroup): void {
    this.#tails = group;
    if (this.#stored.tails?.space === group.space) return;
    this.#stored.tails = { space: group.space, from: this.#position };
    this.#spaceChanged = true;
  }

  /** To be called once every state that had a tail is written whole. */
  leaveTails(): void {
    this.#tails = null;
    this.#stored.tails = null;
    this.#spaceChanged = true;
  }

  /** To be called once it is run no more. */
  leaveMemory(): void {
    this.#hot.leave();
    this.#rows?.leave();
  }

  keyOf(event: LogEvent): EntityKey | null {
    try {
      return this.view.fold.keyOf(event.row);
    } catch {
      return null;
    }
  }

  storedBytes(key: EntityKey): number {
    return this.#hot.bytesOf(key);
  }

  writeWhole(key: EntityKey): void {
    const entry = this.#hot.entry(key);
    if (entry.state.lastOffset !== Number.NEGATIVE_INFINITY) this.#hot.markDirty(entry);
  }

  /** Changed states that the next commit writes whole. */
  get wholeCount(): number {
    return this.#hot.wholeCount;
  }

  /** Every state as it is in the store, its tail folded in. In key order. */
  storedStates(after?: EntityKey): IterableIterator<{ readonly key: EntityKey; readonly bytes: Uint8Array }> {
    return this.#stored.scan(this.space, after);
  }

  /** Folds `events[from..to)`; those below the position are skipped. */
  fold(events: readonly LogEvent[], from: number, to: number): void {
    const beganMs = performance.now();
    for (let i = from; i < to; i++) {
      const event = events[i]!;
      if (event.offset < this.#position) continue;
      if (event.offset > this.#position) {
        throw new OnefoldError("INTERNAL", `view ${this.name} is at ${this.#position} and was handed ${event.offset}`);
      }
      this.#foldOne(event, this.#tails?.takenKey(i - from) ?? null, this.#tails?.isTaken(i - from) ?? false);
      this.#position = event.offset + 1;
    }
    this.cost.foldSeconds += (performance.now() - beganMs) / 1000;
    this.cost.eventsFolded += to - from;
  }

  /** Folds a run of corrections as one piece, given what it does to this view. */
  foldRun(run: readonly LogEvent[], { states, hit, takenBack }: RefoldedRun<ViewState>): void {
    const { fold } = this.view;
    if (run[0]!.offset !== this.#position)
      throw new OnefoldError("INTERNAL", `view ${this.name} is at ${this.#position} and was handed ${run[0]!.offset}`);
    for (const [key, state] of states) {
      this.#rows?.beforeFold(key, run[0]!.knownTime);
      this.#hot.markDirty(this.#hot.replace(key, state));
      this.changes.changed(key);
      this.#rows?.folded(key);
    }
    for (const event of run) {
      for (const key of hit.get(event.offset) ?? []) {
        const entry = this.#hot.entry(key);
        fold.fold(entry.state, event);
        this.#hot.markDirty(entry);
      }
      if (!isRetraction(event) && !takenBack.has(event.offset)) this.#foldOne(event, null, false);
      this.#position = event.offset + 1;
    }
  }

  #foldOne(event: LogEvent, takenKey: EntityKey | null, isInTail: boolean): void {
    const { fold } = this.view;
    if (Number.isNaN(event.eventTime)) {
      if (isErased(event)) return;
      throw new OnefoldError("INTERNAL", `view ${this.name} was handed the retraction at ${event.offset} as an event`);
    }
    let key = takenKey;
    if (key === null || event.faults !== undefined) {
      const entity = entityOf(fold, this.#derivation, event);
      if ("refusal" in entity) {
        this.#refuse(event, entity.refusal);
        return;
      }
      key = entity.key;
    }
    this.#rows?.beforeFold(key, event.knownTime);
    const entry = this.#hot.entry(key);
    const outcome = fold.fold(entry.state, event);
    if (outcome.kind === "folded") {
      this.#hot.markDirty(entry, isInTail);
      this.changes.changed(key);
      this.#rows?.folded(key);
    } else if (outcome.kind === "poison") this.#refuse(event, poison(outcome.message));
  }

  #refuse(event: LogEvent, refusal: Refusal): void {
    this.#poisoned.push(this.#letters.ofLive(event.offset, event.row, refusal));
  }

  /** No event will become known before `time` any more. */
  closeBefore(time: number): void {
    this.#rows?.closeBefore(time);
  }

  /** Whether entities changed in a minute that `time` would close. */
  hasMinuteBefore(time: number): boolean {
    return this.#rows?.hasMinuteBefore(time) ?? false;
  }

  captureDue(rowsMax: number): void {
    this.#rows?.captureDue(rowsMax);
  }

  /**
   * What the flush that begins now must write. Its dead letters must be durable before the commit, for the
   * events they stand for will not be folded again after it; `committed` is to be called once it is done.
   */
  takeWrites(flushedAt: Micros): {
    states: StateWrite[];
    metas: MetaWrite[];
    /** Of the states: for whatever writes them. */
    totals: MetaWrite[];
    letters: NewDeadLetter[];
    committed(): void;
  } {
    const beganMs = performance.now();
    const hot = this.#hot.takeWrites();
    this.cost.encodeSeconds += (performance.now() - beganMs) / 1000;
    for (const { bytes } of hot.states) this.cost.bytesWritten += bytes.length;
    const metas = this.#rows?.takeWrites() ?? [];
    const letters = this.#poisoned;
    this.#poisoned = [];
    const stored: StoredView = {
      space: this.space,
      epoch: this.#epoch,
      position: this.#position,
      nextSequence: this.#rows?.nextSequence ?? 0,
      flushedAt,
      ...(this.#stored.tails === null ? {} : { tails: this.#stored.tails }),
    };
    metas.push({ name: viewMetaName(this.name), bytes: new Uint8Array(Buffer.from(JSON.stringify(stored))) });
    this.#storedPosition = this.#position;
    this.#spaceChanged = false;
    return { states: hot.states, metas, totals: this.totals.takeWrites(flushedAt), letters, committed: hot.committed };
  }

  /** A runner on other states of the same view, at another position, to catch up before `switchTo`. */
  successor(epoch: number, space: StateSpace, position: number): ViewRunner {
    const view: PipelineView = { ...this.view, definition: { ...this.view.definition, offline: false } };
    return new ViewRunner({ ...this.#options, view }, { epoch, space, position, nextSequence: 0 });
  }

  /** Takes over the states of a successor that stands at this runner's position, between two events. */
  switchTo(successor: ViewRunner): void {
    if (successor.#position !== this.#position) {
      throw new OnefoldError(
        "INTERNAL",
        `view ${this.name} cannot switch from ${this.#position} to ${successor.#position}`,
      );
    }
    this.#hot.leave();
    this.#hot = successor.#hot;
    this.#hot.catchUp = (key, state) => this.#stored.catchUp(key, state);
    // The successor writes its states whole, and those it has not written yet are still to be.
    if (this.#stored.tails !== null) this.#stored.tails = { ...this.#stored.tails, from: this.#position };
    this.changes.allChanged();
    this.#epoch = successor.#epoch;
    // Not spread into a call: there may be more of them than a call takes arguments.
    this.#poisoned = this.#poisoned.concat(successor.#poisoned);
    this.#spaceChanged = true;
  }

  #openHot(space: StateSpace, epoch: number): HotStates {
    const { view, store, clock, hotCountMax, hotBytesMax, hotHeapBytesMax, slots } = this.#options;
    const hot = openHotStates({
      fold: view.fold,
      store,
      space,
      epoch,
      ...(hotCountMax === undefined ? {} : { countMax: hotCountMax }),
      ...(hotBytesMax === undefined ? {} : { bytesMax: hotBytesMax }),
      ...(hotHeapBytesMax === undefined ? {} : { heapBytesMax: hotHeapBytesMax }),
      ...(slots === undefined ? {} : { slots }),
    });
    hot.catchUp = (key, state) => this.#stored.catchUp(key, state);
    hot.totals = SpaceTotals.open(store, space, clock.now(), () => this.#stored.scan(space));
    return hot;
  }
}
