/**
 * The folding half of a worker: fetches the partitions it owns, folds them, and writes what has changed.
 *
 *     fetch ─▶ read missing states ─▶ fold ─▶ dead letters ─▶ states and ids ─▶ positions ─▶ (group's offsets, for tools)
 *
 * Each step waits for the one before, and the next fetch for all of them: so a worker holds back by itself, and what a
 * crash leaves is states ahead of their position, never a position ahead of its states (`stored-positions.ts`). Where any
 * step fails, everything in memory is dropped and read again from the store. Views that come later have a round of their own
 * behind the others' (`late-fold.ts`).
 */
import type { Clock } from "../../base/clock.ts";
import type { OnlineStore, StateRead, StateWrite } from "../../online-store/online-store.ts";
import type { KafkaConnection } from "./connection.ts";
import type { FetchedPartition, FetchFrom, TopicFacts, TopicPartition } from "./records.ts";
import { letterRecord } from "./dead-letter-topic.ts";
import type { FoldSight } from "../fold-sight.ts";
import { FetchAhead } from "./fetch-ahead.ts";
import { ClaimFold } from "./claim-fold.ts";
import type { FoldedEvent, FoldedPartition, PartitionPlace, PartitionWrites } from "./folded-partition.ts";
import { joinedPosition, type OpenedPartition, openPartition } from "./late-fold.ts";
import { routeParts } from "./partition-fold.ts";
import { type FoldPosition, partitionName } from "./position.ts";
import type { Route, SourceRoutes } from "./routes.ts";
import { StoredPositions } from "./stored-positions.ts";
import { finite, WholeUntil } from "./whole-until.ts";

export interface FoldLoopOptions {
  readonly connection: Pick<KafkaConnection, "fetch" | "offsets" | "send">;
  readonly store: OnlineStore;
  readonly clock: Clock;
  readonly plans: readonly SourceRoutes[];
  /** Which topics of theirs: those keyed by entity, or those of claims of ids. */
  readonly of?: "events" | "claims";
  /** Facts of the folded topics. */
  readonly topics: ReadonlyMap<string, TopicFacts>;
  /** States kept in memory, of all partitions together. */
  readonly statesMax: number;
  /** On a cluster: how often positions are stored at most, and all their marks written anew; by default what suits a server. */
  readonly marking?: { readonly putEveryMs: number; readonly allEveryMs: number };
  /** Is shown a part of what is folded, of views that are not behind the others. */
  readonly sight?: FoldSight;
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
  readonly #open = new Map<string, (place: PartitionPlace, late: FoldPosition | null) => OpenedPartition>();
  readonly #folds = new Map<string, FoldedPartition>();
  /** Of those, views that are behind the others. */
  readonly #late = new Map<string, FoldedPartition>();
  readonly #lags = new Map<string, number>();
  readonly #whole: WholeUntil;
  readonly #positions: StoredPositions;
  #owned: readonly TopicPartition[] = [];
  #lookedMs = 0;
  #events = 0;
  #duplicates = 0;
  #copies = 0;
  #deadLetters = 0;

