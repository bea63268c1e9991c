/**
 * Training sets as jobs, as the HTTP door sees them: what is asked for, how it stands, and where its files are. Plain
 * data, so that a worker process can pass it on to the owner of the data folder.
 */
import type { ErrorCode } from "../base/errors.ts";

export type LabelFormat = "parquet" | "csv" | "ndjson";

/** As JSON: `manifest`, what the set was made from; `leakage`, the report that was asked for with it. */
export type SetFormat = "parquet" | "arrow" | "manifest" | "leakage";

/** What is said of the only service, or of each by its name. */
type ByService<T extends number | string> = T | Readonly<Record<string, T>>;

/** What a training set is made by, beside its labels. Names are those of the wire. */
export interface TrainingOptions {
  readonly service: string | readonly string[];
  readonly knowledge?: "as-known" | "final" | "as-served";
  readonly boundary?: "inclusive" | "exclusive";
  readonly fit?: ByService<number>;
  /** Ticks so far apart: what is given as labels are entities then, each at every tick. */
  readonly every?: string;
  /** First and last tick, ISO 8601. */
  readonly from?: string;
  readonly to?: string;
  /** Shares of the rows by time, or one or two times that begin a part: adds a column `split`. */
  readonly split?: readonly number[] | readonly string[];
  /** Adds a column `<feature>__status` for each feature. */
  readonly statuses?: boolean;
  readonly allow_after_log?: boolean;
  /** Also compares the set with one of final knowledge; not with another `knowledge` than `as-known`. */
  readonly explain_leakage?: boolean;
  readonly time_column?: string;
  readonly token_column?: ByService<string>;
  /** Label columns that hold an entity's key, by entity. */
  readonly key_columns?: Readonly<Record<string, readonly string[]>>;
}

/**
 * `queued` and `running` are under way. `interrupted`: the server ended before the work did. What is not `done` has no
 * files.
 */
export type TrainingState = "queued" | "running" | "done" | "failed" | "cancelled" | "interrupted";

export interface TrainingProgress {
  /** What is being done now; `done` and `total` count anew in each phase. */
  readonly phase: "starting" | "labels" | "sorting" | "events" | "writing";
  /** `view@version`, in the phases `sorting` and `events`. */
  readonly view: string | null;
  /** Label rows; percent in phase `sorting`. */
  readonly done: number;
  readonly total: number;
  /** Of this phase, since it began. */
  readonly rows_per_second: number;
  /** Of this phase; null while nobody can tell. */
  readonly seconds_left: number | null;
}

/** A job as the wire shows it. Times are RFC 3339. */
export interface TrainingJob {
  readonly id: string;
  readonly state: TrainingState;
  /** Counts the changes of this job. */
  readonly revision: number;
  readonly options: TrainingOptions;
  /** Null where every entity is taken. */
  readonly labels: { readonly format: LabelFormat; readonly bytes: number; readonly path: string | null } | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  /** When what it has is removed at the latest; null while it is under way. */
  readonly expires_at: string | null;
  /** How many jobs are begun before it, while it is queued. */
  readonly jobs_ahead: number | null;
  readonly progress: TrainingProgress | null;
  readonly result: { readonly rows: number; readonly features: readonly string[]; readonly bytes: number } | null;
  readonly error: TrainingError | null;
}

export interface TrainingError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly where?: string;
  readonly hint?: string;
  readonly candidates?: readonly string[];
}

/** Labels that were received for `id`, a file on the server, or, at ticks, every entity that is known by then. */
export type LabelsChosen = { readonly id: string } | { readonly path: string } | { readonly entities: "all" };

/** A place in the queue that is kept while labels are received, and where to put them. */
export interface LabelPlace {
  readonly id: string;
  readonly path: string;
  readonly bytesMax: number;
}

/** All of it may be asked from another process. */
export interface TrainingDesk {
  /**
   * Keeps a place for labels to come; `id` is a UUID that the caller has chosen. Throws `BACKPRESSURE` where the queue is full,
   * `TRAINING_SET_EXISTS`, and `CANCELLED` where `remove` was asked for the id before.
   */
  reserve(format: LabelFormat, id?: string): Promise<LabelPlace>;
  /** Gives it back, with what was received. */
  release(id: string): Promise<void>;
  /**
   * Starts, or queues, a job; `id` as of `reserve`, where no place is kept yet. Throws what `reserve` throws, `BACKPRESSURE`, `PATH_NOT_ALLOWED`, `FILE_UNREADABLE`, `REQUEST_INVALID`,
   * `TIME_INVALID`, `DURATION_INVALID`, and what planning the services throws; the place is given back then.
   */
  start(labels: LabelsChosen, options: TrainingOptions, id?: string): Promise<TrainingJob>;
  /** The newest first. */
  list(): Promise<readonly TrainingJob[]>;
  /** Throws `TRAINING_SET_UNKNOWN`. */
  job(id: string): Promise<TrainingJob>;
  /** Resolves once it has another revision than `revision`, after some seconds at the latest. Throws `TRAINING_SET_UNKNOWN`. */
  changed(id: string, revision: number): Promise<TrainingJob>;
  /**
   * Ends one that is under way; removes one that is not, with its files. Throws `TRAINING_SET_UNKNOWN`; then, too, none is
   * started under this id any more.
   */
  remove(id: string): Promise<TrainingJob>;
  /**
   * The file of one that is done. Throws `TRAINING_SET_UNKNOWN`, `TRAINING_SET_NOT_DONE`, `TYPE_MISMATCH`, and
   * `REQUEST_INVALID` for a report that was not asked for.
   */
  file(id: string, format: SetFormat): Promise<{ readonly path: string; readonly bytes: number }>;
}

export function isUnderWay({ state }: Pick<TrainingJob, "state">): boolean {
  return state === "queued" || state === "running";
}
