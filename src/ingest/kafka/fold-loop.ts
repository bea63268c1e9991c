/**
 * The folding half of a worker: fetches the partitions it owns, folds them, and writes what has changed.
 *
 *     fetch ─▶ read missing states ─▶ fold ─▶ dead letters ─▶ states and ids ─▶ positions ─▶ (group's offsets, for tools)
 *
 * Each step waits for the one before, and the next fetch for all of them: so a worker holds back by itself, and what a
 * crash leaves is states ahead of their position, never a position ahead of its states (`stored-positions.ts`). Where any
 * step fails, everything in memory is dropped and read again from the store. Views that come later have a round of their own
 * behind the others' (`late-fold.ts`). A run of corrections waits until the position before it is stored, and then for the
 * states of entities that lose events by it (`correction-lookups.ts`, `held-corrections.ts`), and its partition with it; all
 * others go on.
 */
import type { Clock } from "../../base/clock.ts";
import { isOnefoldError, type OnefoldError } from "../../base/errors.ts";
import type { OnlineStore, StateRead, StateWrite } from "../../online-store/online-store.ts";
import type { KafkaConnection } from "./connection.ts";
import type { FetchedPartition, FetchFrom, TopicFacts, TopicPartition } from "./records.ts";
import { letterRecord } from "./dead-letter-topic.ts";
import type { FoldSight } from "../fold-sight.ts";
import { FetchAhead } from "./fetch-ahead.ts";
import { ClaimFold } from "./claim-fold.ts";
import { type AdmittedRun, CorrectionLookups } from "./correction-lookups.ts";
import type {
  FoldedEvent,
  FoldedPartition,
  PartitionPlace,
  PartitionWrites,
  RefoldedViews,
} from "./folded-partition.ts";
import { HeldCorrections } from "./held-corrections.ts";
import { joinedPosition, type OpenedPartition, openPartition } from "./late-fold.ts";
import { routeParts } from "./partition-fold.ts";
import { type FoldPosition, partitionName } from "./position.ts";
import { type CutRecords, cutRecords, type Refolding } from "./refolding.ts";
import type { Route, SourceRoutes } from "./routes.ts";
import { type Marking, StoredPositions } from "./stored-positions.ts";
import { finite, readUntil, WholeUntil } from "./whole-until.ts";

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

/** A partition, and what is taken of it next. */
interface CutPartition {
  readonly fold: FoldedPartition;
  readonly records: CutRecords;
}

const LOOK_MS = 2000;
/** Of a correction for the position before it. */
const WAIT_MS = 20;
/** A store on another machine has its time limit for each call. */
const READS_PER_CALL = 2000;

