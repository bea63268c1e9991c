/**
 * Positions of folded partitions on their way into the online store: a position never claims more than the states hold,
 * whatever becomes of the store.
 *
 * - It is written behind the states, and only over the connections that they went over. A store that was reconnected to
 *   may have been started again without its last writes.
 * - Where the store is several servers, each of which a copy may replace that lacks the last of its writes, it waits until
 *   the copies have the states. Folding does not wait, nor do those who read: after a failover workers go on from the
 *   stored position, states that are behind it are folded anew, and those that are ahead skip what they have.
 * - Each of several servers may also be started again without its last writes: marks among the states show it
 *   (`marked-groups.ts`), and then what is read goes back behind them.
 * - Where the stored one is further, another worker has taken the partition over while this one was away: it lets go of
 *   what it has, and the position stays.
 *
 * Claims of ids may be waited for (`claim-fold.ts`), so what is folded of them, and may yet be lost, is told beside the
 * position, for as long as the servers are those that have it (`verdicts.ts`).
 */
import { OnefoldError } from "../../base/errors.ts";
import type { MetaWrite, OnlineStore } from "../../online-store/online-store.ts";
import type { TopicPartition } from "./records.ts";
import type { FoldedPartition, PartitionWrites } from "./folded-partition.ts";
import { MarkedGroups, type NamedPosition, soundPosition } from "./marked-groups.ts";
import {
  decodePosition,
  encodePosition,
  type FoldPosition,
  isFurther,
  judgedMetaName,
  positionMetaName,
} from "./position.ts";

/** What is not replicated yet is asked about again after this. */
const AGAIN_MS = 200;
/** Where positions are marked among the states, they are stored so often at most, and all marks written anew. */
const MARKING: Marking = { putEveryMs: 500, allEveryMs: 30_000 };
/** So long what is stored is taken for what it was: whoever forgets an entity waits for longer before records go. */
export const POSITIONS_TRUSTED_MS = 1000;

export interface Marking {
  readonly putEveryMs: number;
  readonly allEveryMs: number;
  readonly trustMs?: number;
}

export interface StoredPositionsOptions {
  readonly store: OnlineStore;
  /** Of partitions of claims. */
  readonly tellsJudged: boolean;
  letGo(fold: FoldedPartition): void;
  readonly marking?: Marking | undefined;
}

export class StoredPositions {
  readonly #options: StoredPositionsOptions;
  readonly #marking: Marking;
  /** When stored positions were last seen to be no further than the own ones. */
  #seenMs = Number.NEGATIVE_INFINITY;
  readonly #groups: MarkedGroups;
  /** Whose states are written. */
  #unwritten = new Set<FoldedPartition>();
  #connectionsLost: number | undefined;
  #hasBegun = false;
  #againMs = 0;
  #nextPutMs = 0;
  #heldSinceMs: number | null = null;

  constructor(options: StoredPositionsOptions) {
    this.#options = options;
    this.#marking = options.marking ?? MARKING;
    this.#groups = new MarkedGroups(options.store.marks, this.#marking.allEveryMs);
  }

  /**
   * As they are stored, of the folds of a partition that are one with the others and of those that are late. One whose
   * states are lost is put back first. Throws as the store does, and `KAFKA_RECORDS_GONE` where the topic no longer has what
   * would have to be folded again: then the position stays.
   */
  async read(
    partitions: readonly (TopicPartition & { readonly startOffset: number })[],
  ): Promise<(readonly [main: FoldPosition | null, late: FoldPosition | null])[]> {
    this.begin();
    const { store } = this.#options;
    const places = partitions.flatMap(({ topic, partition, startOffset }) =>
      [false, true].map((isLate) => ({ name: positionMetaName(topic, partition, isLate), startOffset })),
    );
    const { metas } = await store.read(
      [],
      places.map(({ name }) => name),
    );
    const stored = metas.map((bytes) => (bytes === null ? null : decodePosition(bytes)));
    const sound = await Promise.all(places.map(({ name }, i) => soundPosition(store.marks, name, stored[i] ?? null)));
    this.refuseOther();
    const lost = places.flatMap(({ name, startOffset }, i): MetaWrite[] => {
      const position = sound[i]!;
      if (position === stored[i]) return [];
      if ((position?.offset ?? 0) < startOffset) throw gone(name, startOffset);
      return [{ name, bytes: position === null ? null : encodePosition(position) }];
    });
    if (lost.length > 0) await store.commit([], lost);
    return partitions.map((_, i) => [sound[2 * i] ?? null, sound[2 * i + 1] ?? null]);
  }

