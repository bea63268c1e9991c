/**
 * The folding half of a worker: fetches the partitions it owns, folds them, and writes what has changed.
 *
 *     fetch ─▶ read missing states ─▶ fold ─▶ dead letters ─▶ states and ids ─▶ positions ─▶ (group's offsets, for tools)
 *
 * Each step waits for the one before, and the next fetch for all of them: so a worker holds back by itself, and what a
 * crash leaves is states ahead of their position, never a position ahead of its states. Where any step fails,
 * everything in memory is dropped and read again from the store.
 */
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import type { MetaWrite, OnlineStore, StateRead, StateWrite } from "../../online-store/online-store.ts";
import type { FetchedPartition, FetchFrom, KafkaConnection, TopicFacts, TopicPartition } from "./connection.ts";
import { letterRecord } from "./dead-letter-topic.ts";
import { FetchAhead } from "./fetch-ahead.ts";
import {
  type FoldedEvent,
  PartitionFold,
  type PartitionWrites,
  type RouteParts,
  routeParts,
} from "./partition-fold.ts";
import {
  decodePosition,
  type FoldPosition,
  isFurther,
  partitionName,
  positionMeta,
  positionMetaName,
} from "./position.ts";
import type { Route, SourceRoutes } from "./routes.ts";

export interface FoldLoopOptions {
  readonly connection: Pick<KafkaConnection, "fetch" | "offsets" | "send">;
  readonly store: OnlineStore;
  readonly clock: Clock;
  readonly plans: readonly SourceRoutes[];
  /** Facts of the folded topics. */
  readonly topics: ReadonlyMap<string, TopicFacts>;
  /** States kept in memory, of all partitions together. */
  readonly statesMax: number;
  /** Told of what was taken, once it is in the store. */
  onFolded?(route: Route, partition: number, events: readonly FoldedEvent[]): void;
}

export interface FoldProgress {
  /** Since the loop was made. */
  readonly events: number;
  readonly duplicates: number;
  readonly copies: number;
  readonly deadLetters: number;
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly position: number;
    readonly lag: number;
  }[];
}

const LOOK_MS = 2000;
/** A store on another machine has its time limit for each call. */
const READS_PER_CALL = 2000;

export class FoldLoop {
  readonly #options: FoldLoopOptions;
  readonly #fetching: FetchAhead;
  readonly #routes = new Map<string, RouteParts>();
  readonly #folds = new Map<string, PartitionFold>();
  readonly #lags = new Map<string, number>();
  #owned: readonly TopicPartition[] = [];
  #connectionsLost: number | undefined;
  #lookedMs = 0;
  #events = 0;
  #duplicates = 0;
  #copies = 0;
  #deadLetters = 0;

  constructor(options: FoldLoopOptions) {
    this.#options = options;
    this.#fetching = new FetchAhead(options.connection, "fold");
    for (const parts of options.plans.flatMap(routeParts)) this.#routes.set(parts.route.topic, parts);
  }

  /** What the group has given to this worker: from the next turn on. */
  own(partitions: readonly TopicPartition[]): void {
    this.#owned = partitions;
  }

