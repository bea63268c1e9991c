/**
 * What routers read of claims: whether they are judged, and how.
 */
import type { OnlineStore } from "../../online-store/online-store.ts";
import { type Claim, claimKey, decodeVerdict, refusedSpace, type Verdict } from "./claim-fold.ts";
import { soundPosition } from "./marked-groups.ts";
import { decodePosition, type FoldPosition, judgedMetaName, positionMetaName } from "./position.ts";

type Store = Pick<OnlineStore, "read" | "connectionsLost" | "servers" | "marks">;
type Origins = Readonly<Record<string, number>>;

export class Verdicts {
  readonly #store: Store;
  /** Of what is stored by a name, how many connections had been lost when its states were all seen to be there. */
  readonly #sound = new Map<string, number>();

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * In the order of the claims; null where some are not judged yet. What is read after the positions is at least as
   * new as they are, as long as the store is the one that it was: one that was started again may have lost refusals, and
   * so may a server of a cluster that takes another's place or is started again. What is judged and has no copy yet counts
   * while the servers are those that were written to.
   */
  async of(claims: readonly Claim[]): Promise<readonly Verdict[] | null> {
    if (claims.length === 0) return [];
    const connectionsLost = this.#store.connectionsLost ?? 0;
    if (!(await this.#areJudged(claims, connectionsLost))) return null;
    const reads = claims.map((claim) => ({ space: refusedSpace(claim.record.topic), key: claimKey(claim) }));
    const { states } = await this.#store.read(reads);
    return (this.#store.connectionsLost ?? 0) === connectionsLost ? states.map(decodeVerdict) : null;
  }

  async #areJudged(claims: readonly Claim[], connectionsLost: number): Promise<boolean> {
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
    for (const [i, [name, largest]] of [...wanted].entries()) {
      const stored = metas[i] ?? null;
      const judged = metas[wanted.size + i] ?? null;
      const positions = [
        stored === null ? null : decodePosition(stored),
        judged === null ? null : judgedOf(judged, servers),
      ];
      const which = positions.findIndex((each) => each !== null && covers(each.origins, largest));
      if (which === -1 || !(await this.#isSound(name, which, positions[which]!, connectionsLost))) return false;
    }
    return true;
  }

  /** What is written after it was seen is behind states that are there, as long as no server was away. */
  async #isSound(name: string, which: number, position: FoldPosition, connectionsLost: number): Promise<boolean> {
    const seen = `${which} ${name}`;
    if (this.#sound.get(seen) === connectionsLost) return true;
    if ((await soundPosition(this.#store.marks, name, position)) !== position) return false;
    this.#sound.set(seen, connectionsLost);
    return true;
  }
}

function covers(origins: Origins, largest: ReadonlyMap<string, number>): boolean {
  return [...largest].every(([partition, offset]) => (origins[partition] ?? -1) >= offset);
}

/** Null where it is of other servers. */
function judgedOf(bytes: Uint8Array, servers: string | null): FoldPosition | null {
  const judged = JSON.parse(Buffer.from(bytes).toString("utf8")) as { servers: string; position?: FoldPosition };
  return judged.servers === servers ? (judged.position ?? null) : null;
}