  /** A fold of a position that was read. */
  opened(fold: FoldedPartition, stored: FoldPosition | null): void {
    this.#groups.opened(fold, stored);
  }

  /** Before states of a fold are written. */
  touch(fold: FoldedPartition, writes: PartitionWrites): void {
    this.#groups.touch(fold, writes);
  }

  /** The position of two folds that are one from now on; it stands by the name of the first alone. */
  async join(main: FoldedPartition, late: FoldedPartition, position: FoldPosition): Promise<FoldPosition> {
    const { store } = this.#options;
    const { route, partition } = main.options;
    this.refuseOther();
    this.#groups.join(main, late);
    const name = positionMetaName(route.topic, partition);
    const [joined] = await this.#groups.mark([{ fold: main, name, position }]);
    this.refuseOther();
    await store.commit([], [{ name, bytes: encodePosition(joined!.position) }]);
    await store.commit([], [{ name: positionMetaName(route.topic, partition, true), bytes: null }]);
    return joined!.position;
  }

  /** Before anything is read that is in memory from then on. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#connectionsLost = this.#options.store.connectionsLost;
  }

  /** Nothing is in memory any more. */
  drop(): void {
    this.#hasBegun = false;
    this.#seenMs = Number.NEGATIVE_INFINITY;
    this.#unwritten.clear();
  }

  forget(fold: FoldedPartition): void {
    this.#unwritten.delete(fold);
  }

  /** How long positions have waited for copies of the states; 0 where none does. */
  get heldMs(): number {
    return this.#heldSinceMs === null ? 0 : performance.now() - this.#heldSinceMs;
  }