  get progress(): FoldProgress {
    return {
      events: this.#events,
      duplicates: this.#duplicates,
      copies: this.#copies,
      deadLetters: this.#deadLetters,
      partitions: Array.from(this.#folds, ([name, fold]) => ({
        topic: fold.options.route.topic,
        partition: fold.options.partition,
        position: fold.offset,
        lag: this.#lags.get(name) ?? 0,
      })),
    };
  }

  /** Forgets all that is in memory: the next turn reads positions and states anew. */
  drop(): void {
    this.#fetching.drop();
    this.#folds.clear();
    this.#lags.clear();
  }

  /** Positions as they are in the store. */
  get positions(): FetchFrom[] {
    return Array.from(this.#folds.values(), ({ options: { route, partition }, storedOffset }) => {
      return { topic: route.topic, partition, offset: storedOffset };
    });
  }

  /** One round; resolves with the number of records that were taken, once all they made is stored; null without partitions. */
  async turn(): Promise<number | null> {
    await this.#settle();
    const from = Array.from(this.#folds.values(), ({ options: { route, partition }, offset }): FetchFrom => {
      return { topic: route.topic, partition, offset };
    });
    if (from.length === 0) return null;
    const taken = await this.#take(await this.#fetching.fetch(from));
    if (taken === 0) await this.#lookAfterPositions();
    return taken;
  }

  /** A worker that woke up late may have put an older position in the place of a newer one: no harm, but no use either. */
  async #lookAfterPositions(): Promise<void> {
    if (performance.now() - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = performance.now();
    const folds = [...this.#folds.values()].filter(({ offset, storedOffset }) => offset === storedOffset);
    await this.#writePositions(
      folds.map((fold) => ({ fold, position: fold.position })),
      "older",
    );
  }

  /** Lets go of partitions that are another's now, and reads the positions of new ones. */
  async #settle(): Promise<void> {
    const { store, connection, topics } = this.#options;
    const owned = new Map(this.#owned.map((each) => [partitionName(each.topic, each.partition), each]));
    for (const name of this.#folds.keys()) {
      if (owned.has(name)) continue;
      this.#folds.delete(name);
      this.#lags.delete(name);
    }
    this.#refuseOther();
    const fresh = [...owned].filter(([name, { topic }]) => !this.#folds.has(name) && this.#routes.has(topic));
    if (fresh.length === 0) return;
    if (this.#folds.size === 0) this.#connectionsLost = store.connectionsLost;
    const names = fresh.map(([, { topic, partition }]) => positionMetaName(topic, partition));
    const { metas } = await store.read([], names);
    const starts = new Map<string, number[]>();
    for (const [i, [name, { topic, partition }]] of fresh.entries()) {
      if (!starts.has(topic)) starts.set(topic, await connection.offsets(topic, "start"));
      const stored = metas[i];
      const fold = new PartitionFold({
        ...this.#routes.get(topic)!,
        partition,
        topicId: topics.get(topic)!.id,
        startOffset: starts.get(topic)![partition] ?? 0,
        position: stored === null || stored === undefined ? null : decodePosition(stored),
      });
      this.#folds.set(name, fold);
    }
  }

  /**
   * What is in memory goes with what the store held when it was written or read. A store that was reconnected to may
   * have been started again without its last writes: then all is read anew, from a position that it still has.
   */
  #refuseOther(): void {
    if (this.#folds.size === 0 || this.#options.store.connectionsLost === this.#connectionsLost) return;
    throw new OnefoldError(
      "STORE_UNAVAILABLE",
      "the connection to the online store was lost: positions are read again",
    );
  }

  async #take(fetched: readonly FetchedPartition[]): Promise<number> {
    const { store } = this.#options;
    const taken: { readonly fold: PartitionFold; readonly end: FetchedPartition; readonly reads: StateRead[] }[] = [];
    for (const end of fetched) {
      const name = partitionName(end.topic, end.partition);
      const fold = this.#folds.get(name);
      if (fold === undefined) continue;
      this.#lags.set(name, Math.max(0, end.endOffset - end.nextOffset));
      if (end.nextOffset === fold.offset) continue;
      taken.push({ fold, end, reads: fold.admit(end.records, end.nextOffset) });
      await nextTurn();
    }
    if (taken.length === 0) return 0;
    const reads = taken.flatMap(({ fold, reads: own }) => own.map((read) => ({ fold, read })));
    for (let from = 0; from < reads.length; from += READS_PER_CALL) {
      const part = reads.slice(from, from + READS_PER_CALL);
      const { states } = await store.read(part.map(({ read }) => read));
      for (const [i, { fold, read }] of part.entries()) fold.load(read, states[i] ?? null);
    }
    const folded: { readonly fold: PartitionFold; readonly events: readonly FoldedEvent[] }[] = [];
    for (const { fold } of taken) {
      folded.push({ fold, events: fold.fold() });
      await nextTurn();
    }
    await this.#write(taken.map(({ fold }) => fold));
    for (const { fold, events } of folded) {
      this.#events += events.length;
      this.#options.onFolded?.(fold.options.route, fold.options.partition, events);
    }
    return taken.reduce((sum, { end }) => sum + end.records.length, 0);
  }

  /**
   * Positions, once the states are written, and only over the connection that they went over: a position never claims
   * more than the states hold. Where the stored one is further, another worker has taken the partition over while this
   * one was away: it lets go of what it has, and the position stays.
   */
  async #writePositions(
    writes: readonly { readonly fold: PartitionFold; readonly position: FoldPosition }[],
    which: "all" | "older" = "all",
  ): Promise<void> {
    const { store } = this.#options;
    const places = writes.map(({ fold: { options } }) => [options.route.topic, options.partition] as const);
    const { metas } = await store.read(
      [],
      places.map(([topic, partition]) => positionMetaName(topic, partition)),
    );
    const positions: MetaWrite[] = [];
    for (const [i, { fold, position }] of writes.entries()) {
      const bytes = metas[i] ?? null;
      const stored = bytes === null ? null : decodePosition(bytes);
      if (stored !== null && isFurther(stored, position)) this.#folds.delete(nameOf(fold));
      else if (which === "all" || (stored !== null && stored.offset < position.offset)) {
        positions.push(positionMeta(...places[i]!, position));
      }
    }
    this.#refuseOther();
    await store.commit([], positions);
  }

  async #write(folds: readonly PartitionFold[]): Promise<void> {
    const { store, connection, clock, statesMax } = this.#options;
    const letters = folds.flatMap((fold) => fold.takeRefused());
    await connection.send(letters.map((letter) => letterRecord(letter, clock)));
    this.#deadLetters += letters.length;
    const writes = folds.map((fold) => ({ fold, writes: fold.takeWrites() }));
    const states = writes.flatMap((one): StateWrite[] => [...one.writes.states, ...one.writes.ids]);
    const refused = states.length === 0 ? [] : await store.commit(states, []);
    await this.#writePositions(writes.map(({ fold, writes: { position } }) => ({ fold, position })));
    let at = 0;
    for (const { fold, writes: own } of writes) {
      const first = at;
      at += countOf(own);
      const ofOwn = refused.filter(({ index }) => index >= first && index < at);
      fold.committed(
        own,
        ofOwn.map(({ index, stored }) => ({ index: index - first, stored })),
      );
      fold.letGo(Math.ceil(statesMax / this.#folds.size));
      this.#duplicates += fold.duplicates;
      this.#copies += fold.copies;
      fold.duplicates = 0;
      fold.copies = 0;
    }
  }
}

function nameOf({ options: { route, partition } }: PartitionFold): string {
  return partitionName(route.topic, partition);
}

function countOf({ states, ids }: PartitionWrites): number {
  return states.length + ids.length;
}

/** Heartbeats and reads get their turns between partitions. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
