/**
 * Records of shadows on disk, a file an experiment:
 *
 *     monitor/shadow/<experiment>.json             of the data folder's owner and its workers
 *     monitor/shadow/<experiment>.<writer>.json    of servers that do not own the folder
 *
 * A file has one writer, which replaces it whole; others may read beside it, and remove it. One that cannot be read is as
 * none: nothing depends on it.
 */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../registry/atomic-file.ts";
import { mergeAll, recordFromJson, recordToJson, type ShadowRecord } from "./shadow-record.ts";

const FORMAT = 1;

export class ShadowFolder {
  readonly #folder: string;
  readonly #suffix: string;
  /** As this writer has written them. */
  readonly #written = new Map<string, readonly ShadowRecord[]>();

  /** `writer`: of letters and digits; empty of the folder's owner. */
  constructor(dataDir: string, writer = "") {
    this.#folder = join(dataDir, "monitor", "shadow");
    this.#suffix = writer === "" ? ".json" : `.${writer}.json`;
  }

  /** Adds to what is there. Durable once it resolves. Throws `STORAGE_FAILED`, `DISK_FULL`. */
  async add(experiment: string, records: readonly ShadowRecord[]): Promise<void> {
    const path = join(this.#folder, `${experiment}${this.#suffix}`);
    const merged = mergeAll([...(await this.#before(experiment, path)), ...records]);
    const json = { format: FORMAT, records: merged.map(recordToJson) };
    await replaceFile(path, `${JSON.stringify(json)}\n`);
    this.#written.set(experiment, merged);
  }

  /** Of all who wrote, together. */
  async read(experiment: string): Promise<readonly ShadowRecord[]> {
    const files = (await this.#files()).filter((one) => one.experiment === experiment);
    return mergeAll((await Promise.all(files.map(({ path }) => readRecords(path)))).flat());
  }

  /** Removes what is kept of these, whoever wrote it. */
  async remove(isOne: (experiment: string) => boolean): Promise<void> {
    for (const { experiment, path } of await this.#files()) if (isOne(experiment)) await rm(path, { force: true });
  }

  /** Where its file is gone, somebody wanted it forgotten. */
  async #before(experiment: string, path: string): Promise<readonly ShadowRecord[]> {
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    return isThere ? (this.#written.get(experiment) ?? (await readRecords(path))) : [];
  }

  /** Without those of writes that were cut short. */
  async #files(): Promise<readonly { readonly experiment: string; readonly path: string }[]> {
    const names = await readdir(this.#folder).catch(() => [] as string[]);
    return names.flatMap((name) => {
      const match = /^([^.]+)(?:\.\w+)?\.json$/.exec(name);
      return match === null ? [] : [{ experiment: match[1]!, path: join(this.#folder, name) }];
    });
  }
}

async function readRecords(path: string): Promise<readonly ShadowRecord[]> {
  try {
    const { format, records } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    return format === FORMAT ? (records as unknown[]).map(recordFromJson) : [];
  } catch {
    return [];
  }
}
