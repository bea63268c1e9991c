/**
 * The online store on LMDB: one memory-mapped file, many reader processes, one durable transaction a commit.
 *
 * Keys are bytes: `m` and the meta's name, or `s`, the space, a zero byte and the entity's key, all UTF-8,
 * so that LMDB's order is the order the contract asks for. A state is stored behind its version. Commits are synced inside their transaction
 * (`overlappingSync` off), so that a resolved promise means durable, not only visible.
 */
import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { storageCode } from "../base/disk-full.ts";
import { hasRoom } from "../base/disk-room.ts";
import { OnefoldError } from "../base/errors.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { LocalReads } from "./local-reads.ts";
import type {
  KeyedState,
  MetaWrite,
  NamedMeta,
  SharedOnlineStore,
  StateRead,
  StateSpace,
  StateVersion,
  StateWrite,
  StoredState,
  WorkPace,
} from "./online-store.ts";
import { StoredBlocks } from "./stored-block.ts";
import { fromStored, stateOf, VERSION_BYTES, versionOf } from "./stored-state.ts";

const META = 0x6d;
const STATE = 0x73;
/** A space of 200 bytes, an entity key of 1,024 and the two marks fit. */
const KEY_BYTES_MAX = 1978;
/** Of one commit that drops: handing them over holds the thread up, a millisecond for so many. */
const DROP_BATCH_KEYS = 250;
const REASON_WAIT_MS = 1000;
const EIO = 5;
const EINVAL = 22;
const PREFIXES_MAX = 1000;
const SHORT_TEXT = 64;

export interface LmdbOptions {
  /** Folder of the database; made if it is not there. */
  readonly folder: string;
  readonly readOnly?: boolean;
}

/** Opens the store. Throws `STORAGE_FAILED`. */
export function openLmdbStore(options: LmdbOptions): SharedOnlineStore {
  try {
    if (options.readOnly !== true) mkdirSync(options.folder, { recursive: true });
    const database = open<Buffer, Buffer>({
      path: options.folder,
      noSubdir: false,
      encoding: "binary",
      keyEncoding: "binary",
      overlappingSync: false,
      // Else a commit that fails leaves a rejected promise that nobody has, and that ends the process.
      eventTurnBatching: false,
      readOnly: options.readOnly ?? false,
    });
    if (options.readOnly !== true) for (const folder of [options.folder, dirname(options.folder)]) syncFolder(folder);
    return new LmdbOnlineStore(database, options.folder);
  } catch (cause) {
    throw storageFailed(options.folder, cause, isOfLostLocks(cause) ? "run it again" : undefined);
  }
}

/**
 * Whoever is the last to have a database open takes its locks along; who opens it in that very moment has it open without
 * any, until the process ends.
 */
function isOfLostLocks(cause: unknown): boolean {
  return (cause as { readonly code?: unknown }).code === EINVAL;
}

class LmdbOnlineStore extends LocalReads implements SharedOnlineStore {
  readonly #database: RootDatabase<Buffer, Buffer>;
  readonly #folder: string;
  /** Keys are built here; LMDB copies them before the call returns. */
  readonly #key: Buffer = Buffer.alloc(KEY_BYTES_MAX * 3 + 8);
  /** Its beginnings, by their length. */
  readonly #keys: Buffer[] = [];
  /** What the keys of a space's states begin with. */
  readonly #prefixes = new Map<StateSpace, Buffer>();
  readonly #blocks = new StoredBlocks();
  #silenced: Promise<boolean> | null = null;

  constructor(database: RootDatabase<Buffer, Buffer>, folder: string) {
    super();
    this.#database = database;
    this.#folder = folder;
  }

  get(space: StateSpace, key: EntityKey): Uint8Array | null {
    const stored = this.#read(this.#stateKey(space, key));
    return stored === null ? null : stateOf(stored);
  }

  override lend(space: StateSpace, key: EntityKey): Uint8Array | null {
    // One buffer for all reads, far longer than its `length` says.
    const bytes = this.#database.getBinaryFast(this.#stateKey(space, key));
    if (bytes === undefined) return null;
    return new Uint8Array(bytes.buffer, bytes.byteOffset + VERSION_BYTES, bytes.length - VERSION_BYTES);
  }

