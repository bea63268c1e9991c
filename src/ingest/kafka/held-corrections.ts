/**
 * Corrections that wait for what they need of offline tables: a disk that is full, a file that cannot be read.
 *
 * Each is tried again after a while. Meanwhile its partition stands before it, and all others are folded.
 */
import { isOnefoldError, type ErrorCode, type OnefoldError } from "../../base/errors.ts";
import type { FoldedPartition } from "./folded-partition.ts";
import { partitionName } from "./position.ts";

/** What a disk or a table fails at, and what may be over once somebody has seen to it. */
export const TABLE_TROUBLE: readonly ErrorCode[] = [
  "DISK_FULL",
  "FILE_UNREADABLE",
  "SPILL_FULL",
  "STORAGE_FAILED",
  // Another worker, to which a partition has gone, has archived it first.
  "TABLE_CONFLICT",
  "TABLE_VERSION_GONE",
];

const AGAIN_MS_MIN = 200;
const AGAIN_MS_MAX = 5000;

interface HeldCorrection {
  readonly error: OnefoldError;
  readonly afterMs: number;
  readonly againMs: number;
}

/** What of a partition names it, and whether it is that of views which are behind: they may wait while the others do not. */
type Held = Pick<FoldedPartition, "options" | "isLate">;

export class HeldCorrections {
  readonly #held = new Map<string, HeldCorrection>();

  /** What one of them failed at last; null where none waits. */
  get trouble(): OnefoldError | null {
    const [held] = this.#held.values();
    return held?.error ?? null;
  }

  isWaiting(fold: Held): boolean {
    return performance.now() < (this.#held.get(nameOf(fold))?.againMs ?? Number.NEGATIVE_INFINITY);
  }

  hold(fold: Held, error: OnefoldError): void {
    const name = nameOf(fold);
    const afterMs = Math.min(AGAIN_MS_MAX, 2 * (this.#held.get(name)?.afterMs ?? AGAIN_MS_MIN / 2));
    this.#held.set(name, { error, afterMs, againMs: performance.now() + afterMs });
  }

  /** It is folded, or another's now. */
  release(fold: Held): void {
    this.#held.delete(nameOf(fold));
  }

  drop(): void {
    this.#held.clear();
  }
}

/** What `work` resolves with, or what of tables it must wait for. Throws all else. */
export async function orTableTrouble<T>(work: Promise<T>): Promise<T | OnefoldError> {
  return work.catch((error: unknown) => {
    if (isOnefoldError(error) && TABLE_TROUBLE.includes(error.code)) return error;
    throw error;
  });
}

function nameOf({ options: { route, partition }, isLate }: Held): string {
  return `${isLate ? "late " : ""}${partitionName(route.topic, partition)}`;
}
