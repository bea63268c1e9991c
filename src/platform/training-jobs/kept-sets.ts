/**
 * Training sets that are done, for as long as there is room: their files, their size, and which of them are to go. What is
 * asked for as Arrow is made of the Parquet file the first time, one conversion after another.
 */
import { rename, stat } from "node:fs/promises";
import type { Clock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { formatMicros, micros, MICROS_PER_DAY, parseMicros } from "../../base/micros.ts";
import { isUnderWay, type SetFormat } from "../../serve/training-desk.ts";
import type { JobFolder, StoredJob } from "./job-folder.ts";
import type { JobWork } from "./job-messages.ts";
import { type JobProgram, runInProcess } from "./job-process.ts";

export interface KeptSetsOptions extends JobProgram {
  /** What finished jobs may take on disk; the newest stays whatever it takes. Default 8 GiB. */
  readonly keptBytesMax?: number;
  /** How long a finished job is kept. Default 7 days. */
  readonly keptMicrosMax?: number;
}

/** A job, finished or not, and what its files take. */
export interface KeptSet {
  readonly job: StoredJob;
  bytes: number;
  /** Ends a conversion, too. */
  readonly cancelling: AbortController;
  /** The conversion to Arrow that is under way. */
  converting: Promise<void> | null;
}

const KEPT_BYTES_MAX = 8 * 1024 * 1024 * 1024;
const KEPT_JOBS_MAX = 200;

export class KeptSets {
  readonly #folder: JobFolder;
  readonly #clock: Clock;
  readonly #options: KeptSetsOptions;
  /** One at a time. */
  #conversions: Promise<unknown> = Promise.resolve();

  constructor(folder: JobFolder, clock: Clock, options: KeptSetsOptions) {
    this.#folder = folder;
    this.#clock = clock;
    this.#options = options;
  }

  /** RFC 3339; null while the job is under way. */
  expiresAt({ finished_at: finishedAt }: StoredJob): string | null {
    return finishedAt === null ? null : formatMicros(micros(this.#expiry(finishedAt)));
  }

  /** Looks at what its files take. */
  async weigh(set: KeptSet): Promise<void> {
    set.bytes = await this.#folder.bytes(set.job.id);
  }

  /** Throws `TRAINING_SET_NOT_DONE`, `REQUEST_INVALID`, and what a conversion throws. */
  async file(set: KeptSet, format: SetFormat): Promise<{ readonly path: string; readonly bytes: number }> {
    const { id, state, options } = set.job;
    if (state !== "done") {
      throw new OnefoldError("TRAINING_SET_NOT_DONE", `training set ${id} is ${state}: it has no file`, {
        hint: isUnderWay(set.job) ? "wait until its state is done" : "start it again: POST /training-sets",
      });
    }
    if (format === "leakage" && options.explain_leakage !== true) {
      throw new OnefoldError("REQUEST_INVALID", `training set ${id} was made without a report of leakage`, {
        hint: 'start it again with "explain_leakage": true',
      });
    }
    if (format === "arrow") {
      set.converting ??= this.#convert(set).finally(() => (set.converting = null));
      await set.converting;
    }
    const path = this.#pathOf(id, format);
    return { path, bytes: (await stat(path)).size };
  }

  /** Those that are too old, and the oldest of what is too much. Of sets that finished at one time the last given are the newer. */
  overdue(sets: Iterable<KeptSet>): KeptSet[] {
    const { keptBytesMax = KEPT_BYTES_MAX } = this.#options;
    const finished = [...sets].flatMap((set) => {
      const { finished_at: finishedAt } = set.job;
      return finishedAt === null ? [] : [{ set, finishedAt }];
    });
    finished.reverse().sort((a, b) => parseMicros(b.finishedAt) - parseMicros(a.finishedAt));
    const newest = finished.find(({ set }) => set.job.state === "done")?.set;
    let bytes = 0;
    return finished.flatMap(({ set, finishedAt }, place) => {
      bytes += set.bytes;
      const isOld = this.#expiry(finishedAt) <= this.#clock.now();
      const isTooMuch = set !== newest && (bytes > keptBytesMax || place >= KEPT_JOBS_MAX);
      return isOld || isTooMuch ? [set] : [];
    });
  }

  /** Resolves once no conversion is under way. */
  async idle(): Promise<void> {
    await this.#conversions.catch(() => undefined);
  }

  #pathOf(id: string, format: SetFormat): string {
    switch (format) {
      case "parquet":
        return this.#folder.set(id);
      case "arrow":
        return this.#folder.arrow(id);
      case "manifest":
        return this.#folder.manifest(id);
      case "leakage":
        return this.#folder.leakage(id);
    }
  }

  #expiry(finishedAt: string): number {
    return parseMicros(finishedAt) + (this.#options.keptMicrosMax ?? 7 * MICROS_PER_DAY);
  }

  #convert(set: KeptSet): Promise<void> {
    const { id } = set.job;
    const out = this.#folder.arrow(id);
    const converted = this.#conversions
      .catch(() => undefined)
      .then(async () => {
        if (await isThere(out)) return;
        const partial = `${out}.partial`;
        const work: JobWork = { kind: "arrow", from: this.#folder.set(id), out: partial };
        await runInProcess(this.#options, work, { signal: set.cancelling.signal });
        await rename(partial, out);
        await this.weigh(set);
      });
    this.#conversions = converted;
    return converted;
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
