/**
 * What alerts remember, on disk:
 *
 *     monitor/alerts/  state.json  history.ndjson  history.1.ndjson
 *
 * `state.json` is replaced whole: the states, the silences, the notices that wait and the trainings under way are always
 * of one moment, so that no crash parts an alert from its notice. What happened is appended to the history and synced
 * first, numbered; what stands behind the number in `state.json` when it is read never came to be, and is cut off.
 */
import { createReadStream } from "node:fs";
import { chmod, mkdir, open, readFile, rename, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { storageCode } from "../../base/disk-full.ts";
import { OnefoldError } from "../../base/errors.ts";
import { nearestNames } from "../../base/nearest-names.ts";
import { TurnQueue } from "../../base/turn-queue.ts";
import { replaceFile } from "../../registry/atomic-file.ts";
import { type AlertMemory, NOTHING_REMEMBERED } from "./evaluate.ts";
import { withoutDetails } from "./forgotten-details.ts";
import type { Undelivered } from "./outbox.ts";
import type { Training } from "./training.ts";

export interface AlertContent {
  readonly memory: AlertMemory;
  readonly outbox: readonly Undelivered[];
  readonly trainings: readonly Training[];
}

export const EMPTY_ALERTS: AlertContent = { memory: NOTHING_REMEMBERED, outbox: [], trainings: [] };

const HISTORY_EVENTS = [
  "firing",
  "resolved",
  "delivered",
  "undelivered",
  "silenced",
  "unsilenced",
  "training-started",
  "training-done",
  "training-failed",
  "state-lost",
] as const;

export interface HistoryEvent {
  readonly event: (typeof HISTORY_EVENTS)[number];
  readonly rule: string | null;
  /** Plain JSON. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface HistoryEntry extends HistoryEvent {
  readonly sequence: number;
  readonly atMicros: number;
}

export interface HistoryQuery {
  readonly rule?: string;
  readonly event?: string;
  readonly sinceMicros?: number;
  readonly limit: number;
}

export interface AlertStep {
  readonly content: AlertContent;
  readonly events: readonly HistoryEvent[];
  /** Not worth a write: a crash may lose it. There are no events then. */
  readonly isKeptInMemory?: boolean;
}

const FORMAT = 1;
/** Then the history begins a new file, and what was before the last one is gone. */
const HISTORY_BYTES_MAX = 16 * 1024 * 1024;

export class AlertStore {
  readonly #folder: string;
  readonly #turns = new TurnQueue();
  #content: AlertContent = EMPTY_ALERTS;
  #sequence = 0;
  #historyBytes = 0;
  #hasFolder = false;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Of the owner of the data folder. Throws `STORAGE_FAILED`, `DISK_FULL`. */
  static async open(dataDir: string, nowMicros: number): Promise<AlertStore> {
    const store = new AlertStore(alertFolder(dataDir));
    await store.#read(nowMicros);
    return store;
  }

  get content(): AlertContent {
    return this.#content;
  }

  /**
   * Makes the present content another, durably, and appends what happened. One after the other: `change` gets what the one
   * before has left. Throws `STORAGE_FAILED`, `DISK_FULL`, with nothing changed.
   */
  change(nowMicros: number, change: (content: AlertContent) => AlertStep): Promise<void> {
    return this.#turns.take(async () => {
      const next = change(this.#content);
      if (next.isKeptInMemory === true) {
        this.#content = next.content;
        return;
      }
      await this.#makeFolder();
      const sequence = this.#sequence + next.events.length;
      const historyBytes = await this.#append(
        next.events.map((event, i) => ({ sequence: this.#sequence + 1 + i, atMicros: nowMicros, ...event })),
      );
      await this.#writeState(sequence, next.content);
      this.#historyBytes = historyBytes;
      this.#sequence = sequence;
      this.#content = next.content;
    });
  }

  /** The newest first. */
  history(query: HistoryQuery): Promise<HistoryEntry[]> {
    return readAlertHistory(this.#folder, this.#sequence, query);
  }

  /** Takes the details out of all that is kept, as `withoutDetails` does. Throws `STORAGE_FAILED`, `DISK_FULL`. */
  forgetDetails(): Promise<void> {
    return this.#turns.take(async () => {
      this.#content = withoutDetails(this.#content);
      if ((await stat(this.#folder).catch(() => null)) === null) return;
      await rm(`${this.#path("state.json")}.damaged`, { force: true });
      for (const name of ["history.1.ndjson", "history.ndjson"]) {
        const text = await readFile(this.#path(name), "utf8").catch(() => null);
        if (text === null) continue;
        const entries = text.split("\n").flatMap((line) => parseEntry(line) ?? []);
        const kept = entries.filter(({ sequence }) => sequence <= this.#sequence);
        const lines = kept.map((entry) => `${JSON.stringify(withoutDetails(entry))}\n`).join("");
        await replaceFile(this.#path(name), lines);
        if (name === "history.ndjson") this.#historyBytes = Buffer.byteLength(lines);
      }
      await this.#writeState(this.#sequence, this.#content);
    });
  }

  /** Resolves once all that was begun is on disk. */
  async close(): Promise<void> {
    await this.#turns.idle();
  }

  async #read(nowMicros: number): Promise<void> {
    const path = this.#path("state.json");
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return null;
      throw error;
    });
    const stored = text === null ? null : parseState(text);
    if (stored !== null) {
      this.#content = stored.content;
      this.#sequence = stored.sequence;
    }
    await this.#cutHistory(text === null || stored !== null ? this.#sequence : Number.POSITIVE_INFINITY);
    if (text === null || stored !== null) return;
    // To go without alerts for that would be worse than to be told of them again.
    await rename(path, `${path}.damaged`);
    await this.change(nowMicros, (content) => ({
      content,
      events: [{ event: "state-lost", rule: null, detail: { kept_as: `${path}.damaged` } }],
    }));
  }

  /** Cuts off what stands behind `sequence`, and a torn end. */
  async #cutHistory(sequence: number): Promise<void> {
    const path = this.#path("history.ndjson");
    const bytes = await readFile(path).catch(() => null);
    if (bytes === null) return;
    let kept = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, kept)) {
      const entry = parseEntry(bytes.toString("utf8", kept, end));
      if (entry === null || entry.sequence > sequence) break;
      this.#sequence = Math.max(this.#sequence, entry.sequence);
      kept = end + 1;
    }
    if (kept < bytes.length) await truncate(path, kept);
    this.#historyBytes = kept;
  }

  /** How long the history is then; it counts as that long only once the state is stored, too. */
  async #append(entries: readonly HistoryEntry[]): Promise<number> {
    if (entries.length === 0) return this.#historyBytes;
    const path = this.#path("history.ndjson");
    return writing(path, async () => {
      if (this.#historyBytes > HISTORY_BYTES_MAX) {
        await rename(path, this.#path("history.1.ndjson"));
        this.#historyBytes = 0;
      }
      const text = Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
      const handle = await open(path, "a");
      try {
        // What an attempt before this one has left never came to be.
        await handle.truncate(this.#historyBytes);
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      return this.#historyBytes + text.length;
    });
  }

  #writeState(sequence: number, { memory, outbox, trainings }: AlertContent): Promise<void> {
    const stored = { format: FORMAT, sequence, memory, outbox, trainings };
    return replaceFile(this.#path("state.json"), JSON.stringify(stored));
  }

  /** Only once there is something to keep. */
  async #makeFolder(): Promise<void> {
    if (this.#hasFolder) return;
    await writing(this.#folder, async () => {
      await mkdir(this.#folder, { recursive: true });
      // Notices may say what nobody else is to read.
      await chmod(this.#folder, 0o700);
    });
    this.#hasFolder = true;
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

export function alertFolder(dataDir: string): string {
  return join(dataDir, "monitor", "alerts");
}

/** What the owner has stored last, for whoever only reads; nothing where there is none, or it cannot be read. */
export async function readAlertContent(
  dataDir: string,
): Promise<{ readonly content: AlertContent; readonly sequence: number }> {
  const text = await readFile(join(alertFolder(dataDir), "state.json"), "utf8").catch(() => null);
  return (text === null ? null : parseState(text)) ?? { content: EMPTY_ALERTS, sequence: 0 };
}

/** The newest first, up to `sequence`. Throws `REQUEST_INVALID` where the kind of event is none. */
export async function readAlertHistory(
  folder: string,
  sequence: number,
  { rule, event, sinceMicros = 0, limit }: HistoryQuery,
): Promise<HistoryEntry[]> {
  if (event !== undefined && !HISTORY_EVENTS.some((known) => known === event)) {
    throw new OnefoldError("REQUEST_INVALID", `there is no kind of event "${event}"`, {
      where: "event",
      hint: `they are: ${HISTORY_EVENTS.join(", ")}`,
      candidates: nearestNames(event, HISTORY_EVENTS),
    });
  }
  const found: HistoryEntry[] = [];
  for (const name of ["history.1.ndjson", "history.ndjson"]) {
    const path = join(folder, name);
    if ((await stat(path).catch(() => null)) === null) continue;
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      const entry = parseEntry(line);
      if (entry === null || entry.sequence > sequence || entry.atMicros < sinceMicros) continue;
      if (rule !== undefined && entry.rule !== rule) continue;
      if (event !== undefined && entry.event !== event) continue;
      found.push(entry);
      if (found.length > 2 * limit) found.splice(0, found.length - limit);
    }
  }
  return found.slice(-limit).reverse();
}

function parseState(text: string): { content: AlertContent; sequence: number } | null {
  try {
    const { format, sequence, memory, outbox, trainings } = JSON.parse(text) as AlertContent & {
      readonly format: unknown;
      readonly sequence: number;
    };
    const isWhole = Array.isArray(memory?.states) && Array.isArray(memory.silences) && Array.isArray(outbox);
    if (format !== FORMAT || !Number.isSafeInteger(sequence) || !isWhole || !Array.isArray(trainings)) return null;
    return { content: { memory, outbox, trainings }, sequence };
  } catch {
    return null;
  }
}

function parseEntry(line: string): HistoryEntry | null {
  try {
    const entry = JSON.parse(line) as HistoryEntry;
    return Number.isSafeInteger(entry.sequence) ? entry : null;
  } catch {
    return null;
  }
}

async function writing<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new OnefoldError(storageCode(cause), `cannot write ${where}: ${(cause as Error).message}`, { where, cause });
  }
}
