/**
 * Writes what a source's events have made into the online store: one commit of everything while that is
 * little, else one for each view, so that none takes long.
 *
 * Each commit is taken in one turn, between two events: the states, notes and outbox of a view together with
 * its position and the tails; the ids together with the source's position. Dead letters of the fold are made durable
 * before the commit that moves the position past their events.
 */
import type { Clock } from "../base/clock.ts";
import { diagnostics } from "../base/diagnostics.ts";
import type { MetaWrite, LocalOnlineStore } from "../online-store/online-store.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { EventIds } from "./event-ids.ts";
import type { FileEventLog } from "./file-event-log.ts";
import { readSourcePlace, type SourcePlace, sourcePlaceMeta } from "./source-place.ts";
import type { SourceTails } from "./source-tails.ts";
import { nextTurn } from "./turns.ts";
import type { ViewRunner } from "./view-runner.ts";

const STATES_PER_COMMIT = 5000;
/** Feature rows of closed minutes that a commit itself reads of each view; most are read in between (`due-rows.ts`). */
const ROWS_PER_COMMIT = 20;

export interface SourceCommitterOptions {
  readonly source: string;
  readonly store: LocalOnlineStore;
  readonly deadLetters: DeadLetters;
  readonly ids: EventIds;
  readonly tails: SourceTails;
  readonly log: FileEventLog;
  readonly clock: Clock;
  readonly statesPerCommit: number | undefined;
  lastEventAt(): number;
}

export class SourceCommitter {
  readonly #options: SourceCommitterOptions;
  #stored: SourcePlace;

  constructor(options: SourceCommitterOptions) {
    this.#options = options;
    this.#stored = readSourcePlace(options.store, options.source);
  }

  /** How far the store has come, or is about to with the commit under way. */
  get stored(): SourcePlace {
    return this.#stored;
  }

  /** `position` is read at each commit. Rejects as the store and the dead letters do; then memory is ahead of both. */
  async commit(runners: readonly ViewRunner[], position: () => number, onCommitted: () => void): Promise<void> {
    const { statesPerCommit = STATES_PER_COMMIT, tails } = this.#options;
    tails.beginFlush();
    const writes = runners.reduce((sum, runner) => sum + runner.wholeCount, tails.dirtyCount);
    const groups = writes <= statesPerCommit ? [runners] : runners.map((runner) => [runner]);
    for (const [i, group] of groups.entries()) {
      await this.#commitGroup(group, i === 0 ? position() : null);
      onCommitted();
    }
    tails.endFlush();
  }

  /** Of one that is to take another's place: its states alone, ahead of a position that is written when it does. */
  async commitStates(runner: ViewRunner): Promise<void> {
    const { deadLetters, store, clock } = this.#options;
    const { states, totals, letters, committed } = runner.takeWrites(clock.now());
    await deadLetters.add(letters);
    await store.commitAlone(states, totals);
    committed();
  }

  async #commitGroup(runners: readonly ViewRunner[], sourcePosition: number | null): Promise<void> {
    const { deadLetters, store, clock, tails } = this.#options;
    const began = performance.now();
    for (const runner of runners) runner.captureDue(ROWS_PER_COMMIT);
    const now = clock.now();
    const views = runners.map((runner) => runner.takeWrites(now));
    const tailWrites = tails.takeWrites();
    const source = sourcePosition === null ? null : this.#takeSourceWrites(sourcePosition);
    await deadLetters.add(views.flatMap(({ letters }) => letters));
    // What is to be written is what it was: handing it over takes as long as taking it, and others need not wait for both.
    await nextTurn();
    const states = [...tailWrites.states, ...views.flatMap((view) => view.states)];
    const ofViews = views.flatMap(({ metas, totals }) => [...metas, ...totals]);
    const metas = [...tailWrites.metas, ...ofViews, ...(source?.metas ?? [])];
    await store.commitAlone(states, metas);
    tails.committed();
    for (const { committed } of views) committed();
    source?.committed();
    if (diagnostics.flushed.hasSubscribers) {
      const bytes = states.reduce((sum, state) => sum + (state.bytes?.length ?? 0), 0);
      const durationMs = performance.now() - began;
      diagnostics.flushed.publish({ source: this.#options.source, states: states.length, bytes, durationMs });
    }
  }

  #takeSourceWrites(position: number): { readonly metas: readonly MetaWrite[]; committed(): void } {
    const { source, ids, log, clock } = this.#options;
    const knownTime = log.lastKnownTime;
    const { metas, committed } = ids.takeWrites(Math.max(knownTime, clock.now()));
    this.#stored = { position, knownTime, lastEventAt: this.#options.lastEventAt() };
    return { metas: [...metas, sourcePlaceMeta(source, this.#stored)], committed };
  }
}
