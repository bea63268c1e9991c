/**
 * What routers read of claims: whether they are judged, and how.
 */
import type { OnlineStore } from "../../online-store/online-store.ts";
import { type Claim, claimKey, decodeVerdict, refusedSpace, type Verdict } from "./claim-fold.ts";
import { decodePosition, positionMetaName } from "./position.ts";

export class Verdicts {
  readonly #store: Pick<OnlineStore, "read" | "connectionsLost">;

  constructor(store: Pick<OnlineStore, "read" | "connectionsLost">) {
    this.#store = store;
  }

  /**
   * In the order of the claims; null where some are not judged yet. What is read after the positions is at least as
   * new as they are, as long as the store is the one that it was: one that was started again may have lost refusals.
   */
  async of(claims: readonly Claim[]): Promise<readonly Verdict[] | null> {
    if (claims.length === 0) return [];
    const { connectionsLost } = this.#store;
    if (!(await this.#areJudged(claims))) return null;
    const verdicts = await this.read(claims);
    return this.#store.connectionsLost === connectionsLost ? verdicts : null;
  }

  /** Of claims that are known to be judged. */
  async read(claims: readonly Claim[]): Promise<readonly Verdict[]> {
    if (claims.length === 0) return [];
    const reads = claims.map((claim) => ({ space: refusedSpace(claim.record.topic), key: claimKey(claim) }));
    const { states } = await this.#store.read(reads);
    return states.map(decodeVerdict);
  }

  async #areJudged(claims: readonly Claim[]): Promise<boolean> {
    /** Of each partition of claims, the largest offset of each source partition. */
    const wanted = new Map<string, Map<string, number>>();
    for (const { record, sourcePartition, sourceOffset } of claims) {
      const name = positionMetaName(record.topic, record.partition);
      const largest = wanted.get(name) ?? new Map<string, number>();
      wanted.set(name, largest);
      largest.set(sourcePartition, Math.max(sourceOffset, largest.get(sourcePartition) ?? 0));
    }
    const { metas } = await this.#store.read([], [...wanted.keys()]);
    return [...wanted.values()].every((largest, i) => {
      const bytes = metas[i] ?? null;
      if (bytes === null) return false;
      const { origins } = decodePosition(bytes);
      return [...largest].every(([partition, offset]) => (origins[partition] ?? -1) >= offset);
    });
  }
}
