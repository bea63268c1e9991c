/**
 * What a fold loop drives: a partition in the hands of its owner, which decides from its records alone and is handed
 * what it must read. Keyed events are folded into states (`partition-fold.ts`), claims of event ids into verdicts
 * (`claim-fold.ts`).
 */
import type { Micros } from "../../base/micros.ts";
import type { RefusedWrite, StateRead, StateWrite, StoredState } from "../../online-store/online-store.ts";
import type { ViewState } from "../../fold/view-fold.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import type { RefoldedRun } from "../correction-run.ts";
import type { CheckedRow } from "../event.ts";
import type { KafkaRecord } from "./records.ts";
import type { RefusedRecord } from "./dead-letter-topic.ts";
import type { ForgetMark } from "./forget-records.ts";
import type { FoldPosition } from "./position.ts";
import type { Route } from "./routes.ts";

/** An event, or a retraction, as it was folded, for who follows the partition. */
export interface FoldedEvent extends CheckedRow {
  readonly offset: number;
  readonly knownTime: Micros;
  /** Of a mark of forgotten events, which is no event itself. */
  readonly forgets?: ForgetMark;
}

/** Records of a partition that follow each other: retractions, and events that take the place of others; or one mark. */
export interface PartitionRun {
  readonly route: Route;
  readonly partition: number;
  readonly run: readonly FoldedEvent[];
}

/** What a run of corrections does to each view, by its `foldName`. */
export type RefoldedViews = ReadonlyMap<string, RefoldedRun<ViewState>>;

export interface PartitionWrites {
  readonly states: readonly StateWrite[];
  readonly ids: readonly StateWrite[];
  /** Of events that were passed over because the state that was read has them. */
  readonly passed: readonly EntityKey[];
}

/** Where a partition is taken up. */
export interface PartitionPlace {
  readonly partition: number;
  readonly topicId: string;
  /** Where to begin that has no position: the oldest record there is. */
  readonly startOffset: number;
  readonly position: FoldPosition | null;
}

export interface FoldedPartition {
  readonly options: Omit<PartitionPlace, "position"> & { readonly route: Route };
  /** Whether it folds what is behind the others (`late-fold.ts`). */
  readonly isLate: boolean;
  /** Whether records may be corrections. */
  readonly takesCorrections: boolean;
  /** What was admitted and is not folded yet. */
  readonly admitted: readonly FoldedEvent[];
  /** Offset of the next record to take. */
  readonly offset: number;
  /** The position in the store is not before this one; moved by whoever writes positions. */
  storedOffset: number;
  /** Where it stands: behind all that was admitted. */
  readonly position: FoldPosition;
  duplicates: number;
  copies: number;
  /** Takes records that follow on; what is to be loaded before they can be folded is returned. */
  admit(records: readonly KafkaRecord[], nextOffset: number): StateRead[];
  /** What was read for a read that `admit` returned. */
  load(read: StateRead, stored: StoredState | null): void;
  /** Folds what was admitted and returns the events that were taken. Where some are retractions, it is given what they do. */
  fold(refolded?: RefoldedViews): readonly FoldedEvent[];
  /** Letters that must be written before `takeWrites`' states are. */
  takeRefused(): RefusedRecord[];
  takeWrites(): PartitionWrites;
  /** `refused` are of `writes.states`, then of `writes.ids`. */
  committed(writes: PartitionWrites, refused: readonly RefusedWrite[]): void;
  /** Lets go of memory until `countMax` states are left. To be called with nothing to write. */
  letGo(countMax: number): void;
}
