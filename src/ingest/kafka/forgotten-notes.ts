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
  /** Files of origins that were read, which stay as they are. */
  readonly #known = new Map<string, ForgottenPlaces>();

  constructor(archiveFolder: string, prefix: string, source: string) {
    this.#folder = join(archiveFolder, "forgotten", `${prefix}.${source}`);
  }

  /** Throws `FORGET_UNREADABLE`. */
  origins(): Promise<ForgottenPlaces> {
    return readAll(this.#folder, this.#known);
  }

  /** Throws `FORGET_UNREADABLE`. */
  rows(): Promise<ForgottenPlaces> {
    return readAll(join(this.#folder, "rows"));
  }

  /** Another text once something was forgotten since, or is being forgotten. */
  async state(): Promise<string> {
    const rows = join(this.#folder, "rows");
    const names = await Promise.all([this.#folder, rows].map((folder) => unlessAbsent(folder, readdir(folder))));
    return names
      .map((each) =>
        (each ?? [])
          .filter((name) => name.endsWith(".json"))
          .sort()
          .join(),
      )
      .join("\n");
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

/** Whether something was noted since: for what was seen before, and is kept later. */
export class ForgottenWatch {
  readonly #notes: readonly Pick<ForgottenNotes, "state">[];
  #before: Promise<string>;

  constructor(notes: readonly Pick<ForgottenNotes, "state">[]) {
    this.#notes = notes;
    this.#before = this.#state();
    // Told to whoever asks.
    this.#before.catch(() => {});
  }

  /** Since it was asked last, or made. Throws `STORAGE_FAILED`. */
  async hasChanged(): Promise<boolean> {
    const before = this.#before;
    this.#before = this.#state();
    this.#before.catch(() => {});
    return (await before) !== (await this.#before);
  }

  async #state(): Promise<string> {
    return (await Promise.all(this.#notes.map((notes) => notes.state()))).join("\n");
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

async function readAll(folder: string, known: Map<string, ForgottenPlaces> = new Map()): Promise<ForgottenPlaces> {
  const names = (await unlessAbsent(folder, readdir(folder))) ?? [];
  const all = new Map<string, Set<number>>();
  for (const name of names.filter((each) => each.endsWith(".json") && !each.startsWith("."))) {
    const places = known.get(name) ?? (await readOne(join(folder, name)));
    known.set(name, places);
    for (const [partition, offsets] of places) {
      const of = all.get(partition) ?? new Set<number>();
      for (const offset of offsets) of.add(offset);
      all.set(partition, of);
    }
  }
  return all;
}

async function readOne(path: string): Promise<ForgottenPlaces> {
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    // Its rows are gone since it was listed.
    if (cause.code === "ENOENT") return "{}";
    throw unreadable(path, cause);
  });
  try {
    const places = Object.entries(JSON.parse(text) as object);
    return new Map(places.map(([partition, offsets]) => [partition, new Set(parseOffsets(String(offsets)))]));
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): OnefoldError {
  return new OnefoldError("FORGET_UNREADABLE", `what was forgotten cannot be read: ${messageOf(cause)}`, {
    where: path,
    hint: "let it be read again: without it events of forgotten entities would be taken once more",
    cause,
  });
}