export class FoldLoop {
  readonly #options: FoldLoopOptions;
  readonly #fetching: FetchAhead;
  readonly #open = new Map<string, (place: PartitionPlace, late: FoldPosition | null) => OpenedPartition>();
  readonly #folds = new Map<string, FoldedPartition>();
  /** Of those, views that are behind the others. */
  readonly #late = new Map<string, FoldedPartition>();
  /** Of what could be read of each partition last. */
  readonly #ends = new Map<string, number>();
  readonly #held = new HeldCorrections();
  readonly #lookups: CorrectionLookups;
  readonly #whole: WholeUntil;
  /** Source's topics by the topics that they are routed to. */
  readonly #routedFrom = new Map<string, string>();
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
    this.#lookups = new CorrectionLookups(options.refolding);
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
        for (const { topic, isDirect } of plan.routes) if (!isDirect) this.#routedFrom.set(topic, plan.topic);
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
      partitions: Array.from(this.#folds, ([name, fold]) => {
        const [position, late] = [fold, this.#late.get(name) ?? fold].map((one) => this.#offsetOf(one)) as [
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
    return this.#held.trouble;
  }

  /** Forgets all that is in memory, samples too, whose entity may be forgotten: the next turn reads positions and states anew. */
  drop(): void {
    this.#options.sight?.forget?.();
    this.#fetching.drop();
    this.#positions.drop();
    this.#folds.clear();
    this.#late.clear();
    this.#ends.clear();
    this.#held.drop();
    this.#lookups.drop();
    this.#whole.drop();
  }

  /** Resolves once nothing is looked up in tables any more. To be called behind the last turn. */
  idle(): Promise<void> {
    return this.#lookups.idle();
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
    const corrected = await this.#foldLookedUp();
    const from = this.#nextOf(this.#folds);
    if (from.some(({ topic }) => this.#routedFrom.has(topic) && !this.#whole.hasHeardRouting(topic)))
      await this.#hearRouting();
    // Views that are behind do not wait for events to come here.
    const waitMs = this.#late.size === 0 ? undefined : 0;
    const fetched = from.length === 0 ? [] : await this.#fetching.fetch(from, waitMs, this.#lookups.told);
    const { askedAt } = this.#fetching;
    const taken = corrected + (await this.#take(fetched, this.#folds)) + (await this.#catchUp());
    if (taken === 0 && (from.length === 0 || this.#lookups.isLooking)) await this.#lookups.wait(WAIT_MS);
    if (taken === 0) {
      await this.#positions.write([]);
      await this.#lookAfterPositions();
    }
    if (this.#options.of !== "claims") await this.#tellWhole(fetched, askedAt);
    return taken;
  }

  /** Behind what is folded. */
  #offsetOf(fold: FoldedPartition): number {
    return this.#lookups.offsetOf(fold) ?? fold.offset;
  }

  /** Where to go on, but for those that stand before a correction that waits. */
  #nextOf(folds: ReadonlyMap<string, FoldedPartition>): FetchFrom[] {
    return Array.from(folds.values())
      .filter((fold) => !this.#held.isWaiting(fold) && this.#lookups.offsetOf(fold) === undefined)
      .map(({ options: { route, partition }, offset }) => ({ topic: route.topic, partition, offset }));
  }

  /** What was fetched is stored by now. */
  async #tellWhole(fetched: readonly FetchedPartition[], askedAt: number): Promise<void> {
    for (const one of fetched) {
      const fold = this.#folds.get(partitionName(one.topic, one.partition));
      if (fold === undefined || this.#offsetOf(fold) < one.nextOffset) continue;
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
          ...(this.#routedFrom.has(route.topic)
            ? { known: this.#whole.knownOf({ topic: route.topic, partition }) }
            : {}),
          ...(lateViews.length === 0 ? {} : { late: Object.fromEntries(lateViews) }),
        };
        return { topic: route.topic, partition, note };
      },
    );
    this.#positions.refuseOther();
    await this.#whole.tell(this.#options.store, notes);
    await this.#hearRouting();
  }

  /** Of what is asked for from now on. */
  async #hearRouting(): Promise<void> {
    const { store, topics } = this.#options;
    const folded = new Set(Array.from(this.#folds.values(), ({ options: { route } }) => route.topic));
    const untils = new Map<string, number | null>();
    for (const topic of folded) {
      const from = this.#routedFrom.get(topic);
      if (from === undefined) continue;
      if (!untils.has(from)) untils.set(from, await readUntil(store, from, topics.get(from)?.partitionCount ?? 1));
      this.#whole.heardRouting(topic, untils.get(from)!);
    }
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
      for (const fold of [this.#folds.get(name), this.#late.get(name)]) {
        if (fold !== undefined) this.#held.release(fold);
      }
      this.#letGo(name);
      this.#ends.delete(name);
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
      if (fold !== undefined) {
        this.#positions.forget(fold);
        this.#lookups.forget(fold);
      }
      folds.delete(name);
    }
  }

  async #take(fetched: readonly FetchedPartition[], folds: ReadonlyMap<string, FoldedPartition>): Promise<number> {
    const plain: CutPartition[] = [];
    const corrected: CutPartition[] = [];
    let areWaiting = false;
    for (const end of fetched) {
      const name = partitionName(end.topic, end.partition);
      const fold = folds.get(name);
      if (fold === undefined) continue;
      if (!fold.isLate) this.#ends.set(name, end.endOffset);
      if (end.nextOffset === fold.offset) continue;
      const records = cutRecords(end, fold.takesCorrections);
      const isWaiting = records.run.length > 0 && (fold.storedOffset < fold.offset || this.#lookups.isLooking);
      areWaiting ||= isWaiting;
      if (!isWaiting) (records.run.length > 0 ? corrected : plain).push({ fold, records });
    }
    if (plain.length + corrected.length === 0) {
      if (areWaiting) await this.#lookups.wait(WAIT_MS);
      return 0;
    }
    const taken = plain.length === 0 ? 0 : await this.#foldAndWrite(plain);
    const runs = corrected.filter(({ fold }) => folds.get(nameOf(fold)) === fold);
    this.#lookups.begin(
      runs.map(({ fold, records: { run } }): AdmittedRun => {
        const from = fold.offset;
        return { fold, from, reads: fold.admit(run, run.at(-1)!.offset + 1) };
      }),
    );
    return taken + (await this.#foldLookedUp());
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
  async #foldLookedUp(): Promise<number> {
    const ready = this.#lookups.take();
    if (ready.length === 0) return 0;
    this.#positions.refuseOther();
    const failed = ready.flatMap(({ fold, result }) => (isOnefoldError(result) ? [{ fold, error: result }] : []));
    if (failed.length > 0) await this.#hold(failed);
    const folded = ready.flatMap((one) => (isOnefoldError(one.result) ? [] : [{ ...one, result: one.result }]));
    for (const { fold } of folded) this.#held.release(fold);
    if (folded.length > 0) await this.#foldAdmitted(folded, new Map(folded.map(({ fold, result }) => [fold, result])));
    return folded.reduce((sum, { fold, from }) => sum + fold.offset - from, 0);
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
  async #hold(failed: readonly { readonly fold: FoldedPartition; readonly error: OnefoldError }[]): Promise<void> {
    for (const { fold, error } of failed) {
      this.#held.hold(fold, error);
      this.#letGo(nameOf(fold));
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