  constructor(options: FoldLoopOptions) {
    this.#options = options;
    const { plans, of = "events", sight } = options;
    const shown = sight === undefined ? {} : { sight };
    this.#fetching = new FetchAhead(options.connection, `fold-${of}`, options.clock);
    this.#whole = new WholeUntil(options.clock);
    this.#positions = new StoredPositions({
      store: options.store,
      tellsJudged: of === "claims",
      marking: options.marking,
      letGo: (fold) => this.#letGo(nameOf(fold)),
    });
    for (const plan of plans) {
      const { claims, deadLetterTopic } = plan;
      if (of === "events") {
        for (const parts of routeParts(plan))
          this.#open.set(parts.route.topic, (place, late) => openPartition({ ...parts, ...shown }, place, late));
      } else if (claims !== null) {
        this.#open.set(claims.topic, (place) => {
          return { main: new ClaimFold({ route: claims, deadLetterTopic, ...place }), late: null };
        });
      }
    }
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
        lag: (this.#lags.get(name) ?? 0) + fold.offset - (this.#late.get(name)?.offset ?? fold.offset),
      })),
    };
  }

  /** Forgets all that is in memory: the next turn reads positions and states anew. */
  drop(): void {
    this.#fetching.drop();
    this.#positions.drop();
    this.#folds.clear();
    this.#late.clear();
    this.#lags.clear();
    this.#whole.drop();
  }

  /** Positions as they are in the store. */
  get positions(): FetchFrom[] {
    return Array.from(this.#folds.values(), ({ options: { route, partition }, storedOffset }) => {
      return { topic: route.topic, partition, offset: storedOffset };
    });
  }

  /** How long positions have waited until a failover would take nothing from the states before them. */
  get heldMs(): number {
    return this.#positions.heldMs;
  }

  /** One round; resolves with the number of records that were taken, once all they made is stored; null without partitions. */
  async turn(): Promise<number | null> {
    await this.#settle();
    const from = Array.from(this.#folds.values(), ({ options: { route, partition }, offset }): FetchFrom => {
      return { topic: route.topic, partition, offset };
    });
    if (from.length === 0) return null;
    // Views that are behind do not wait for events to come here.
    const fetched = await (this.#late.size === 0 ? this.#fetching.fetch(from) : this.#fetching.fetch(from, 0));
    const { askedAt } = this.#fetching;
    const taken = (await this.#take(fetched, this.#folds)) + (await this.#catchUp());
    if (taken === 0) {
      await this.#positions.write([]);
      await this.#lookAfterPositions();
    }
    if (this.#options.of !== "claims") await this.#tellWhole(fetched, askedAt);
    return taken;
  }

  /** What was fetched is stored by now. */
  async #tellWhole(fetched: readonly FetchedPartition[], askedAt: number): Promise<void> {
    for (const one of fetched) {
      const fold = this.#folds.get(partitionName(one.topic, one.partition));
      if (fold === undefined || fold.offset < one.nextOffset) continue;
      const lastTaken = fold.position.knownTime ?? Number.NEGATIVE_INFINITY;
      this.#whole.took(one, askedAt, one.nextOffset >= one.endOffset, lastTaken);
    }
    if (!this.#whole.isDue) return;
    const notes = Array.from(
      this.#folds,
      ([
        name,
        {
          options: { route, partition },
          position,
        },
      ]) => {
        const late = this.#late.get(name);
        const lateUntil = finite(late?.position.knownTime ?? Number.NEGATIVE_INFINITY);
        const lateViews = (late?.options.route.views ?? []).map(({ foldName }) => [foldName, lateUntil] as const);
        const note = {
          partitions: this.#options.topics.get(route.topic)!.partitionCount,
          lastEventAt: position.knownTime,
          ...(lateViews.length === 0 ? {} : { late: Object.fromEntries(lateViews) }),
        };
        return { topic: route.topic, partition, note };
      },
    );
    this.#positions.refuseOther();
    await this.#whole.tell(this.#options.store, notes);
  }

  /** A round of views that are behind, up to where the others are; those that have come as far are one with them. */
  async #catchUp(): Promise<number> {
    const from = Array.from(this.#late.values(), ({ options: { route, partition }, offset }): FetchFrom => {
      return { topic: route.topic, partition, offset };
    }).filter(({ topic, partition, offset }) => offset < this.#folds.get(partitionName(topic, partition))!.offset);
    const fetched = from.length === 0 ? [] : await this.#options.connection.fetch(from, 0, "fold-late");
    const upToMain = fetched.map((one): FetchedPartition => {
      const { offset } = this.#folds.get(partitionName(one.topic, one.partition))!;
      const records = one.records.filter((record) => record.offset < offset);
      return { ...one, records, nextOffset: Math.min(one.nextOffset, offset) };
    });
    const taken = await this.#take(upToMain, this.#late);
    for (const [name, late] of this.#late) await this.#join(name, late);
    return taken;
  }

  async #join(name: string, late: FoldedPartition): Promise<void> {
    const main = this.#folds.get(name)!;
    const position = joinedPosition({ main, late });
    if (position === null) return;
    const { route, partition, topicId, startOffset } = main.options;
    const joined = await this.#positions.join(main, late, position);
    this.#late.delete(name);
    const place = { partition, topicId, startOffset, position: joined };
    const fold = this.#open.get(route.topic)!(place, null).main;
    this.#positions.opened(fold, joined);
    this.#folds.set(name, fold);
  }

  async #lookAfterPositions(): Promise<void> {
    if (performance.now() - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = performance.now();
    await this.#positions.lookAfter([...this.#folds.values()]);
  }

  /** Lets go of partitions that are another's now, and reads the positions of new ones. */
  async #settle(): Promise<void> {
    const { connection, topics } = this.#options;
    const owned = new Map(this.#owned.map((each) => [partitionName(each.topic, each.partition), each]));
    for (const name of this.#folds.keys()) {
      if (owned.has(name)) continue;
      this.#letGo(name);
      this.#lags.delete(name);
    }
    if (this.#folds.size === 0) this.#positions.drop();
    this.#positions.refuseOther();
    const fresh = [...owned].filter(([name, { topic }]) => !this.#folds.has(name) && this.#open.has(topic));
    if (fresh.length === 0) return;
    const starts = new Map<string, number[]>();
    for (const [, { topic }] of fresh) {
      if (!starts.has(topic)) starts.set(topic, await connection.offsets(topic, "start"));
    }
    const places = fresh.map(([, { topic, partition }]) => {
      return { topic, partition, startOffset: starts.get(topic)![partition] ?? 0 };
    });
    const stored = await this.#positions.read(places);
    for (const [i, [name, { topic, partition }]] of fresh.entries()) {
      const { startOffset } = places[i]!;
      const [position, latePosition] = stored[i]!;
      const place = { partition, topicId: topics.get(topic)!.id, startOffset, position };
      const { main, late } = this.#open.get(topic)!(place, latePosition);
      this.#positions.opened(main, position);
      this.#folds.set(name, main);
      if (late === null) continue;
      this.#positions.opened(late, latePosition);
      this.#late.set(name, late);
    }
  }

  /** Another has the partition: all of it is read anew, should it come back. */
  #letGo(name: string): void {
    this.#whole.forget(name);
    for (const folds of [this.#folds, this.#late]) {
      const fold = folds.get(name);
      if (fold !== undefined) this.#positions.forget(fold);
      folds.delete(name);
    }
  }

  async #take(fetched: readonly FetchedPartition[], folds: ReadonlyMap<string, FoldedPartition>): Promise<number> {
    const { store } = this.#options;
    const taken: { readonly fold: FoldedPartition; readonly end: FetchedPartition; readonly reads: StateRead[] }[] = [];
    for (const end of fetched) {
      const name = partitionName(end.topic, end.partition);
      const fold = folds.get(name);
      if (fold === undefined) continue;
      if (!fold.isLate) this.#lags.set(name, Math.max(0, end.endOffset - end.nextOffset));
      if (end.nextOffset === fold.offset) continue;
      taken.push({ fold, end, reads: fold.admit(end.records, end.nextOffset) });
      await nextTurn();
    }
    if (taken.length === 0) return 0;
    const reads = taken.flatMap(({ fold, reads: own }) => own.map((read) => ({ fold, read })));
    for (let from = 0; from < reads.length; from += READS_PER_CALL) {
      const part = reads.slice(from, from + READS_PER_CALL);
      const { states } = await store.read(part.map(({ read }) => read));
      // A server that has lost its last writes must not be folded into from where those were.
      this.#positions.refuseOther();
      for (const [i, { fold, read }] of part.entries()) fold.load(read, states[i] ?? null);
    }
    const folded: { readonly fold: FoldedPartition; readonly events: readonly FoldedEvent[] }[] = [];
    for (const { fold } of taken) {
      folded.push({ fold, events: fold.fold() });
      await nextTurn();
    }
    await this.#write(taken.map(({ fold }) => fold));
    for (const { fold, events } of folded) {
      if (fold.isLate) continue;
      this.#events += events.length;
      this.#options.onFolded?.(fold.options.route, fold.options.partition, events);
    }
    return taken.reduce((sum, { end }) => sum + end.records.length, 0);
  }

  async #write(folds: readonly FoldedPartition[]): Promise<void> {
    const { store, connection, clock, statesMax } = this.#options;
    const letters = folds.flatMap((fold) => fold.takeRefused());
    await connection.send(letters.map((letter) => letterRecord(letter, clock)));
    this.#deadLetters += letters.length;
    const writes = folds.map((fold) => ({ fold, writes: fold.takeWrites() }));
    for (const { fold, writes: own } of writes) this.#positions.touch(fold, own);
    const states = writes.flatMap((one): StateWrite[] => [...one.writes.states, ...one.writes.ids]);
    const refused = states.length === 0 ? [] : await store.commit(states, []);
    await this.#positions.write(folds);
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
      this.#duplicates += fold.isLate ? 0 : fold.duplicates;
      this.#copies += fold.isLate ? 0 : fold.copies;
      fold.duplicates = 0;
      fold.copies = 0;
    }
  }
}

function nameOf({ options: { route, partition } }: FoldedPartition): string {
  return partitionName(route.topic, partition);
}

function countOf({ states, ids }: PartitionWrites): number {
  return states.length + ids.length;
}

/** Heartbeats and reads get their turns between partitions. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
