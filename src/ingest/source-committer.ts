/**
 * Writes what a source's events have made into the online store: one commit of everything while that is
 * little, else one for each view, so that none takes long.
 *
 * Each commit is taken in one turn, between two events: the states, notes and outbox of a view together with
 * its position; the ids together with the source's position. Dead letters of the fold are made durable
 * before the commit that moves the position past their events.
 */
import type { Clock } from "../base/clock.ts";
import { diagnostics } from "../base/diagnostics.ts";
import type { MetaWrite, LocalOnlineStore } from "../online-store/online-store.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { EventIds } from "./event-ids.ts";
import type { FileEventLog } from "./file-event-log.ts";
import { readSourcePlace, type SourcePlace, sourcePlaceMeta } from "./source-place.ts";
import type { ViewRunner } from "./view-runner.ts";

const STATES_PER_COMMIT = 5000;
/** Feature rows of closed minutes read for one commit. */
const ROWS_PER_COMMIT = 5000;

export interface SourceCommitterOptions {
  readonly source: string;
  readonly store: LocalOnlineStore;
  readonly deadLetters: DeadLetters;
  readonly ids: EventIds;
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
    const { statesPerCommit = STATES_PER_COMMIT } = this.#options;
    const dirty = runners.reduce((sum, runner) => sum + runner.dirtyCount, 0);
    const groups = dirty <= statesPerCommit ? [runners] : runners.map((runner) => [runner]);
    for (const [i, group] of groups.entries()) {
      await this.#commitGroup(group, i === 0 ? position() : null);
      onCommitted();
    }
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
    const { deadLetters, store, clock } = this.#options;
    const began = performance.now();
    for (const runner of runners) runner.captureDue(ROWS_PER_COMMIT);
    const now = clock.now();
    const views = runners.map((runner) => runner.takeWrites(now));
    const source = sourcePosition === null ? null : this.#takeSourceWrites(sourcePosition);
    await deadLetters.add(views.flatMap(({ letters }) => letters));
    const states = views.flatMap((view) => view.states);
    await store.commitAlone(states, [
      ...views.flatMap(({ metas, totals }) => [...metas, ...totals]),
      ...(source?.metas ?? []),
    ]);
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
