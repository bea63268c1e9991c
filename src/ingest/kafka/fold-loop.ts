/**
 * The folding half of a worker: fetches the partitions it owns, folds them, and writes what has changed.
 *
 *     fetch ─▶ read missing states ─▶ fold ─▶ dead letters ─▶ states and ids ─▶ positions ─▶ (group's offsets, for tools)
 *
 * Each step waits for the one before, and the next fetch for all of them: so a worker holds back by itself, and what a
 * crash leaves is states ahead of their position, never a position ahead of its states (`stored-positions.ts`). Where any
 * step fails, everything in memory is dropped and read again from the store. Views that come later have a round of their own
 * behind the others' (`late-fold.ts`). A run of corrections waits until it is known what it does, and its partition with
 * it (`awaited-corrections.ts`); all others go on.
 */
import type { Clock } from "../../base/clock.ts";
import type { OnefoldError } from "../../base/errors.ts";
import type { OnlineStore, StateRead, StateWrite } from "../../online-store/online-store.ts";
import type { KafkaConnection } from "./connection.ts";
import type { FetchedPartition, FetchFrom, TopicFacts, TopicPartition } from "./records.ts";
import { letterRecord } from "./dead-letter-topic.ts";
import type { FoldSight } from "../fold-sight.ts";
import { FetchAhead } from "./fetch-ahead.ts";
import { AwaitedCorrections, type CutPartition, type FailedRun } from "./awaited-corrections.ts";
import type { FoldedEvent, FoldedPartition, PartitionWrites, RefoldedViews } from "./folded-partition.ts";
import { OwnedPartitions } from "./owned-partitions.ts";
import { partitionName } from "./position.ts";
import { cutRecords, type Refolding } from "./refolding.ts";
import type { Route, SourceRoutes } from "./routes.ts";
import { type Marking, StoredPositions } from "./stored-positions.ts";
import { WholeNotes } from "./whole-notes.ts";

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
  readonly marking?: Marking;
  /** Is shown a part of what is folded, of views that are not behind the others. */
  readonly sight?: FoldSight;
  /** Says what corrections do; they fail the loop without it. */
  readonly refolding?: Pick<Refolding, "refold">;
  /** Told of what a correction waits for. */
  onTrouble?(error: OnefoldError): void;
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
  readonly #partitions: OwnedPartitions;
  /** Those of `#partitions`, and of them views that are behind the others. */
  readonly #folds: ReadonlyMap<string, FoldedPartition>;
  readonly #late: ReadonlyMap<string, FoldedPartition>;
  /** Of what could be read of each partition last. */
  readonly #ends = new Map<string, number>();
  readonly #corrections: AwaitedCorrections;
  readonly #notes: WholeNotes;
  readonly #positions: StoredPositions;
  #lookedMs = 0;
  #events = 0;
  #duplicates = 0;
  #copies = 0;
  #deadLetters = 0;

  constructor(options: FoldLoopOptions) {
    this.#options = options;
    const { store, connection, clock, topics, plans, of = "events", sight } = options;
    this.#corrections = new AwaitedCorrections(options.refolding);
    this.#fetching = new FetchAhead(connection, `fold-${of}`, clock);
    this.#notes = new WholeNotes({ store, clock, topics, plans: of === "events" ? plans : [] });
    this.#positions = new StoredPositions({
      store,
      tellsJudged: of === "claims",
      marking: options.marking,
      letGo: (fold) => this.#letGo(nameOf(fold)),
    });
    const positions = this.#positions;
    this.#partitions = new OwnedPartitions({ connection, plans, of, topics, positions, sight });
    this.#folds = this.#partitions.main;
    this.#late = this.#partitions.late;
  }

  /** What the group has given to this worker: from the next turn on. */
  own(partitions: readonly TopicPartition[]): void {
    this.#partitions.own(partitions);
  }

  get progress(): FoldProgress {
    return {
      events: this.#events,
      duplicates: this.#duplicates,
      copies: this.#copies,
      deadLetters: this.#deadLetters,
      partitions: Array.from(this.#folds, ([name, fold]) => {
        const [position, late] = [fold, this.#late.get(name) ?? fold].map((one) => this.#corrections.offsetOf(one)) as [
          number,
          number,
        ];
        const { route, partition } = fold.options;
        const lag = Math.max(0, (this.#ends.get(name) ?? 0) - position) + Math.max(0, position - late);
        return { topic: route.topic, partition, position, lag };
      }),
    };
  }

  /** What a correction waits for; null where none does. */
  get trouble(): OnefoldError | null {
    return this.#corrections.trouble;
  }

  /** Forgets all that is in memory, samples too, whose entity may be forgotten: the next turn reads positions and states anew. */
  drop(): void {
    this.#options.sight?.forget?.();
    this.#fetching.drop();
    this.#positions.drop();
    this.#partitions.clear();
    this.#ends.clear();
    this.#corrections.drop();
    this.#notes.drop();
  }

  /** Resolves once nothing is looked up in tables any more. To be called behind the last turn. */
  idle(): Promise<void> {
    return this.#corrections.idle();
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
    if (this.#folds.size === 0) return null;
    const corrected = await this.#foldAnswered();
    const from = this.#nextOf(this.#folds);
    if (this.#notes.lacksRouting(from)) await this.#notes.hearRouting(this.#folds);
    // Views that are behind do not wait for events to come here.
    const waitMs = this.#late.size === 0 ? undefined : 0;
    const fetched = from.length === 0 ? [] : await this.#fetching.fetch(from, waitMs, this.#corrections.told);
    const { askedAt } = this.#fetching;
    const taken = corrected + (await this.#take(fetched, this.#folds)) + (await this.#catchUp());
    if (taken === 0 && (from.length === 0 || this.#corrections.isLooking)) await this.#corrections.wait();
    if (taken === 0) {
      await this.#positions.write([]);
      await this.#lookAfterPositions();
    }
    if (this.#options.of !== "claims") await this.#tellWhole(fetched, askedAt);
    return taken;
  }

  /** Where to go on, but for those that stand before a correction that waits. */
  #nextOf(folds: ReadonlyMap<string, FoldedPartition>): FetchFrom[] {
    return Array.from(folds.values())
      .filter((fold) => !this.#corrections.isStanding(fold))
      .map(({ options: { route, partition }, offset }) => ({ topic: route.topic, partition, offset }));
  }

  /** What was fetched is stored by now. */
  async #tellWhole(fetched: readonly FetchedPartition[], askedAt: number): Promise<void> {
    for (const one of fetched) {
      const fold = this.#folds.get(partitionName(one.topic, one.partition));
      if (fold !== undefined && this.#corrections.offsetOf(fold) >= one.nextOffset) {
        this.#notes.took(fold, one, askedAt);
      }
    }
    if (!this.#notes.isDue) return;
    this.#positions.refuseOther();
    await this.#notes.tell(this.#folds, this.#late);
  }

  /** A round of views that are behind, up to where the others are; those that have come as far are one with them. */
  async #catchUp(): Promise<number> {
    const from = this.#nextOf(this.#late).filter(
      ({ topic, partition, offset }) => offset < this.#folds.get(partitionName(topic, partition))!.offset,
    );
    const fetched = from.length === 0 ? [] : await this.#options.connection.fetch(from, 0, "fold-late");
    const upToMain = fetched.map((one): FetchedPartition => {
      const { offset } = this.#folds.get(partitionName(one.topic, one.partition))!;
      const records = one.records.filter((record) => record.offset < offset);
      return { ...one, records, nextOffset: Math.min(one.nextOffset, offset) };
    });
    const taken = await this.#take(upToMain, this.#late);
    await this.#partitions.join();
    return taken;
  }

  async #lookAfterPositions(): Promise<void> {
    if (performance.now() - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = performance.now();
    await this.#positions.lookAfter([...this.#folds.values()]);
  }

  /** Lets go of partitions that are another's now, and reads the positions of new ones. */
  async #settle(): Promise<void> {
    for (const name of this.#partitions.lost) {
      for (const fold of this.#partitions.foldsOf(name)) this.#corrections.release(fold);
      this.#letGo(name);
      this.#ends.delete(name);
    }
    if (this.#folds.size === 0) this.#positions.drop();
    this.#positions.refuseOther();
    await this.#partitions.open();
  }

  /** Another has the partition: all of it is read anew, should it come back. */
  #letGo(name: string): void {
    this.#notes.forget(name);
    for (const fold of this.#partitions.foldsOf(name)) {
      this.#positions.forget(fold);
      this.#corrections.forget(fold);
    }
    this.#partitions.remove(name);
  }

  async #take(fetched: readonly FetchedPartition[], folds: ReadonlyMap<string, FoldedPartition>): Promise<number> {
    const cut: CutPartition[] = [];
    for (const end of fetched) {
      const name = partitionName(end.topic, end.partition);
      const fold = folds.get(name);
      if (fold === undefined) continue;
      if (!fold.isLate) this.#ends.set(name, end.endOffset);
      if (end.nextOffset !== fold.offset) cut.push({ fold, records: cutRecords(end, fold.takesCorrections) });
    }
    const { plain, corrected, areWaiting } = this.#corrections.meet(cut);
    if (plain.length + corrected.length === 0) {
      if (areWaiting) await this.#corrections.wait();
      return 0;
    }
    const taken = plain.length === 0 ? 0 : await this.#foldAndWrite(plain);
    this.#corrections.begin(corrected.filter(({ fold }) => folds.get(nameOf(fold)) === fold));
    return taken + (await this.#foldAnswered());
  }

  /** Resolves with how many records there were. */
  async #foldAndWrite(cut: readonly CutPartition[]): Promise<number> {
    const taken: { readonly fold: FoldedPartition; readonly reads: readonly StateRead[] }[] = [];
    for (const { fold, records } of cut) {
      taken.push({ fold, reads: fold.admit(records.rest, records.nextOffset) });
      await nextTurn();
    }
    await this.#foldAdmitted(taken, new Map());
    return cut.reduce((sum, { records: { rest } }) => sum + rest.length, 0);
  }

  /** Runs of corrections of which is known what they do. Resolves with how many records there were. */
  async #foldAnswered(): Promise<number> {
    const { answered, failed } = this.#corrections.take();
    if (answered.length + failed.length === 0) return 0;
    this.#positions.refuseOther();
    if (failed.length > 0) await this.#hold(failed);
    for (const { fold } of answered) this.#corrections.release(fold);
    const results = new Map(answered.map(({ fold, result }) => [fold, result]));
    if (answered.length > 0) await this.#foldAdmitted(answered, results);
    return answered.reduce((sum, { fold, from }) => sum + fold.offset - from, 0);
  }

  /** What was admitted, with what the corrections among it do. */
  async #foldAdmitted(
    admitted: readonly { readonly fold: FoldedPartition; readonly reads: readonly StateRead[] }[],
    refolded: ReadonlyMap<FoldedPartition, RefoldedViews | undefined>,
  ): Promise<void> {
    await this.#load(admitted.flatMap(({ fold, reads }) => reads.map((read) => ({ fold, read }))));
    const folded: { readonly fold: FoldedPartition; readonly events: readonly FoldedEvent[] }[] = [];
    for (const { fold } of admitted) {
      folded.push({ fold, events: fold.fold(refolded.get(fold)) });
      await nextTurn();
    }
    await this.#write(admitted.map(({ fold }) => fold));
    for (const { fold, events } of folded) {
      if (fold.isLate) continue;
      this.#events += events.length;
      this.#options.onFolded?.(fold.options.route, fold.options.partition, events);
    }
  }

  async #load(reads: readonly { readonly fold: FoldedPartition; readonly read: StateRead }[]): Promise<void> {
    for (let from = 0; from < reads.length; from += READS_PER_CALL) {
      const part = reads.slice(from, from + READS_PER_CALL);
      const { states } = await this.#options.store.read(part.map(({ read }) => read));
      // A server that has lost its last writes must not be folded into from where those were.
      this.#positions.refuseOther();
      for (const [i, { fold, read }] of part.entries()) fold.load(read, states[i] ?? null);
    }
  }

  /** They have admitted their runs: they are read anew from where they are stored, which is before them. */
  async #hold(failed: readonly FailedRun[]): Promise<void> {
    for (const run of failed) {
      this.#corrections.hold(run);
      this.#letGo(nameOf(run.fold));
    }
    await this.#settle();
    this.#options.onTrouble?.(failed[0]!.error);
  }

  async #write(folds: readonly FoldedPartition[]): Promise<void> {
    const { store, connection, clock, statesMax } = this.#options;
    await this.#positions.refusePassed(folds);
    const letters = folds.flatMap((fold) => fold.takeRefused());
    await connection.send(letters.map((letter) => letterRecord(letter, clock)));
    this.#deadLetters += letters.length;
    const writes = folds.map((fold) => ({ fold, writes: fold.takeWrites() }));
    for (const { fold, writes: own } of writes) this.#positions.touch(fold, own);
    const states = writes.flatMap((one): StateWrite[] => [...one.writes.states, ...one.writes.ids]);
    await this.#positions.refusePassed(folds);
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