  /** What is in memory goes with what the store held when it was written or read. Throws `STORE_UNAVAILABLE`. */
  refuseOther(): void {
    if (!this.#hasBegun || this.#options.store.connectionsLost === this.#connectionsLost) return;
    throw new OnefoldError(
      "STORE_UNAVAILABLE",
      "the connection to the online store was lost: positions are read again",
    );
  }

  /**
   * Before states are written. One who was away while another went on may lack what nobody can read any more: a mark of forgotten
   * events, behind which the records were compacted. Its states would be newer, and have them still. Throws `STORE_UNAVAILABLE`.
   */
  async refusePassed(folds: readonly FoldedPartition[]): Promise<void> {
    const beganMs = performance.now();
    if (beganMs - this.#seenMs < (this.#marking.trustMs ?? POSITIONS_TRUSTED_MS)) return;
    const names = folds.flatMap(({ options: { route, partition } }) =>
      [false, true].map((isLate) => positionMetaName(route.topic, partition, isLate)),
    );
    const { metas } = await this.#options.store.read([], names);
    for (const [i, { isLate, storedOffset, position }] of folds.entries()) {
      const [main = null, late = null] = metas.slice(2 * i, 2 * i + 2).map((bytes) => bytes && decodePosition(bytes));
      // One with the others by now, in another's hands.
      const isJoined = isLate && main !== null && Object.keys(position.views).every((view) => view in main.views);
      if (!isJoined && ((isLate ? late : main)?.offset ?? 0) <= storedOffset) continue;
      throw new OnefoldError(
        "STORE_UNAVAILABLE",
        `another worker has gone on with ${names[2 * i]}: positions are read again`,
      );
    }
    this.#seenMs = beganMs;
  }

  /** Of folds whose states are written up to where they stand, and of those that had to wait before. */
  async write(folds: readonly FoldedPartition[]): Promise<void> {
    for (const fold of folds) this.#unwritten.add(fold);
    if (this.#unwritten.size === 0 || !this.#mayPut()) return;
    const prepared = await this.#prepare([...this.#unwritten], "all");
    // Of the marks, too: a copy that lacks some would lead further back than anything was lost.
    if (await this.#isReplicated()) await this.#put(prepared);
    else if (this.#options.tellsJudged) await this.#tellJudged(prepared);
  }

  /**
   * A worker that woke up late may have put an older position in the place of a newer one: no harm, but no use either. And
   * what stands for long is marked again.
   */
  async lookAfter(folds: readonly FoldedPartition[]): Promise<void> {
    const stored = folds.filter(({ offset, storedOffset }) => offset === storedOffset);
    const prepared = await this.#prepare(stored, "older");
    if (prepared.length > 0 && (await this.#isReplicated())) await this.#put(prepared);
  }

  /** Marks are many where there are any; routers wait for what is judged. */
  #mayPut(): boolean {
    const { store, tellsJudged } = this.#options;
    if (tellsJudged || store.marks === undefined) return true;
    const now = performance.now();
    return now >= this.#againMs && now >= this.#nextPutMs;
  }

  async #isReplicated(): Promise<boolean> {
    const { store } = this.#options;
    if (store.isReplicated === undefined) return true;
    const beganMs = performance.now();
    if (beganMs < this.#againMs) return false;
    const isReplicated = await store.isReplicated();
    this.#againMs = isReplicated ? 0 : performance.now() + AGAIN_MS;
    this.#heldSinceMs = isReplicated ? null : (this.#heldSinceMs ?? beganMs);
    return isReplicated;
  }

  /** Those that are to be stored, marked. */
  async #prepare(folds: readonly FoldedPartition[], which: "all" | "older"): Promise<readonly NamedPosition[]> {
    const { store } = this.#options;
    const names = folds.map(({ options, isLate }) => positionMetaName(options.route.topic, options.partition, isLate));
    const beganMs = performance.now();
    const { metas } = await store.read([], names);
    const positions: NamedPosition[] = [];
    this.#seenMs = beganMs;
    for (const [i, fold] of folds.entries()) {
      const { position } = fold;
      const bytes = metas[i] ?? null;
      const stored = bytes === null ? null : decodePosition(bytes);
      if (stored !== null && isFurther(stored, position)) this.#options.letGo(fold);
      else if (which === "all" || this.#groups.isDue(fold) || (stored !== null && stored.offset < position.offset)) {
        positions.push({ fold, name: names[i]!, position });
      }
    }
    this.refuseOther();
    return this.#groups.mark(positions);
  }

  async #put(prepared: readonly NamedPosition[]): Promise<void> {
    this.refuseOther();
    await this.#options.store.commit(
      [],
      prepared.map(({ name, position }) => ({ name, bytes: encodePosition(position) })),
    );
    for (const { fold, position } of prepared) {
      fold.storedOffset = Math.max(fold.storedOffset, position.offset);
      this.#unwritten.delete(fold);
    }
    this.#nextPutMs = performance.now() + this.#marking.putEveryMs;
  }

  async #tellJudged(prepared: readonly NamedPosition[]): Promise<void> {
    const { store } = this.#options;
    const servers = store.servers ?? "";
    const judged = prepared.map(({ fold, position }): MetaWrite => {
      const { route, partition } = fold.options;
      const bytes = new Uint8Array(Buffer.from(JSON.stringify({ servers, position })));
      return { name: judgedMetaName(route.topic, partition), bytes };
    });
    this.refuseOther();
    await store.commit([], judged);
  }
}

function gone(name: string, startOffset: number): OnefoldError {
  return new OnefoldError(
    "KAFKA_RECORDS_GONE",
    `the online store has lost states of ${name} that were folded from records before ${startOffset}, which the topic no longer has`,
    { where: name, hint: "restore the online store, or give the views another version, folded from what there is" },
  );
}
