/**
 * Writes what a source's events have made into the online store, in commits of a few views each, so that none takes long.
 *
 * Each commit is taken between two events: the states, notes and outbox of a view together with its position; the ids
 * together with the source's position. The tails are taken with them and committed before them, in parts: views do not read
 * in tails what is behind their positions. Taking and handing over are parted in turns where they take long, so that
 * requests need not wait for all of it; nothing may be folded until all is taken. Dead letters of the fold are made durable
 * before the commit that moves the position past their events.
 */
import type { Clock } from "../base/clock.ts";
import { diagnostics } from "../base/diagnostics.ts";
import type { CommitPart, LocalOnlineStore, MetaWrite, StateWrite } from "../online-store/online-store.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { EventIds } from "./event-ids.ts";
import type { FileEventLog } from "./file-event-log.ts";
import { readSourcePlace, type SourcePlace, sourcePlaceMeta } from "./source-place.ts";
import type { SourceTails } from "./source-tails.ts";
import { turnBehindOthers } from "./turns.ts";
import type { ViewRunner } from "./view-runner.ts";

/**
 * With more whole states to write, each view is taken by itself, and events are folded in between: parts of `WRITES_PER_TURN` only
 * divide what was taken, for which all folding waited, and which is held encoded until it is written.
 */
const STATES_PER_COMMIT = 5000;
/** Writes that are handed over in one turn, and so in one commit: with fewer, those of several views. */
const WRITES_PER_TURN = 256;
/** Feature rows of closed minutes that a commit itself reads of each view; most are read in between (`due-rows.ts`). */
const ROWS_PER_COMMIT = 20;
/** Others get their turns after so long. */
const TURN_MS_MAX = 0.5;

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
  /** Folding may go on, where it was to wait while `isTaking`. */
  onTaken(): void;
}

type ViewWrites = ReturnType<ViewRunner["takeWrites"]>;

interface SourceWrites {
  readonly metas: readonly MetaWrite[];
  committed(): void;
}

interface Taken {
  readonly views: readonly ViewWrites[];
  readonly ofTails: readonly CommitPart[];
  /** Of the first commit of a flush alone. */
  readonly source: SourceWrites | null;
}

export class SourceCommitter {
  readonly #options: SourceCommitterOptions;
  #stored: SourcePlace;
  #isTaking = false;

  constructor(options: SourceCommitterOptions) {
    this.#options = options;
    this.#stored = readSourcePlace(options.store, options.source);
  }

  /** How far the store has come, or is about to with the commit under way. */
  get stored(): SourcePlace {
    return this.#stored;
  }

  /** Whether what is to be written is being taken: no event may be folded. */
  get isTaking(): boolean {
    return this.#isTaking;
  }

  /** `position` is read at each commit. Rejects as the store and the dead letters do; then memory is ahead of both. */
  async commit(runners: readonly ViewRunner[], position: () => number, onCommitted: () => void): Promise<void> {
    const { statesPerCommit = STATES_PER_COMMIT, tails } = this.#options;
    this.#isTaking = true;
    try {
      tails.beginFlush();
      const writes = runners.reduce((sum, runner) => sum + runner.wholeCount, 0);
      const groups = writes <= statesPerCommit ? [runners] : runners.map((runner) => [runner]);
      for (const [i, group] of groups.entries()) {
        await this.#commitGroup(group, i === 0 ? position : null);
        onCommitted();
      }
      tails.endFlush();
    } finally {
      this.#isTaking = false;
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

  async #commitGroup(runners: readonly ViewRunner[], position: (() => number) | null): Promise<void> {
    const { deadLetters, tails } = this.#options;
    const began = performance.now();
    const { views, ofTails, source } = await this.#take(runners, position);
    await deadLetters.add(views.flatMap(({ letters }) => letters));
    // A position says that the tails hold what is below it: it may not be there where they could not be written.
    await this.#handOver(ofTails);
    tails.committed();
    await this.#handOver(partsOf(views, source));
    tails.committed();
    for (const { committed } of views) committed();
    source?.committed();
    if (diagnostics.flushed.hasSubscribers) {
      const written = [...ofTails, ...views];
      const count = written.reduce((sum, part) => sum + part.states.length, 0);
      const bytes = written.reduce((sum, part) => sum + bytesOf(part.states), 0);
      const durationMs = performance.now() - began;
      diagnostics.flushed.publish({ source: this.#options.source, states: count, bytes, durationMs });
    }
  }

  /** Rejects as the store does, once all that was handed over is settled; what comes behind a failure is not handed over. */
  async #handOver(parts: Iterable<CommitPart>): Promise<void> {
    const commits: Promise<void>[] = [];
    let hasFailed = false;
    for (const { states, metas } of parts) {
      // What is to be written is what it was: handing it over takes as long as taking it, and others need not wait for both.
      await turnBehindOthers();
      if (hasFailed) break;
      const commit = this.#options.store.commitAlone(states, metas);
      commit.catch(() => (hasFailed = true));
      commits.push(commit);
    }
    for (const settled of await Promise.allSettled(commits)) if (settled.status === "rejected") throw settled.reason;
  }

  async #take(runners: readonly ViewRunner[], position: (() => number) | null): Promise<Taken> {
    this.#isTaking = true;
    let turnBegan = performance.now();
    const giveWay = async (): Promise<void> => {
      if (performance.now() - turnBegan < TURN_MS_MAX) return;
      await turnBehindOthers();
      turnBegan = performance.now();
    };
    const views: ViewWrites[] = [];
    const ofTails: CommitPart[] = [];
    for (const runner of runners) {
      runner.captureDue(ROWS_PER_COMMIT);
      views.push(runner.takeWrites(this.#options.clock.now()));
      await giveWay();
    }
    for (const taken of this.#options.tails.takeWrites()) {
      ofTails.push(taken);
      await giveWay();
    }
    const source = position === null ? null : this.#takeSourceWrites(position());
    this.#isTaking = false;
    setImmediate(() => this.#options.onTaken());
    return { views, ofTails, source };
  }

  #takeSourceWrites(position: number): SourceWrites {
    const { source, ids, log, clock } = this.#options;
    const knownTime = log.lastKnownTime;
    const { metas, committed } = ids.takeWrites(Math.max(knownTime, clock.now()));
    this.#stored = { position, knownTime, lastEventAt: this.#options.lastEventAt() };
    return { metas: [...metas, sourcePlaceMeta(source, this.#stored)], committed };
  }
}

/** Each view whole, behind what is of the source. */
function* partsOf(views: readonly ViewWrites[], source: SourceWrites | null): IterableIterator<CommitPart> {
  let states: StateWrite[] = [];
  let metas = [...(source?.metas ?? [])];
  for (const view of views) {
    states = states.concat(view.states);
    metas = metas.concat(view.metas, view.totals);
    if (states.length + metas.length < WRITES_PER_TURN) continue;
    yield { states, metas };
    [states, metas] = [[], []];
  }
  if (states.length + metas.length > 0) yield { states, metas };
}

function bytesOf(states: readonly StateWrite[]): number {
  let bytes = 0;
  for (const state of states) bytes += state.bytes.length;
  return bytes;
}
