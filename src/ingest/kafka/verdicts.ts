/**
 * What routers read of claims: whether they are judged, and how.
 */
import type { OnlineStore } from "../../online-store/online-store.ts";
import { type Claim, claimKey, decodeVerdict, refusedSpace, type Verdict } from "./claim-fold.ts";
import { decodePosition, judgedMetaName, positionMetaName } from "./position.ts";

type Store = Pick<OnlineStore, "read" | "connectionsLost" | "servers">;
type Origins = Readonly<Record<string, number>>;

export class Verdicts {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * In the order of the claims; null where some are not judged yet. What is read after the positions is at least as
   * new as they are, as long as the store is the one that it was: one that was started again may have lost refusals, and
   * so may a server of a cluster that takes another's place. What is judged and has no copy yet counts while the servers
   * are those that were written to.
   */
  async of(claims: readonly Claim[]): Promise<readonly Verdict[] | null> {
    if (claims.length === 0) return [];
    const { connectionsLost } = this.#store;
    if (!(await this.#areJudged(claims))) return null;
    const reads = claims.map((claim) => ({ space: refusedSpace(claim.record.topic), key: claimKey(claim) }));
    const { states } = await this.#store.read(reads);
    return this.#store.connectionsLost === connectionsLost ? states.map(decodeVerdict) : null;
  }

  async #areJudged(claims: readonly Claim[]): Promise<boolean> {
    /** Of each partition of claims, the largest offset of each source partition. */
    const wanted = new Map<string, Map<string, number>>();
    const judgedNames: string[] = [];
    for (const { record, sourcePartition, sourceOffset } of claims) {
      const name = positionMetaName(record.topic, record.partition);
      const largest = wanted.get(name) ?? new Map<string, number>();
      if (largest.size === 0) judgedNames.push(judgedMetaName(record.topic, record.partition));
      wanted.set(name, largest);
      largest.set(sourcePartition, Math.max(sourceOffset, largest.get(sourcePartition) ?? 0));
    }
    const servers = this.#store.servers ?? null;
    const names = [...wanted.keys(), ...(servers === null ? [] : judgedNames)];
    const { metas } = await this.#store.read([], names);
    return [...wanted.values()].every((largest, i) => {
      const stored = metas[i] ?? null;
      const judged = metas[wanted.size + i] ?? null;
      return (
        (stored !== null && covers(decodePosition(stored).origins, largest)) ||
        (judged !== null && covers(originsOf(judged, servers), largest))
      );
    });
  }
}

function covers(origins: Origins, largest: ReadonlyMap<string, number>): boolean {
  return [...largest].every(([partition, offset]) => (origins[partition] ?? -1) >= offset);
}

/** None where they are of other servers. */
function originsOf(bytes: Uint8Array, servers: string | null): Origins {
  const judged = JSON.parse(Buffer.from(bytes).toString("utf8")) as { servers: string; origins: Origins };
  return judged.servers === servers ? judged.origins : {};
}
