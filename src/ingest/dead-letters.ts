/**
 * Rows that could not be used, kept with the reason: append-only NDJSON, in segments, durable.
 *
 * A line is a letter, or `{"resolved": [ids]}` once a replay got letters accepted (or the draft whose fold
 * refused an event was redefined), or `{"reopened": [ids]}`, or `{"acknowledged": [ids]}` once a person has seen to
 * letters, or `{"dropped": letters, "upTo": segment}`. Lines are whole or, at the torn end of a crash, cut off when
 * the file is opened. A letter whose id is there already is not written
 * again: letters of the fold are named by view and offset, so that a replay after a crash adds none twice.
 * Past `bytesMax` the oldest segment goes. How many letters have gone that nobody had resolved is written, and
 * synced, before they go: a crash in between leaves a segment that counts as gone and is removed on opening.
 */
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { diagnostics } from "../base/diagnostics.ts";
import { storageCode } from "../base/disk-full.ts";
import { OnefoldError } from "../base/errors.ts";
import { formatMicros } from "../base/micros.ts";
import { jsonData } from "./json-data.ts";
import type { DeadLetter } from "./pipeline.ts";
import type { LogFile, LogStorage } from "./storage.ts";

const BYTES_MAX = 256 * 1024 * 1024;
const SEGMENTS = 8;
const LIST_LIMIT = 100;

/** A letter to be written; without an `id` it gets the next number. `payload` is the row as it came. */
export type NewDeadLetter = Omit<DeadLetter, "id" | "source" | "at"> & { readonly id?: string };

export interface DeadLetterFilter {
  readonly stage?: DeadLetter["stage"];
  readonly view?: string;
  readonly code?: string;
  readonly ids?: ReadonlySet<string>;
  /** Also those that are resolved. */
  readonly includeResolved?: boolean;
  /** Default 100. The oldest come first. */
  readonly limit?: number;
}

export interface DeadLettersOptions {
  readonly storage: LogStorage;
  readonly folder: string;
  readonly source: string;
  readonly clock: Clock;
  readonly bytesMax?: number;
  /** To list letters beside the process that owns them: changes nothing on disk, and takes none. */
  readonly readOnly?: boolean;
}

interface Segment {
  readonly name: string;
  bytes: number;
  readonly ids: string[];
}

interface Dropped {
  /** Letters that were dropped unresolved, in all. */
  readonly dropped: number;
  /** Name of the newest segment that is gone. */
  readonly upTo: string;
}

type Line =
  | DeadLetter
  | { readonly resolved: readonly string[] }
  | { readonly reopened: readonly string[] }
  | { readonly acknowledged: readonly string[] }
  | Dropped;

export class DeadLetters {
  readonly #options: DeadLettersOptions;
  readonly #segments: Segment[] = [];
  readonly #known = new Set<string>();
  readonly #resolved = new Set<string>();
  /** Of the resolved, those that stay so whatever is folded again. */
  readonly #acknowledged = new Set<string>();
  #dropped: Dropped = { dropped: 0, upTo: "" };
  #nextNumber = 0;
  #file: LogFile | null = null;
  #waiting: { lines: string; letters: readonly DeadLetter[]; resolve(): void; reject(error: unknown): void }[] = [];
  #writing: Promise<void> | null = null;
  #failure: OnefoldError | null = null;
  /** Why nothing is written that was not failed at: closed, or opened to read. */
  #refusal: OnefoldError | null = null;

  private constructor(options: DeadLettersOptions) {
    this.#options = options;
  }

  /** Opens or creates the letters of one source. Throws `STORAGE_FAILED`. */
  static async open(options: DeadLettersOptions): Promise<DeadLetters> {
    const letters = new DeadLetters(options);
    try {
      await letters.#recover();
    } catch (cause) {
      throw storageFailed(options.folder, cause);
    }
    return letters;
  }

  /** Letters neither resolved nor dropped. */
  get openCount(): number {
    return this.#known.size - this.#resolved.size;
  }

  /** Letters that went, unresolved, because newer ones needed their room: since the beginning, across restarts. */
  get droppedCount(): number {
    return this.#dropped.dropped;
  }

  /** The error that made them refuse letters, or null. */
  get failure(): OnefoldError | null {
    return this.#failure;
  }

