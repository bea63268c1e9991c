/**
 * A fit: what the transformations of a service were fitted to, under a version. It never changes; a later one
 * has the next version. It carries the service's definition, so that what was served with it can be computed
 * again after the service was redefined.
 */
import type { OnefoldError } from "../base/errors.ts";
import type { ServiceDefinition } from "../define/definition.ts";
import type { Micros } from "../base/micros.ts";
import type { Data } from "./definition-data.ts";

export interface FittedStep {
  /** The transformation, as one line. */
  readonly transformation: string;
  /** How many values of the train split it was fitted to. */
  readonly values: number;
  /** Finite numbers, and no -0: they come back from JSON bit for bit. */
  readonly parameters: Data;
}

/** One entry for each transformation that is fitted, inputs first. */
export type FittedParameters = readonly FittedStep[];

/** Which rows of the training set were fitted to. */
export interface FitSplit {
  /** In words, as it was asked for: "time < 2001-03-01T00:00:00Z". */
  readonly train: string;
  readonly rowsTrain: number;
  readonly rowsTotal: number;
}

/**
 * Labels before a time; the earliest share of them, 0 to 1, rounded down, of equal times the earlier row; or
 * those where a column, as text, has a value.
 */
export type TrainSplit =
  | { readonly until: Micros }
  | { readonly share: number }
  | { readonly column: string; readonly value: string };

export interface NewFit {
  readonly definition: ServiceDefinition;
  /** Of the definition. */
  readonly fingerprint: string;
  readonly parameters: FittedParameters;
  readonly split: FitSplit;
  /** By which the rows are found again; absent in fits of versions that kept only its words. */
  readonly trainSplit?: TrainSplit;
  /** Manifest of the training set. */
  readonly training: Data;
  /** RFC 3339. */
  readonly created: string;
}

export interface FittedService extends NewFit {
  /** 1, 2, ... */
  readonly version: number;
  /** SHA-256 of all of the above, in hexadecimal digits. */
  readonly sha256: string;
}

/** What a look at the disk came to. */
export interface FitsTakenUp {
  /** How many fits there are now that were not there before, or were damaged. */
  readonly added: number;
  /** Why others cannot be read. */
  readonly unread: readonly OnefoldError[];
}

/** The fits of all services. A service is named by its id: each version has fits of its own, numbered by themselves. */
export interface FitStore {
  /** Durable once it resolves, under the next version of its service. Throws `STORAGE_FAILED`. */
  put(fit: NewFit): Promise<FittedService>;
  /**
   * Takes up what other processes have stored since. A fit that cannot be read is left for the next time: it may
   * be half written by a copy, or a backup, that does not know better. Throws `STORAGE_FAILED`.
   */
  takeUp(): Promise<FitsTakenUp>;
  /** Of a service, oldest first. Throws `FIT_CORRUPT`. */
  fitsOf(service: string): readonly FittedService[];
  /**
   * The newest fit of a service whose definition has this fingerprint, or the one of the version that is asked
   * for, whatever definition it is of. Throws `SERVICE_NOT_FITTED`, `FIT_UNKNOWN`, `FIT_CORRUPT`.
   */
  fitFor(service: string, fingerprint: string, version?: number): FittedService;
}
