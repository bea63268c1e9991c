/**
 * A disk in memory that, when it crashes, keeps what was synced and nothing else it ever promised.
 *
 * `crash()` hands over the disk as the next process finds it; every operation on the old one fails from
 * then on. With a random source, the crash also keeps some prefix of each file's unsynced bytes, now and
 * then with a hole of zeros in it: the torn writes of real disks.
 */
import { dirname } from "node:path";
import type { LogFile, LogStorage } from "../ingest/storage.ts";

interface StoredFile {
  bytes: Buffer;
  syncedLength: number;
  /** Whether the folder was synced since the file was made. */
  entryIsDurable: boolean;
}

export type FailingOperation = "append" | "sync" | "truncate" | "open";

export class ForgetfulStorage implements LogStorage {
  #files = new Map<string, StoredFile>();
  #removed = new Map<string, StoredFile>();
  #crashed = false;
  #failures: { operation: FailingOperation; error: Error; after: number }[] = [];
  /** How many syncs were asked for: shows that concurrent appends share one. */
  syncs = 0;

  /** The `after + 1`-th such operation from now on fails with `error`; a failing append keeps half of its bytes. */
  fail(operation: FailingOperation, error: Error, after: number = 0): void {
    this.#failures.push({ operation, error, after });
  }

  /** `random` gives numbers in [0, 1); without it nothing unsynced survives. */
  crash(random?: () => number): ForgetfulStorage {
    this.#crashed = true;
    const next = new ForgetfulStorage();
    for (const [path, file] of [...this.#removed, ...this.#files]) {
      if (!file.entryIsDurable && (random === undefined || random() < 0.5)) continue;
      next.#files.set(path, survivor(file, random));
    }
    return next;
  }

  /** The same disk a second time, as it stands, so that one can be tried on and thrown away. */
  clone(): ForgetfulStorage {
    const copy = new ForgetfulStorage();
    for (const [path, file] of this.#files) copy.#files.set(path, { ...file, bytes: Buffer.from(file.bytes) });
    return copy;
  }

  /** Flips one bit: damage, not a crash. */
  damage(path: string, byte: number, bit: number = 0): void {
    const bytes = this.#file(path).bytes;
    bytes[byte] = bytes[byte]! ^ (1 << bit);
  }

  length(path: string): number {
    return this.#file(path).bytes.length;
  }

  async list(folder: string): Promise<string[]> {
    await this.#turn();
    const paths = [...this.#files.keys()].filter((path) => dirname(path) === folder);
    return paths.map((path) => path.slice(folder.length + 1)).sort();
  }

  async read(path: string, from: number = 0, length: number = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
    await this.#turn();
    const { bytes } = this.#file(path);
    return Buffer.from(bytes.subarray(from, Math.min(bytes.length, from + length)));
  }

  async open(path: string): Promise<LogFile> {
    await this.#turn("open");
    let file = this.#files.get(path);
    if (file === undefined) {
      file = { bytes: Buffer.alloc(0), syncedLength: 0, entryIsDurable: false };
      this.#files.set(path, file);
    }
    const opened = file;
    return {
      append: async (bytes: Uint8Array): Promise<void> => {
        // The bytes reach the file before the failure or the crash: what survives is decided there.
        const failure = this.#failure("append");
        const kept = failure === null ? bytes : bytes.subarray(0, bytes.length >> 1);
        if (!this.#crashed) opened.bytes = Buffer.concat([opened.bytes, kept]);
        await this.#turn();
        if (failure !== null) throw failure;
      },
      sync: async (): Promise<void> => {
        this.syncs++;
        const length = opened.bytes.length;
        await this.#turn("sync");
        opened.syncedLength = Math.max(opened.syncedLength, Math.min(length, opened.bytes.length));
      },
      close: (): Promise<void> => Promise.resolve(),
    };
  }

  async truncate(path: string, length: number): Promise<void> {
    await this.#turn("truncate");
    const file = this.#file(path);
    file.bytes = file.bytes.subarray(0, length);
    file.syncedLength = Math.min(file.syncedLength, length);
  }

  async remove(path: string): Promise<void> {
    await this.#turn();
    const file = this.#files.get(path);
    if (file?.entryIsDurable === true) this.#removed.set(path, file);
    this.#files.delete(path);
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#turn();
    for (const [path, file] of this.#files) if (dirname(path) === folder) file.entryIsDurable = true;
    for (const path of this.#removed.keys()) if (dirname(path) === folder) this.#removed.delete(path);
  }

  #file(path: string): StoredFile {
    const file = this.#files.get(path);
    if (file === undefined) throw Object.assign(new Error(`no such file ${path}`), { code: "ENOENT" });
    return file;
  }

  /** Takes a turn of the event loop, as a disk would, and fails if the disk has crashed meanwhile. */
  async #turn(operation?: FailingOperation): Promise<void> {
    const failure = operation === undefined ? null : this.#failure(operation);
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#crashed) throw new Error("the storage has crashed");
    if (failure !== null) throw failure;
  }

  #failure(operation: FailingOperation): Error | null {
    const index = this.#failures.findIndex((failure) => failure.operation === operation);
    if (index < 0) return null;
    if (this.#failures[index]!.after-- > 0) return null;
    return this.#failures.splice(index, 1)[0]!.error;
  }
}

function survivor(file: StoredFile, random: (() => number) | undefined): StoredFile {
  const unsynced = file.bytes.length - file.syncedLength;
  const kept = random === undefined || unsynced === 0 ? 0 : Math.floor(random() * (unsynced + 1));
  const bytes = Buffer.from(file.bytes.subarray(0, file.syncedLength + kept));
  if (random !== undefined && kept > 1 && random() < 0.3) {
    const from = file.syncedLength + Math.floor(random() * kept);
    bytes.fill(0, from, from + Math.ceil(random() * (bytes.length - from)));
  }
  return { bytes, syncedLength: bytes.length, entryIsDurable: true };
}
