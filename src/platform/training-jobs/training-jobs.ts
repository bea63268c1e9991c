/**
 * The training jobs of a data folder: a bounded queue, so many at once, each in a process of its own. What they made is
 * kept by `kept-sets.ts`.
 *
 * A job's file says it is under way before anything is begun, and what became of it once its set is whole on disk. So a
 * job found under way when the folder is opened was interrupted, and is said to be; a set that is called done is there.
 */
import { randomUUID } from "node:crypto";
import { stat } from "node:fs/promises";
import type { Clock } from "../../base/clock.ts";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import { formatMicros } from "../../base/micros.ts";
import {
  isUnderWay,
  type LabelFormat,
  type LabelPlace,
  type LabelsChosen,
  type SetFormat,
  type TrainingDesk,
  type TrainingError,
  type TrainingJob,
  type TrainingOptions,
  type TrainingProgress,
  type TrainingState,
} from "../../serve/training-desk.ts";
import { ChosenIds, requireNewId } from "./chosen-ids.ts";
import { JobFolder, type StoredJob } from "./job-folder.ts";
import type { JobHouse, JobResult, JobWork } from "./job-messages.ts";
import { runInProcess } from "./job-process.ts";
import { type KeptSet, KeptSets, type KeptSetsOptions } from "./kept-sets.ts";
import { findLabelFile } from "./labels-path.ts";
import { PhaseRate } from "./phase-rate.ts";
import { trainingRequest } from "./training-request.ts";

export interface TrainingJobsOptions extends KeptSetsOptions {
  /** Jobs that run at the same time. Default 1. */
  readonly atOnce?: number;
  /** Jobs that may wait, uploads included. Default 8; past it a request is refused with `BACKPRESSURE`. */
  readonly waitingMax?: number;
  /** Of an uploaded label file. Default 256 MiB. */
  readonly labelBytesMax?: number;
  /** Folder of label files that a caller may name. Default none. */
  readonly labelsFolder?: string;
}

/** Of the platform. */
export interface TrainingJobsHouse extends Omit<JobHouse, "now"> {
  readonly clock: Clock;
  /** Sources behind a service. Throws what planning it throws. */
  sourcesOf(options: TrainingOptions): readonly string[];
  /** Brings a source's archive up to the end of its log; up to when it is complete, or null where nobody can tell. */
  archive(source: string): Promise<number | null>;
}

interface Entry extends KeptSet {
  job: StoredJob;
  revision: number;
  progress: TrainingProgress | null;
  readonly waiters: Set<() => void>;
}

const MEGABYTE = 1024 * 1024;
const SWEEP_MILLIS = 10 * 60_000;
/** An upload whose client has gone without a word is forgotten. */
const PLACE_MILLIS_MAX = 10 * 60_000;
const WAIT_MILLIS_MAX = 10_000;

export class TrainingJobs implements TrainingDesk {
  readonly #house: TrainingJobsHouse;
  readonly #options: TrainingJobsOptions;
  readonly #folder: JobFolder;
  readonly #kept: KeptSets;
  readonly #entries = new Map<string, Entry>();
  readonly #queue: Entry[] = [];
  readonly #running = new Map<Entry, Promise<void>>();
  readonly #chosenIds = new ChosenIds();
  readonly #places = new Map<string, { readonly format: LabelFormat; readonly timer: NodeJS.Timeout }>();
  readonly #sweeping: NodeJS.Timeout;
  #isClosing = false;

  private constructor(house: TrainingJobsHouse, options: TrainingJobsOptions) {
    this.#house = house;
    this.#options = options;
    this.#folder = new JobFolder(house.dataDir);
    this.#kept = new KeptSets(this.#folder, house.clock, options);
    this.#sweeping = setInterval(() => void this.#sweep(), SWEEP_MILLIS).unref();
  }

  /** The jobs that the folder has. Those found under way were interrupted. */
  static async open(house: TrainingJobsHouse, options: TrainingJobsOptions): Promise<TrainingJobs> {
    const jobs = new TrainingJobs(house, options);
    for (const job of await jobs.#folder.readAll()) {
      const entry = jobs.#enter(job);
      if (isUnderWay(job)) await jobs.#finish(entry, "interrupted", { error: interrupted() });
      else await jobs.#folder.tidy(job);
      await jobs.#kept.weigh(entry);
    }
    await jobs.#sweep();
    return jobs;
  }