  /** Writes letters; resolves once they are durable, with each letter as stored. Throws `STORAGE_FAILED`. */
  async add(letters: readonly NewDeadLetter[]): Promise<readonly DeadLetter[]> {
    if (letters.length === 0) return [];
    const at = formatMicros(this.#options.clock.now());
    const stored = letters.map((letter): DeadLetter => {
      const id = letter.id ?? `${this.#options.source}-${this.#nextNumber++}`;
      return { ...letter, id, source: this.#options.source, payload: jsonData(letter.payload), at };
    });
    // Also within one call: a view and the one that takes its place may both have refused an event.
    const fresh = stored.filter(({ id }) => !this.#known.has(id) && this.#known.add(id));
    // A draft that is once more what it was refuses what it refused then. A row that a replay got in stays resolved.
    const reopened = stored
      .filter(({ id, stage }) => stage === "fold" && this.#resolved.has(id) && !this.#acknowledged.has(id))
      .map(({ id }) => id);
    for (const id of reopened) this.#resolved.delete(id);
    await this.#append(reopened.length === 0 ? fresh : [...fresh, { reopened }], fresh);
    if (diagnostics.deadLetter.hasSubscribers) {
      for (const { source, code, stage, expectation } of fresh)
        diagnostics.deadLetter.publish({ source, code, stage, ...(expectation === undefined ? {} : { expectation }) });
    }
    return stored;
  }

  /**
   * Marks open letters as seen to by a person, durably, and says how many there were: resolved for good. The view
   * that refused an event refuses it again in every rebuild, which is then no news.
   */
  async acknowledge(ids: readonly string[]): Promise<number> {
    const open = [...new Set(ids)].filter((id) => this.#known.has(id) && !this.#resolved.has(id));
    if (open.length === 0) return 0;
    await this.#append([{ acknowledged: open }], []);
    for (const id of open) {
      this.#resolved.add(id);
      this.#acknowledged.add(id);
    }
    return open.length;
  }

  /** Marks letters as resolved, durably. */
  async resolve(ids: readonly string[]): Promise<void> {
    const fresh = ids.filter((id) => this.#known.has(id) && !this.#resolved.has(id));
    if (fresh.length === 0) return;
    await this.#append([{ resolved: fresh }], []);
    for (const id of fresh) this.#resolved.add(id);
  }

  async list(filter: DeadLetterFilter = {}): Promise<readonly DeadLetter[]> {
    const found: DeadLetter[] = [];
    const limit = filter.limit ?? LIST_LIMIT;
    await this.#writing;
    for (const segment of this.#segments.slice()) {
      if (found.length >= limit) break;
      for (const line of parseLines(await this.#read(segment)).lines) {
        if (!isLetter(line) || !this.#matches(line, filter)) continue;
        found.push(line);
        if (found.length >= limit) break;
      }
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close().catch(() => undefined);
    this.#file = null;
    this.#refusal ??= new OnefoldError("STORAGE_FAILED", "the dead letters are closed", {
      where: this.#options.folder,
    });
  }

  #matches(letter: DeadLetter, filter: DeadLetterFilter): boolean {
    if (filter.includeResolved !== true && this.#resolved.has(letter.id)) return false;
    if (filter.ids !== undefined && !filter.ids.has(letter.id)) return false;
    if (filter.stage !== undefined && filter.stage !== letter.stage) return false;
    if (filter.view !== undefined && filter.view !== letter.view) return false;
    return filter.code === undefined || filter.code === letter.code;
  }

  async #append(lines: readonly Line[], letters: readonly DeadLetter[]): Promise<void> {
    const refusal = this.#failure ?? this.#refusal;
    if (refusal !== null) throw refusal;
    // Without new lines too: what is known already may not be durable yet.
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    const durable = new Promise<void>((resolve, reject) =>
      this.#waiting.push({ lines: text, letters, resolve, reject }),
    );
    this.#writing ??= this.#write();
    await durable;
  }

  async #write(): Promise<void> {
    // Never to its end within the call that starts it: `#writing` is set only after that.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        const bytes = Buffer.from(group.map((one) => one.lines).join(""));
        if (bytes.length > 0)
          await this.#writeBytes(
            bytes,
            group.flatMap((one) => one.letters),
          );
        for (const { resolve } of group) resolve();
      } catch (cause) {
        const failure = storageFailed(this.#options.folder, cause);
        this.#failure = failure;
        for (const { reject } of [...group, ...this.#waiting]) reject(failure);
        this.#waiting = [];
      }
    }
    this.#writing = null;
  }

  async #writeBytes(bytes: Uint8Array, letters: readonly DeadLetter[]): Promise<void> {
    const segment = await this.#segmentForWriting();
    await this.#file!.append(bytes);
    await this.#file!.sync();
    segment.bytes += bytes.length;
    for (const { id } of letters) segment.ids.push(id);
  }

  async #segmentForWriting(): Promise<Segment> {
    const { storage, folder, bytesMax = BYTES_MAX } = this.#options;
    const last = this.#segments.at(-1);
    if (last !== undefined && last.bytes < bytesMax / SEGMENTS) {
      this.#file ??= await storage.open(join(folder, last.name));
      return last;
    }
    await this.#file?.close();
    const ordinal = last === undefined ? 0 : Number(last.name.slice(0, 12)) + 1;
    const segment: Segment = { name: `${String(ordinal).padStart(12, "0")}.ndjson`, bytes: 0, ids: [] };
    this.#file = await storage.open(join(folder, segment.name));
    await storage.syncFolder(folder);
    this.#segments.push(segment);
    const old = this.#segments.slice(0, -SEGMENTS);
    if (old.length === 0) return segment;
    const unresolved = old.flatMap(({ ids }) => ids.filter((id) => !this.#resolved.has(id)));
    this.#dropped = { dropped: this.#dropped.dropped + unresolved.length, upTo: old.at(-1)!.name };
    const line = Buffer.from(`${JSON.stringify(this.#dropped)}\n`);
    await this.#file.append(line);
    await this.#file.sync();
    segment.bytes += line.length;
    for (const { name, ids } of old) {
      this.#segments.shift();
      await storage.remove(join(folder, name));
      for (const id of ids) {
        this.#known.delete(id);
        this.#resolved.delete(id);
        this.#acknowledged.delete(id);
      }
    }
    await storage.syncFolder(folder);
    return segment;
  }

  async #recover(): Promise<void> {
    const { storage, folder, source, readOnly = false } = this.#options;
    const names = (await storage.list(folder)).filter((name) => /^\d{12}\.ndjson$/.test(name));
    for (const name of names) {
      const segment: Segment = { name, bytes: 0, ids: [] };
      this.#segments.push(segment);
      const bytes = await this.#read(segment);
      const { lines, end } = parseLines(bytes);
      if (end < bytes.length && !readOnly) await storage.truncate(join(folder, name), end);
      segment.bytes = end;
      for (const line of lines) {
        if ("resolved" in line) for (const id of line.resolved) this.#resolved.add(id);
        else if ("reopened" in line) for (const id of line.reopened) this.#resolved.delete(id);
        else if ("acknowledged" in line) {
          for (const id of line.acknowledged) {
            this.#resolved.add(id);
            this.#acknowledged.add(id);
          }
        } else if ("dropped" in line) this.#dropped = line;
        else {
          segment.ids.push(line.id);
          this.#known.add(line.id);
          const number = line.id.startsWith(`${source}-`) ? Number(line.id.slice(source.length + 1)) : Number.NaN;
          if (number >= this.#nextNumber) this.#nextNumber = number + 1;
        }
      }
    }
    await this.#forgetDropped(readOnly);
    for (const ids of [this.#resolved, this.#acknowledged]) {
      for (const id of ids) if (!this.#known.has(id)) ids.delete(id);
    }
    if (readOnly) {
      this.#refusal = new OnefoldError("STORAGE_LOCKED", "the dead letters were opened to read", { where: folder });
      return;
    }
    // What a killed process wrote and never synced counts from here on, so it is synced.
    const last = this.#segments.at(-1);
    if (last === undefined) return;
    this.#file = await storage.open(join(folder, last.name));
    await this.#file.sync();
    await storage.syncFolder(folder);
  }

  /** Segments that were counted as gone and still stand: the process ended in between. */
  async #forgetDropped(readOnly: boolean): Promise<void> {
    const { storage, folder } = this.#options;
    while (this.#segments.length > 0 && this.#segments[0]!.name <= this.#dropped.upTo) {
      const { name, ids } = this.#segments.shift()!;
      for (const id of ids) this.#known.delete(id);
      if (!readOnly) await storage.remove(join(folder, name));
    }
  }

  #read(segment: Segment): Promise<Uint8Array> {
    return this.#options.storage.read(join(this.#options.folder, segment.name));
  }
}

/** Whole lines, and where the last of them ends. Damaged ones in between are left out. */
function parseLines(bytes: Uint8Array): { lines: Line[]; end: number } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lines: Line[] = [];
  let end = 0;
  for (let start = 0; start < buffer.length;) {
    const newline = buffer.indexOf(10, start);
    if (newline < 0) break;
    const line = parseLine(buffer.toString("utf8", start, newline));
    start = newline + 1;
    if (line === null) continue;
    lines.push(line);
    end = start;
  }
  return { lines, end };
}

function isLetter(line: Line): line is DeadLetter {
  return "id" in line;
}

function parseLine(text: string): Line | null {
  try {
    const parsed = JSON.parse(text) as Partial<
      DeadLetter & Dropped & { resolved: string[]; reopened: string[]; acknowledged: string[] }
    > | null;
    const isLine =
      typeof parsed?.id === "string" ||
      Array.isArray(parsed?.resolved) ||
      Array.isArray(parsed?.reopened) ||
      Array.isArray(parsed?.acknowledged) ||
      typeof parsed?.upTo === "string";
    if (isLine) return parsed as Line;
  } catch {
    // Not JSON: damage, which is left out.
  }
  return null;
}

function storageFailed(folder: string, cause: unknown): OnefoldError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = storageCode(cause);
  return new OnefoldError(code, `the dead letters cannot be written: ${message}`, {
    where: folder,
    hint: code === "DISK_FULL" ? "make room: it goes on by itself" : "repair the disk, then restart",
    cause,
  });
}