  protected override getStored(space: StateSpace, key: EntityKey): StoredState | null {
    const stored = this.#read(this.#stateKey(space, key));
    return stored === null ? null : fromStored(stored);
  }

  getMeta(name: string): Uint8Array | null {
    return this.#read(this.#metaKey(name));
  }

  *scanMeta(prefix: string, after?: string): IterableIterator<NamedMeta> {
    const begin = Buffer.from(this.#metaKey(prefix));
    const from = after === undefined ? begin : Buffer.from(this.#metaKey(after));
    for (const { key, bytes } of this.#range(begin, from, after !== undefined)) {
      yield { name: key.toString("utf8", 1), bytes };
    }
  }

  *scan(space: StateSpace, after?: EntityKey): IterableIterator<KeyedState> {
    const begin = Buffer.from(this.#stateKey(space, ""));
    const from = after === undefined ? begin : Buffer.from(this.#stateKey(space, after));
    for (const { key, bytes } of this.#range(begin, from, after !== undefined)) {
      yield { key: key.toString("utf8", begin.length), ...fromStored(bytes) };
    }
  }

  protected override storedVersion(space: StateSpace, key: EntityKey): StateVersion | null {
    const stored = this.#read(this.#stateKey(space, key));
    return stored === null ? null : versionOf(stored);
  }

  commitAlone(states: readonly StateWrite[], metas: readonly MetaWrite[]): Promise<void> {
    return this.#commit(states, [], metas);
  }

  removeStates(states: readonly StateRead[], metas: readonly MetaWrite[]): Promise<void> {
    return this.#commit([], states, metas);
  }

  async #commit(
    states: readonly StateWrite[],
    removed: readonly StateRead[],
    metas: readonly MetaWrite[],
  ): Promise<void> {
    if (states.length === 0 && removed.length === 0 && metas.length === 0) return;
    try {
      let blocks: readonly Buffer[] = [];
      await this.#database.batch(() => {
        for (const state of states) this.#write(this.#stateKey(state.space, state.key), this.#blocks.add(state));
        blocks = this.#blocks.take();
        for (const { space, key } of removed) this.#write(this.#stateKey(space, key), null);
        for (const { name, bytes } of metas) this.#write(this.#metaKey(name), asBuffer(bytes));
      });
      await this.#database.flushed;
      this.#blocks.reuse(blocks);
    } catch (cause) {
      throw await commitFailed(this.#folder, cause);
    }
    // A read after this turn must not come from a snapshot taken before the commit.
    this.#database.resetReadTxn();
  }

  async dropSpace(space: StateSpace, pace?: WorkPace, signal?: AbortSignal): Promise<void> {
    const begin = Buffer.from(this.#stateKey(space, ""));
    for (;;) {
      if (signal?.aborted === true)
        throw new OnefoldError("CANCELLED", "removing states was cancelled, and goes on the next time", {
          where: space,
        });
      pace?.resume();
      const keys = [...this.#database.getKeys({ start: begin, end: endOfPrefix(begin), limit: DROP_BATCH_KEYS })];
      if (keys.length === 0) return;
      const removed = this.#removeKeys(keys);
      // Whoever waits for it behind the rest gets its error; until then it is not an unhandled one.
      removed.catch(() => {});
      await pace?.rest();
      await removed;
    }
  }

  async #removeKeys(keys: readonly Buffer[]): Promise<void> {
    try {
      await this.#database.batch(() => {
        for (const key of keys) this.#write(key, null);
      });
      await this.#database.flushed;
    } catch (cause) {
      throw await commitFailed(this.#folder, cause);
    }
    this.#database.resetReadTxn();
  }

  count(space: StateSpace): number {
    const begin = Buffer.from(this.#stateKey(space, ""));
    return this.#database.getKeysCount({ start: begin, end: endOfPrefix(begin) });
  }

  refresh(): void {
    this.#database.resetReadTxn();
  }

  releaseDeadReaders(): void {
    this.#database.readerCheck();
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  #read(key: Buffer): Uint8Array | null {
    // Not `getBinaryFast`: that lends a shared buffer, far longer than its `length` says.
    const bytes = this.#database.getBinary(key);
    return bytes === undefined ? null : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #write(key: Buffer, bytes: Buffer | null): void {
    const written = bytes === null ? this.#database.remove(key) : this.#database.put(key, bytes);
    // The batch around it says the same; nobody waits for a single write.
    if (written !== this.#silenced) written.catch(() => undefined);
    this.#silenced = written;
  }

  *#range(prefix: Buffer, from: Buffer, exclusive: boolean): IterableIterator<{ key: Buffer; bytes: Uint8Array }> {
    for (const entry of this.#database.getRange({ start: from, end: endOfPrefix(prefix) })) {
      const key = Buffer.from(entry.key);
      if (exclusive && key.equals(from)) continue;
      yield { key, bytes: new Uint8Array(entry.value) };
    }
  }

  #metaKey(name: string): Buffer {
    this.#key[0] = META;
    return this.#checked(1 + this.#key.write(name, 1, "utf8"));
  }

  #stateKey(space: StateSpace, key: EntityKey): Buffer {
    const prefix = this.#prefixes.get(space) ?? this.#prefixOf(space);
    this.#key.set(prefix);
    return this.#checked(prefix.length + writeText(this.#key, key, prefix.length));
  }

  #prefixOf(space: StateSpace): Buffer {
    const prefix = Buffer.from(`${String.fromCharCode(STATE)}${space}\0`);
    if (this.#prefixes.size >= PREFIXES_MAX) this.#prefixes.clear();
    this.#prefixes.set(space, prefix);
    return prefix;
  }

  #checked(length: number): Buffer {
    if (length > KEY_BYTES_MAX) {
      throw new OnefoldError("KEY_TOO_LONG", `a key of ${length} bytes with its space`, { where: this.#folder });
    }
    return (this.#keys[length] ??= this.#key.subarray(0, length));
  }
}

/** As `Buffer.write`, but that a short text is not handed to the runtime. */
function writeText(into: Buffer, text: string, at: number): number {
  const { length } = text;
  if (length > SHORT_TEXT) return into.write(text, at, "utf8");
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return into.write(text, at, "utf8");
    into[at + i] = code;
  }
  return length;
}

function asBuffer(bytes: Uint8Array | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function commitFailed(folder: string, cause: unknown): Promise<OnefoldError> {
  const reason = await reasonOf(cause);
  // LMDB's code for a write that the system cut short, which it does where the last room is given out.
  const isCutShort = (reason as { readonly code?: number }).code === EIO && !(await hasRoom(folder));
  return storageFailed(folder, isCutShort ? new Error("No space left on device", { cause: reason }) : reason);
}

/** A failed commit only names a promise of its reason, which would end the process if nobody took it up. */
async function reasonOf(cause: unknown): Promise<unknown> {
  const { commitError } = cause as { readonly commitError?: Promise<never> };
  if (commitError === undefined) return cause;
  const unknown = new Promise<unknown>((resolve) => setTimeout(() => resolve(cause), REASON_WAIT_MS).unref());
  return Promise.race([commitError.catch((reason: unknown) => reason), unknown]);
}

/** LMDB syncs its file but not the folder's entry for it. */
function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The least key behind all that begin with `prefix`; prefixes here begin with an ASCII letter. */
function endOfPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  let last = end.length - 1;
  while (end[last] === 0xff) last--;
  end[last] = end[last]! + 1;
  return end.subarray(0, last + 1);
}

function storageFailed(folder: string, cause: unknown, mendFirst?: string): OnefoldError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = storageCode(cause);
  const mend =
    mendFirst ??
    (code === "DISK_FULL" ? "make room: it goes on by itself" : "check disk and permissions, then restart");
  return new OnefoldError(code, `the online store failed: ${message}`, {
    where: folder,
    hint: `${mend}; the event log holds what was acknowledged`,
    cause,
  });
}
