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
import type { TopicPartition } from "./connection.ts";
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

export interface StoredPositionsOptions {
  readonly store: OnlineStore;
  /** Of partitions of claims. */
  readonly tellsJudged: boolean;
  letGo(fold: FoldedPartition): void;
}

export class StoredPositions {
  readonly #options: StoredPositionsOptions;
  readonly #groups: MarkedGroups;
  /** Whose states are written. */
  #unwritten = new Set<FoldedPartition>();
  #connectionsLost: number | undefined;
  #hasBegun = false;
  #againMs = 0;
  #heldSinceMs: number | null = null;

  constructor(options: StoredPositionsOptions) {
    this.#options = options;
    this.#groups = new MarkedGroups(options.store.marks);
  }

  /**
   * As they are stored, of the folds of a partition that are one with the others and of those that are late. One whose
   * states are lost is put back first. Throws as the store does.
   */
  async read(
    partitions: readonly TopicPartition[],
  ): Promise<(readonly [main: FoldPosition | null, late: FoldPosition | null])[]> {
    this.begin();
    const { store } = this.#options;
    const names = partitions.flatMap(({ topic, partition }) =>
      [false, true].map((isLate) => positionMetaName(topic, partition, isLate)),
    );
    const { metas } = await store.read([], names);
    const positions: (FoldPosition | null)[] = [];
    const lost: MetaWrite[] = [];
    for (const [i, name] of names.entries()) {
      const bytes = metas[i] ?? null;
      const stored = bytes === null ? null : decodePosition(bytes);
      const sound = await soundPosition(store.marks, name, stored);
      positions.push(sound);
      if (sound !== stored) lost.push({ name, bytes: sound === null ? null : encodePosition(sound) });
    }
    this.refuseOther();
    if (lost.length > 0) await store.commit([], lost);
    return partitions.map((_, i) => [positions[2 * i] ?? null, positions[2 * i + 1] ?? null]);
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

  /** Of folds whose states are written up to where they stand, and of those that had to wait before. */
  async write(folds: readonly FoldedPartition[]): Promise<void> {
    for (const fold of folds) this.#unwritten.add(fold);
    if (this.#unwritten.size === 0) return;
    if (await this.#isReplicated()) {
      const writes = Array.from(this.#unwritten, (fold) => ({ fold, position: fold.position }));
      await this.#put(writes, "all");
      for (const { fold, position } of writes) {
        fold.storedOffset = Math.max(fold.storedOffset, position.offset);
        this.#unwritten.delete(fold);
      }
    } else if (this.#options.tellsJudged) await this.#tellJudged();
  }

  /** A worker that woke up late may have put an older position in the place of a newer one: no harm, but no use either. */
  async lookAfter(folds: readonly FoldedPartition[]): Promise<void> {
    const stored = folds.filter(({ offset, storedOffset }) => offset === storedOffset);
    await this.#put(
      stored.map((fold) => ({ fold, position: fold.position })),
      "older",
    );
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

  async #put(
    writes: readonly { readonly fold: FoldedPartition; readonly position: FoldPosition }[],
    which: "all" | "older",
  ): Promise<void> {
    const { store } = this.#options;
    const names = writes.map(({ fold: { options, isLate } }) =>
      positionMetaName(options.route.topic, options.partition, isLate),
    );
    const { metas } = await store.read([], names);
    const positions: NamedPosition[] = [];
    for (const [i, { fold, position }] of writes.entries()) {
      const bytes = metas[i] ?? null;
      const stored = bytes === null ? null : decodePosition(bytes);
      if (stored !== null && isFurther(stored, position)) this.#options.letGo(fold);
      else if (which === "all" || (stored !== null && stored.offset < position.offset)) {
        positions.push({ fold, name: names[i]!, position });
      }
    }
    this.refuseOther();
    const marked = await this.#groups.mark(positions);
    this.refuseOther();
    await store.commit(
      [],
      marked.map(({ name, position }) => ({ name, bytes: encodePosition(position) })),
    );
    this.#groups.stored(marked);
  }

  async #tellJudged(): Promise<void> {
    const { store } = this.#options;
    const servers = store.servers ?? "";
    const unwritten = Array.from(this.#unwritten, (fold): NamedPosition => {
      const { route, partition } = fold.options;
      return { fold, name: positionMetaName(route.topic, partition), position: fold.position };
    });
    this.refuseOther();
    const marked = await this.#groups.mark(unwritten);
    const judged = marked.map(
      ({
        fold: {
          options: { route, partition },
        },
        position,
      }): MetaWrite => {
        const bytes = new Uint8Array(Buffer.from(JSON.stringify({ servers, position })));
        return { name: judgedMetaName(route.topic, partition), bytes };
      },
    );
    this.refuseOther();
    await store.commit([], judged);
  }
}
