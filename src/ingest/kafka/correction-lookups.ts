/**
 * Corrections that are looked up in offline tables beside the loop that folds: the partitions that they stand in wait
 * before them, and all others are folded meanwhile.
 *
 *     loop    fold fold │ run admitted         │ run folded, written
 *     tables            └─ archived ─▶ ids ──┬─▶ nobody loses an event: told at once
 *                                            └─▶ entities that do, folded anew: told then
 *
 * A partition waits as a whole. Whose events the run takes back is not known before the ids are found; and a state that
 * was written from records behind the run, but without it, could never be told from one that is right: it is newer than
 * what takes its place, so the store would keep it.
 *
 * One look at a time. What a run does follows from the records before it alone, so it does not matter when it is told.
 * Where a partition has gone to another worker, or memory was dropped, what is told of it is of no fold any more.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { OnefoldError } from "../../base/errors.ts";
import type { StateRead } from "../../online-store/online-store.ts";
import { isRetraction } from "../event.ts";
import type { FoldedEvent, FoldedPartition, PartitionRun, RefoldedViews } from "./folded-partition.ts";
import { orTableTrouble } from "./held-corrections.ts";
import { type Refolding, withoutTables } from "./refolding.ts";

/** A partition that has admitted a run. */
export interface AdmittedRun {
  readonly fold: FoldedPartition;
  /** That the run begins at. */
  readonly from: number;
  /** What is to be loaded before it is folded. */
  readonly reads: readonly StateRead[];
}

export interface LookedUp extends AdmittedRun {
  /** What the run does, where it takes something back; or what of tables it must wait for. */
  readonly result: RefoldedViews | OnefoldError | undefined;
}

export class CorrectionLookups {
  readonly #refolding: Pick<Refolding, "refold"> | undefined;
  readonly #admitted = new Map<FoldedPartition, AdmittedRun>();
  #ready: LookedUp[] = [];
  #failure: { readonly error: unknown } | null = null;
  /** What is looked up now; dropped, nobody is told what comes of it. */
  #look: { isDropped: boolean; readonly done: Promise<void> } | null = null;
  #wake: () => void = () => {};
  #woken: Promise<void> = Promise.resolve();

  constructor(refolding: Pick<Refolding, "refold"> | undefined) {
    this.#refolding = refolding;
  }

  /** No other run may begin meanwhile. */
  get isLooking(): boolean {
    return this.#look !== null;
  }

  /** Where a partition stands that has admitted a run and not folded it yet; undefined for others. */
  offsetOf(fold: FoldedPartition): number | undefined {
    return this.#admitted.get(fold)?.from;
  }

  /** Throws `CORRECTION_REFUSED` where there are no tables to look in. */
  begin(runs: readonly AdmittedRun[]): void {
    const asked = new Map<PartitionRun, AdmittedRun>();
    for (const run of runs) {
      const { fold } = run;
      const { route, partition } = fold.options;
      this.#admitted.set(fold, run);
      if (fold.admitted.some(isRefolded)) asked.set({ route, partition, run: fold.admitted }, run);
      else this.#ready.push({ ...run, result: undefined });
    }
    if (asked.size === 0) return;
    if (this.#refolding === undefined) throw withoutTables([...asked.keys()][0]!.route.source);
    this.#woken = new Promise((resolve) => (this.#wake = resolve));
    const look = { isDropped: false, done: Promise.resolve() };
    this.#look = look;
    look.done = this.#lookUp(this.#refolding, asked, look);
  }

  async #lookUp(
    refolding: Pick<Refolding, "refold">,
    asked: Map<PartitionRun, AdmittedRun>,
    look: { readonly isDropped: boolean },
  ): Promise<void> {
    const tell = (of: PartitionRun, result: RefoldedViews | OnefoldError): void => {
      const run = asked.get(of)!;
      asked.delete(of);
      if (this.#admitted.get(run.fold) !== run) return;
      this.#ready.push({ ...run, result });
      this.#wake();
    };
    try {
      const trouble = await orTableTrouble(refolding.refold([...asked.keys()], tell));
      if (trouble !== undefined) for (const of of asked.keys()) tell(of, trouble);
    } catch (error) {
      if (!look.isDropped) this.#failure = { error };
    }
    this.#look = null;
    this.#wake();
  }

  /** Runs that can be folded now, or that must wait; each is given once. Throws what looking them up failed with. */
  take(): readonly LookedUp[] {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure.error;
    const ready = this.#ready;
    this.#ready = [];
    for (const { fold } of ready) this.#admitted.delete(fold);
    if (this.#look !== null) this.#woken = new Promise((resolve) => (this.#wake = resolve));
    return ready;
  }

  /** Resolves once there is something to take; undefined where nothing is looked up. */
  get told(): Promise<void> | undefined {
    const isThere = this.#ready.length > 0 || this.#failure !== null;
    return this.#look === null && !isThere ? undefined : isThere ? Promise.resolve() : this.#woken;
  }

  /** Waits so long, or until there is something to take. */
  async wait(milliseconds: number): Promise<void> {
    const { told } = this;
    await (told === undefined ? sleep(milliseconds) : Promise.race([told, sleep(milliseconds)]));
  }

  /** Another has the partition, or it is read anew. */
  forget(fold: FoldedPartition): void {
    this.#admitted.delete(fold);
    this.#ready = this.#ready.filter((one) => one.fold !== fold);
  }

  /** All partitions are read anew. */
  drop(): void {
    this.#admitted.clear();
    this.#ready = [];
    this.#failure = null;
    if (this.#look !== null) this.#look.isDropped = true;
  }

  /** Resolves once no table is looked into. */
  async idle(): Promise<void> {
    while (this.#look !== null) await this.#look.done;
  }
}

/** Whether tables say what it does: of what takes events back, and of a mark of what is forgotten. */
function isRefolded(event: FoldedEvent): boolean {
  return isRetraction(event) || event.forgets !== undefined;
}
