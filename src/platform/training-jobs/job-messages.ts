/**
 * What the owner of a data folder and the process that builds one of its training sets say to each other. The process
 * writes a file, says how it goes, and ends.
 */
import type { Micros } from "../../base/micros.ts";
import type { TrainingOptions, TrainingProgress } from "../../serve/training-desk.ts";
import type { WorkerTablesOptions } from "../kafka/worker-tables.ts";
import type { WireError } from "../../base/wire-error.ts";

/** Where the process finds the house; all of it is read only. */
export interface JobHouse {
  readonly dataDir: string;
  /** Of the registry's file and the fits. */
  readonly registryFolder: string;
  readonly workerTables?: WorkerTablesOptions;
  readonly memoryBytes?: number;
  /** The owner's time, for what is dated. */
  readonly now: Micros;
}

export type JobWork =
  | {
      readonly kind: "train";
      readonly house: JobHouse;
      /** Null for every entity. */
      readonly labels: string | null;
      readonly out: string;
      /** Where the report of leakage goes, if one is asked for. */
      readonly leakageOut: string;
      readonly options: TrainingOptions;
      /** By source: up to when its log is closed, and archived. Null where nobody can tell. */
      readonly closedUpTo: Readonly<Record<string, number | null>>;
    }
  /** A Parquet file as an Arrow stream. */
  | { readonly kind: "arrow"; readonly from: string; readonly out: string };

export interface JobResult {
  readonly rows: number;
  readonly features: readonly string[];
  /** Of the file. */
  readonly bytes: number;
}

export type JobProgress = Pick<TrainingProgress, "phase" | "view" | "done" | "total">;

export type JobMessage =
  // the process tells
  | { readonly kind: "ready" }
  | { readonly kind: "progress"; readonly progress: JobProgress }
  | { readonly kind: "done"; readonly result: JobResult }
  | { readonly kind: "failed"; readonly error: WireError }
  // the owner tells
  | { readonly kind: "work"; readonly work: JobWork }
  | { readonly kind: "cancel" };
