/**
 * Positions of folded partitions on their way into the online store: a position never claims more than the states hold,
 * whatever becomes of the store.
 *
 * - It is written behind the states, and only over the connections that they went over. A store that was reconnected to
 *   may have been started again without its last writes.
 * - Where the store is several servers, each of which a copy may replace that lacks the last of its writes, it waits until
 *   the copies have the states. Folding does not wait, nor do those who read: after a failover workers go on from the
 *   stored position, states that are behind it are folded anew, and those that are ahead skip what they have.
 * - Where the stored one is further, another worker has taken the partition over while this one was away: it lets go of
 *   what it has, and the position stays.
 *
 * Claims of ids may be waited for (`claim-fold.ts`), so what is folded of them, and may yet be lost, is told beside the
 * position, for as long as the servers are those that have it (`verdicts.ts`).
 */
import { OnefoldError } from "../../base/errors.ts";
import type { MetaWrite, OnlineStore } from "../../online-store/online-store.ts";
import type { FoldedPartition } from "./folded-partition.ts";
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
  /** Whose states are written. */
  #unwritten = new Set<FoldedPartition>();
  #connectionsLost: number | undefined;
  #hasBegun = false;
  #againMs = 0;
  #heldSinceMs: number | null = null;

  constructor(options: StoredPositionsOptions) {
    this.#options = options;
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
    const positions: MetaWrite[] = [];
    for (const [i, { fold, position }] of writes.entries()) {
      const bytes = metas[i] ?? null;
      const stored = bytes === null ? null : decodePosition(bytes);
      if (stored !== null && isFurther(stored, position)) this.#options.letGo(fold);
      else if (which === "all" || (stored !== null && stored.offset < position.offset)) {
        positions.push({ name: names[i]!, bytes: encodePosition(position) });
      }
    }
    this.refuseOther();
    await store.commit([], positions);
  }

  async #tellJudged(): Promise<void> {
    const { store } = this.#options;
    const servers = store.servers ?? "";
    const judged = Array.from(
      this.#unwritten,
      ({ options: { route, partition }, position: { origins } }): MetaWrite => {
        const bytes = new Uint8Array(Buffer.from(JSON.stringify({ servers, origins })));
        return { name: judgedMetaName(route.topic, partition), bytes };
      },
    );
    this.refuseOther();
    await store.commit([], judged);
  }
}
