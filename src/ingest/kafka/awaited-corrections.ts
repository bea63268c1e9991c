/**
 * Corrections among the records of partitions, from the turn that meets them to the one that folds them.
 *
 *     met ─▶ waits until the position before it is stored ─▶ admitted, looked up ─▶ answered, folded
 *                and nothing else is looked up                        └─▶ trouble of tables: let go, met again later
 *
 * A partition stands before its correction meanwhile: as it is looked up (`correction-lookups.ts`), and as it is held back
 * before it is tried again (`held-corrections.ts`). All others go on.
 */
import { isOnefoldError, type OnefoldError } from "../../base/errors.ts";
import { type AdmittedRun, CorrectionLookups } from "./correction-lookups.ts";
import type { FoldedPartition, RefoldedViews } from "./folded-partition.ts";
import { HeldCorrections } from "./held-corrections.ts";
import type { CutRecords, Refolding } from "./refolding.ts";

/** A partition, and what is taken of it next. */
export interface CutPartition {
  readonly fold: FoldedPartition;
  readonly records: CutRecords;
}

/** Partitions by what is taken of them in this turn. */
interface MetPartitions {
  readonly plain: readonly CutPartition[];
  readonly corrected: readonly CutPartition[];
  /** There are others, of which nothing is. */
  readonly areWaiting: boolean;
}

/** A run that is to be folded, with what it does where it takes something back. */
interface AnsweredRun extends AdmittedRun {
  readonly result: RefoldedViews | undefined;
}

/** One that must wait for what it needs of tables. */
export interface FailedRun {
  readonly fold: FoldedPartition;
  readonly error: OnefoldError;
}

/** Of a correction for the position before it. */
const WAIT_MS = 20;

export class AwaitedCorrections {
  readonly #held = new HeldCorrections();
  readonly #lookups: CorrectionLookups;

  constructor(refolding: Pick<Refolding, "refold"> | undefined) {
    this.#lookups = new CorrectionLookups(refolding);
  }

  /** What one of them waits for; null where none waits for anything but its turn. */
  get trouble(): OnefoldError | null {
    return this.#held.trouble;
  }

  get isLooking(): boolean {
    return this.#lookups.isLooking;
  }

  /** Resolves once a run was answered; undefined where nothing is looked up. */
  get told(): Promise<void> | undefined {
    return this.#lookups.told;
  }

  /** Behind what is folded, as a partition may have admitted a run. */
  offsetOf(fold: FoldedPartition): number {
    return this.#lookups.offsetOf(fold) ?? fold.offset;
  }

  /** Whether nothing more may be taken of it now. */
  isStanding(fold: FoldedPartition): boolean {
    return this.#held.isWaiting(fold) || this.#lookups.offsetOf(fold) !== undefined;
  }

  meet(partitions: readonly CutPartition[]): MetPartitions {
    const plain: CutPartition[] = [];
    const corrected: CutPartition[] = [];
    let areWaiting = false;
    for (const one of partitions) {
      const { fold, records } = one;
      if (records.run.length === 0) plain.push(one);
      else if (fold.storedOffset < fold.offset || this.isLooking) areWaiting = true;
      else corrected.push(one);
    }
    return { plain, corrected, areWaiting };
  }

  /** Has the partitions admit their runs, and looks up what those do. Throws as `CorrectionLookups.begin`. */
  begin(corrected: readonly CutPartition[]): void {
    this.#lookups.begin(
      corrected.map(({ fold, records: { run } }): AdmittedRun => {
        const from = fold.offset;
        return { fold, from, reads: fold.admit(run, run.at(-1)!.offset + 1) };
      }),
    );
  }

  /** Runs of which is known what becomes of them; each is given once. Throws what looking them up failed with. */
  take(): { readonly answered: readonly AnsweredRun[]; readonly failed: readonly FailedRun[] } {
    const answered: AnsweredRun[] = [];
    const failed: FailedRun[] = [];
    for (const { fold, from, reads, result } of this.#lookups.take()) {
      if (isOnefoldError(result)) failed.push({ fold, error: result });
      else answered.push({ fold, from, reads, result });
    }
    return { answered, failed };
  }

  /** It is tried again after a while. */
  hold({ fold, error }: FailedRun): void {
    this.#held.hold(fold, error);
  }

  /** Its correction is folded, or the partition is another's now. */
  release(fold: FoldedPartition): void {
    this.#held.release(fold);
  }

  /** Another has the partition, or it is read anew. */
  forget(fold: FoldedPartition): void {
    this.#lookups.forget(fold);
  }

  /** All partitions are read anew. */
  drop(): void {
    this.#held.drop();
    this.#lookups.drop();
  }

  /** Waits a while, or until there is something to take. */
  wait(): Promise<void> {
    return this.#lookups.wait(WAIT_MS);
  }

  /** Resolves once no table is looked into. */
  idle(): Promise<void> {
    return this.#lookups.idle();
  }
}
