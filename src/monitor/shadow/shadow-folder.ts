/**
 * Records of shadows on disk, a file an experiment:
 *
 *     monitor/shadow/<experiment>.json             of the data folder's owner and its workers
 *     monitor/shadow/<experiment>.<writer>.json    of servers that do not own the folder
 *
 * A file has one writer, which replaces it whole; others may read beside it, and remove it. A writer's name is not used again
 * after its process: so others take over what nobody has written to for a day. What is damaged, or in another format, is as
 * none: nothing depends on it.
 */
import { randomUUID } from "node:crypto";
import { readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../registry/atomic-file.ts";
import { unlessAbsent } from "../../base/unless-absent.ts";
import { mergeAll, recordFromJson, recordToJson, type ShadowRecord } from "./shadow-record.ts";

const FORMAT = 1;
const DAY_MILLIS = 24 * 3600 * 1000;

export class ShadowFolder {
  readonly #folder: string;
  readonly #writer: string;
  /** As this writer has written them. */
  readonly #written = new Map<string, readonly ShadowRecord[]>();

  /** `writer`: of letters and digits; empty of the folder's owner. */
  constructor(dataDir: string, writer = "") {
    this.#folder = join(dataDir, "monitor", "shadow");
    this.#writer = writer;
  }

  /**
   * Adds to what is there. Durable once it resolves. Where somebody else removed what was there, these are dropped: of some of
   * them that was wanted, too. Throws `STORAGE_FAILED`, `DISK_FULL`.
   */
  async add(experiment: string, records: readonly ShadowRecord[]): Promise<void> {
    const path = this.#pathOf(experiment);
    const known = this.#written.get(experiment);
    if (known !== undefined && !(await isThere(path))) {
      this.#written.delete(experiment);
      return;
    }
    const merged = mergeAll([...(known ?? (await readRecords(path)) ?? []), ...records]);
    const json = { format: FORMAT, records: merged.map(recordToJson) };
    await replaceFile(path, `${JSON.stringify(json)}\n`);
    this.#written.set(experiment, merged);
  }

  /**
   * Takes over what writers have left that wrote nothing for a day, as far as it can. One that does write again begins anew. Who
   * ends between the merged file and the removal of what it was merged of leaves that to be counted twice.
   */
  async adopt(nowMillis: number): Promise<void> {
    for (const { experiment, writer, path } of await this.#files()) {
      if (writer === "" || writer === this.#writer) continue;
      const claimed = await claim(
        path,
        this.#pathOf(experiment, `${this.#writer}_${randomUUID().slice(0, 8)}`),
        nowMillis,
      );
      const records = claimed === null ? null : await readRecords(claimed);
      if (claimed === null || records === null) continue;
      await this.add(experiment, records);
      await rm(claimed, { force: true });
    }
  }

  /** Of all who wrote, together. Throws `STORAGE_FAILED` where that cannot be read. */
  async read(experiment: string): Promise<readonly ShadowRecord[]> {
    let merged: ShadowRecord[] = [];
    for (const one of await this.#files()) {
      // One after another: they may be many.
      if (one.experiment === experiment) merged = mergeAll([...merged, ...((await readRecords(one.path)) ?? [])]);
    }
    return merged;
  }

  /** Removes what is kept of these, whoever wrote it or is about to. Throws `STORAGE_FAILED` where it cannot be listed. */
  async remove(isOne: (experiment: string) => boolean): Promise<void> {
    for (const experiment of this.#written.keys()) if (isOne(experiment)) this.#written.delete(experiment);
    for (const isPending of [true, false]) {
      for (const { experiment, path } of await this.#files(isPending)) {
        if (isOne(experiment)) await rm(path, { force: true });
      }
    }
  }

  #pathOf(experiment: string, writer = this.#writer): string {
    return join(this.#folder, `${experiment}${writer === "" ? "" : `.${writer}`}.json`);
  }

  /** Those of writes under way, or cut short, alone or not at all. */
  async #files(isPending = false): Promise<readonly ShadowFile[]> {
    const pattern = isPending ? /^\.([^.]+)(?:\.(\w+))?\.json\.pending$/ : /^([^.]+)(?:\.(\w+))?\.json$/;
    const names = (await unlessAbsent(this.#folder, readdir(this.#folder))) ?? [];
    return names.flatMap((name) => {
      const match = pattern.exec(name);
      if (match === null) return [];
      return [{ experiment: match[1]!, writer: match[2] ?? "", path: join(this.#folder, name) }];
    });
  }
}

interface ShadowFile {
  readonly experiment: string;
  /** Empty of the folder's owner. */
  readonly writer: string;
  readonly path: string;
}

/** Its new path; null where somebody wrote to it in the last day, or else has it. */
async function claim(path: string, as: string, nowMillis: number): Promise<string | null> {
  const found = await unlessAbsent(path, stat(path));
  if (found === null || nowMillis - found.mtimeMs < DAY_MILLIS) return null;
  const work = async (): Promise<string> => {
    // Under its new name nobody may find it old.
    await utimes(path, nowMillis / 1000, nowMillis / 1000);
    await rename(path, as);
    return as;
  };
  return unlessAbsent(path, work());
}

async function isThere(path: string): Promise<boolean> {
  return (await unlessAbsent(path, stat(path))) !== null;
}

/** Null where there are none, or none that this version can read. */
async function readRecords(path: string): Promise<ShadowRecord[] | null> {
  const text = await unlessAbsent(path, readFile(path, "utf8"));
  if (text === null) return null;
  try {
    const { format, records } = JSON.parse(text) as Record<string, unknown>;
    return format === FORMAT ? (records as unknown[]).map(recordFromJson) : null;
  } catch {
    return null;
  }
}