  async reserve(format: LabelFormat, id: string = randomUUID()): Promise<LabelPlace> {
    this.#chosenIds.requireNotCancelled(id);
    requireNewId(id, this.#entries.has(id) || this.#places.has(id));
    this.#refuseWhereFull();
    const timer = setTimeout(() => void this.release(id), PLACE_MILLIS_MAX).unref();
    this.#places.set(id, { format, timer });
    try {
      await this.#folder.make(id);
    } catch (error) {
      // Nobody hears of it, and so nobody gives it back.
      this.#leavePlace(id);
      throw error;
    }
    const { labelBytesMax = 256 * MEGABYTE } = this.#options;
    return { id, path: this.#folder.labels(id, format), bytesMax: labelBytesMax };
  }

  async release(id: string): Promise<void> {
    if (this.#leavePlace(id) !== null) await this.#folder.remove(id);
  }

  async start(labels: LabelsChosen, options: TrainingOptions, chosenId?: string): Promise<TrainingJob> {
    let place = "id" in labels ? labels.id : null;
    try {
      // What is wrong with the request itself is told at once.
      trainingRequest(options, "entities" in labels ? null : "");
      this.#house.sourcesOf(options);
      const found = await this.#found(labels);
      const id = (place ??= (await this.reserve(found?.format ?? "csv", chosenId)).id);
      const job: StoredJob = {
        id,
        state: "queued",
        revision: 0,
        options,
        labels: found,
        created_at: formatMicros(this.#house.clock.now()),
        started_at: null,
        finished_at: null,
        result: null,
        error: null,
      };
      // In the queue only then: whoever runs it writes the same file.
      await this.#folder.write(job);
      this.#chosenIds.requireNotCancelled(id);
      const entry = this.#enter(job);
      this.#leavePlace(id);
      this.#queue.push(entry);
      this.#next();
      return this.#shown(entry);
    } catch (error) {
      if (place !== null) await this.release(place);
      throw error;
    }
  }

  async list(): Promise<readonly TrainingJob[]> {
    const all = [...this.#entries.values()].map((entry) => this.#shown(entry));
    return all.reverse().sort((a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0));
  }

  async job(id: string): Promise<TrainingJob> {
    return this.#shown(this.#entry(id));
  }

  changed(id: string, revision: number): Promise<TrainingJob> {
    const entry = this.#entry(id);
    if (entry.revision !== revision) return Promise.resolve(this.#shown(entry));
    return new Promise((resolve) => {
      const tell = (): void => {
        clearTimeout(timer);
        entry.waiters.delete(tell);
        resolve(this.#shown(entry));
      };
      const timer = setTimeout(tell, WAIT_MILLIS_MAX).unref();
      entry.waiters.add(tell);
    });
  }

  async remove(id: string): Promise<TrainingJob> {
    this.#chosenIds.cancel(id);
    const entry = this.#entry(id);
    if (isUnderWay(entry.job)) {
      entry.cancelling.abort();
      const place = this.#queue.indexOf(entry);
      if (place >= 0) {
        this.#queue.splice(place, 1);
        await this.#finish(entry, "cancelled", {});
      } else await this.#running.get(entry);
      return this.#shown(entry);
    }
    await this.#drop(entry);
    return this.#shown(entry);
  }

  async file(id: string, format: SetFormat): Promise<{ readonly path: string; readonly bytes: number }> {
    return this.#kept.file(this.#entry(id), format);
  }

  /** Ends what is under way; it is interrupted then. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#sweeping);
    for (const id of this.#places.keys()) await this.release(id);
    for (const entry of this.#queue.splice(0)) await this.#finish(entry, "interrupted", { error: interrupted() });
    for (const { cancelling } of this.#entries.values()) cancelling.abort();
    await Promise.all([...this.#running.values(), this.#kept.idle()]);
  }

  /** Throws `BACKPRESSURE`. */
  #refuseWhereFull(): void {
    const { atOnce = 1, waitingMax = 8 } = this.#options;
    const count = this.#running.size + this.#queue.length + this.#places.size;
    if (this.#isClosing) throw new OnefoldError("NOT_READY", "the server is stopping");
    if (count < atOnce + waitingMax) return;
    throw new OnefoldError("BACKPRESSURE", `${count} training sets are under way, and no more may wait`, {
      hint: "wait until one is done: GET /training-sets lists them, DELETE /training-sets/{id} cancels one",
    });
  }

  #leavePlace(id: string): LabelFormat | null {
    const place = this.#places.get(id);
    if (place === undefined) return null;
    clearTimeout(place.timer);
    this.#places.delete(id);
    return place.format;
  }

  async #found(labels: LabelsChosen): Promise<StoredJob["labels"]> {
    if ("entities" in labels) return null;
    if ("id" in labels) return { ...(await this.#received(labels.id)), path: null };
    const { format, bytes } = await findLabelFile(this.#options.labelsFolder, labels.path);
    return { format, bytes, path: labels.path };
  }

  async #received(id: string): Promise<{ readonly format: LabelFormat; readonly bytes: number }> {
    const format = this.#places.get(id)?.format;
    if (format === undefined) throw new OnefoldError("TRAINING_SET_UNKNOWN", `no labels were received for ${id}`);
    return { format, bytes: (await stat(this.#folder.labels(id, format))).size };
  }

  #enter(job: StoredJob): Entry {
    const entry: Entry = {
      job,
      revision: job.revision,
      progress: null,
      bytes: 0,
      cancelling: new AbortController(),
      waiters: new Set(),
      converting: null,
    };
    this.#entries.set(job.id, entry);
    return entry;
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry !== undefined) return entry;
    throw new OnefoldError("TRAINING_SET_UNKNOWN", `there is no training set ${id.slice(0, 100)}`, {
      hint: "GET /training-sets lists those there are; old ones are removed",
    });
  }

  #shown(entry: Entry): TrainingJob {
    const { job, revision, progress } = entry;
    const ahead = this.#queue.indexOf(entry);
    return {
      ...job,
      revision,
      progress,
      jobs_ahead: ahead < 0 ? null : ahead,
      expires_at: this.#kept.expiresAt(job),
    };
  }

  #next(): void {
    const { atOnce = 1 } = this.#options;
    while (!this.#isClosing && this.#running.size < atOnce && this.#queue.length > 0) {
      const entry = this.#queue.shift()!;
      const run = this.#run(entry).finally(() => {
        this.#running.delete(entry);
        this.#next();
      });
      this.#running.set(entry, run);
    }
  }

  /** Never rejects. */
  async #run(entry: Entry): Promise<void> {
    const { id, options } = entry.job;
    const { signal } = entry.cancelling;
    try {
      const rate = new PhaseRate();
      await this.#change(entry, { state: "running", started_at: formatMicros(this.#house.clock.now()) });
      entry.progress = rate.at({ phase: "starting", view: null, done: 0, total: 0 }, performance.now());
      const path = await this.#labelsOf(entry.job);
      await this.#folder.make(id);
      const work = await this.#work(id, options, path);
      const result = await runInProcess(this.#options, work, {
        signal,
        onProgress: (progress) => {
          entry.progress = rate.at(progress, performance.now());
          this.#touch(entry);
        },
      });
      await this.#finish(entry, "done", { result });
    } catch (thrown) {
      const error = this.#isClosing ? interrupted() : errorText(thrown);
      const state = this.#isClosing ? "interrupted" : signal.aborted ? "cancelled" : "failed";
      await this.#finish(entry, state, state === "cancelled" ? {} : { error });
    }
    await this.#sweep();
  }

  /** Null for every entity. */
  async #labelsOf({ id, labels }: StoredJob): Promise<string | null> {
    if (labels === null) return null;
    if (labels.path === null) return this.#folder.labels(id, labels.format);
    return (await findLabelFile(this.#options.labelsFolder, labels.path)).path;
  }

  async #work(id: string, options: TrainingOptions, labels: string | null): Promise<JobWork> {
    const { clock, sourcesOf, archive, ...house } = this.#house;
    const closedUpTo: Record<string, number | null> = {};
    for (const source of sourcesOf(options)) closedUpTo[source] = await archive(source);
    const [out, leakageOut] = [this.#folder.set(id), this.#folder.leakage(id)];
    return { kind: "train", house: { ...house, now: clock.now() }, labels, out, leakageOut, options, closedUpTo };
  }

  /** Never rejects: where the disk fails, the job says so as long as this process lives. */
  async #finish(
    entry: Entry,
    state: TrainingState,
    end: { readonly result?: JobResult; readonly error?: TrainingError },
  ): Promise<void> {
    entry.progress = null;
    try {
      await this.#change(entry, { state, finished_at: formatMicros(this.#house.clock.now()), ...end });
      await this.#folder.tidy(entry.job);
      await this.#kept.weigh(entry);
    } catch (error) {
      entry.job = { ...entry.job, state: "failed", result: null, error: errorText(error) };
      this.#touch(entry);
    }
  }

  /** What is shown is what is on disk, but for progress. */
  async #change(entry: Entry, change: Partial<StoredJob>): Promise<void> {
    const revision = entry.revision + 1;
    const job = { ...entry.job, ...change, revision };
    await this.#folder.write(job);
    entry.job = job;
    this.#touch(entry);
  }

  #touch(entry: Entry): void {
    entry.revision += 1;
    for (const tell of entry.waiters) tell();
  }

  async #drop(entry: Entry): Promise<void> {
    this.#entries.delete(entry.job.id);
    entry.cancelling.abort();
    await this.#folder.remove(entry.job.id);
  }

  /** Removes what is too old, and the oldest of what is too much. Never rejects. */
  async #sweep(): Promise<void> {
    for (const { job } of this.#kept.overdue(this.#entries.values())) {
      const entry = this.#entries.get(job.id);
      if (entry !== undefined) await this.#drop(entry).catch(() => undefined);
    }
  }
}

function interrupted(): TrainingError {
  return new OnefoldError("TRAINING_INTERRUPTED", "the server ended before the training set was done", {
    hint: "start it again: POST /training-sets",
  }).toJSON() as unknown as TrainingError;
}

function errorText(thrown: unknown): TrainingError {
  return asOnefoldError(thrown).toJSON() as unknown as TrainingError;
}
