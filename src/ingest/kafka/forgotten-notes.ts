/**
 * What is written down of forgotten entities, beside the offline tables: places, and nothing of the entity.
 *
 *     <folder of the tables>/forgotten/<prefix>.<source>/<n>.json         {"<topic id>/<partition>": "<offsets>"}
 *     <folder of the tables>/forgotten/<prefix>.<source>/rows/<n>.json    {"<topic>/<partition>": "<offsets>"}
 *
 * The first are records of sources' topics: who reads a topic again, for a view that is keyed in a new way or after a group's
 * positions are lost, leaves them out. The second are rows of the tables, which count no more from when they are written down until
 * they are taken out. Each forgetting adds files, and nobody changes one.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, OnefoldError } from "../../base/errors.ts";
import { unlessAbsent } from "../../base/unless-absent.ts";
import { replaceDurably } from "../log-erasure.ts";
import { offsetsText, parseOffsets } from "./forget-records.ts";

/** Offsets by `topic/partition`, or by `topic id/partition`. */
export type ForgottenPlaces = ReadonlyMap<string, ReadonlySet<number>>;

export class ForgottenNotes {
  readonly #folder: string;

  constructor(archiveFolder: string, prefix: string, source: string) {
    this.#folder = join(archiveFolder, "forgotten", `${prefix}.${source}`);
  }

  /** Throws `FORGET_UNREADABLE`. */
  origins(): Promise<ForgottenPlaces> {
    return readAll(this.#folder);
  }

  /** Throws `FORGET_UNREADABLE`. */
  rows(): Promise<ForgottenPlaces> {
    return readAll(join(this.#folder, "rows"));
  }

  /** Durable once it resolves. */
  async keepOrigins(origins: ForgottenPlaces): Promise<void> {
    if (origins.size > 0) await keep(this.#folder, origins);
  }

  /** Durable once it resolves; what it resolves with takes it away again, when the rows are gone. */
  async keepRows(rows: ForgottenPlaces): Promise<() => Promise<void>> {
    if (rows.size === 0) return () => Promise.resolve();
    const path = await keep(join(this.#folder, "rows"), rows);
    return () => rm(path, { force: true });
  }
}

/** Where rows of the source are written down, by whatever runs of the command. */
export function rowsFolder(archiveFolder: string, prefix: string, source: string): string {
  return join(archiveFolder, "forgotten", `${prefix}.${source}`, "rows");
}

async function keep(folder: string, places: ForgottenPlaces): Promise<string> {
  await mkdir(folder, { recursive: true });
  const texts = Array.from(places, ([name, offsets]) => [name, offsetsText([...offsets].sort((a, b) => a - b))]);
  const name = `${randomUUID()}.json`;
  await replaceDurably(folder, name, Buffer.from(JSON.stringify(Object.fromEntries(texts))));
  return join(folder, name);
}

async function readAll(folder: string): Promise<ForgottenPlaces> {
  const names = (await unlessAbsent(folder, readdir(folder))) ?? [];
  const all = new Map<string, Set<number>>();
  for (const name of names.filter((each) => each.endsWith(".json") && !each.startsWith("."))) {
    const path = join(folder, name);
    const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
      // Its rows are gone since it was listed.
      if (cause.code === "ENOENT") return "{}";
      throw unreadable(path, cause);
    });
    try {
      for (const [partition, offsets] of Object.entries(JSON.parse(text) as object)) {
        const of = all.get(partition) ?? new Set<number>();
        for (const offset of parseOffsets(String(offsets))) of.add(offset);
        all.set(partition, of);
      }
    } catch (cause) {
      throw unreadable(path, cause);
    }
  }
  return all;
}

function unreadable(path: string, cause: unknown): OnefoldError {
  return new OnefoldError("FORGET_UNREADABLE", `what was forgotten cannot be read: ${messageOf(cause)}`, {
    where: path,
    hint: "let it be read again: without it events of forgotten entities would be taken once more",
    cause,
  });
}
