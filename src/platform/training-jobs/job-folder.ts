/**
 * Training jobs on disk, one folder each, under the data folder:
 *
 *     training-sets/<id>/  job.json  labels.<format>  set.parquet  set.parquet.manifest.json  leakage.json  set.arrows
 *
 * `job.json` is replaced whole. Labels are there while a job is under way, sets once it is done. A folder without
 * a `job.json` is of an upload that never became a job.
 */
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../registry/atomic-file.ts";
import type { LabelFormat, TrainingJob } from "../../serve/training-desk.ts";

/** A job as it is kept: what its place in the queue and its progress are is known to the process that runs it. */
export type StoredJob = Omit<TrainingJob, "jobs_ahead" | "progress" | "expires_at">;

export class JobFolder {
  readonly #folder: string;

  constructor(dataDir: string) {
    this.#folder = join(dataDir, "training-sets");
  }

  /**
   * All jobs that can be read; what else is found, an upload that never became one or a damaged file, is removed. One that cannot
   * be read for now is left alone.
   */
  async readAll(): Promise<StoredJob[]> {
    const jobs: StoredJob[] = [];
    for (const id of await readdir(this.#folder).catch(() => [])) {
      const text = await readFile(join(this.#folder, id, "job.json"), "utf8").catch((error: NodeJS.ErrnoException) =>
        error.code === "ENOENT" || error.code === "ENOTDIR" ? "" : null,
      );
      if (text === null) continue;
      const job = parseJob(text);
      if (job?.id === id) jobs.push(job);
      else await this.remove(id);
    }
    return jobs;
  }

  /** Durable once it resolves. Throws `STORAGE_FAILED`. */
  write(job: StoredJob): Promise<void> {
    return replaceFile(join(this.#folder, job.id, "job.json"), `${JSON.stringify(job, null, 2)}\n`);
  }

  async make(id: string): Promise<void> {
    await mkdir(join(this.#folder, id), { recursive: true });
  }

  async remove(id: string): Promise<void> {
    await rm(join(this.#folder, id), { recursive: true, force: true });
  }

  labels(id: string, format: LabelFormat): string {
    return join(this.#folder, id, `labels.${format}`);
  }

  set(id: string): string {
    return join(this.#folder, id, "set.parquet");
  }

  manifest(id: string): string {
    return `${this.set(id)}.manifest.json`;
  }

  arrow(id: string): string {
    return join(this.#folder, id, "set.arrows");
  }

  leakage(id: string): string {
    return join(this.#folder, id, "leakage.json");
  }

  /** Removes everything but the job itself and, where it is done, its set. */
  async tidy({ id, state }: StoredJob): Promise<void> {
    const kept =
      state === "done" ? ["job.json", "set.parquet", "set.parquet.manifest.json", "leakage.json"] : ["job.json"];
    for (const name of await readdir(join(this.#folder, id)).catch(() => [])) {
      if (!kept.includes(name)) await rm(join(this.#folder, id, name), { recursive: true, force: true });
    }
  }

  /** What its files take. */
  async bytes(id: string): Promise<number> {
    const folder = join(this.#folder, id);
    const names = await readdir(folder).catch(() => []);
    const sizes = await Promise.all(
      names.map((name) =>
        stat(join(folder, name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }
}

function parseJob(text: string): StoredJob | null {
  try {
    return JSON.parse(text) as StoredJob;
  } catch {
    return null;
  }
}
