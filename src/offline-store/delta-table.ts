/**
 * The offline store on a folder of Delta tables.
 */
import { TurnQueue } from "../base/turn-queue.ts";
import { randomUUID } from "node:crypto";
import { join, relative } from "node:path";
import { type Clock, systemClock } from "../base/clock.ts";
import { diagnostics } from "../base/diagnostics.ts";
import { isDiskFull } from "../base/disk-full.ts";
import { OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import { type Column, formatType, widens } from "../schema/value.ts";
import {
  READER_VERSION,
  WRITER_VERSION,
  formatSchema,
  parseSchema,
  type DeltaAction,
  type MetaDataAction,
} from "./delta-actions.ts";
import {
  commitActions,
  commitInfo,
  conflict,
  encodePath,
  fileOf,
  isReplaced,
  refuseConflict,
  refuseOldTxn,
  refuseUnseenFile,
  tableVersion,
} from "./delta-commit.ts";
import { DeltaLog, timestampOf, versionGone } from "./delta-log.ts";
import { DeltaState } from "./delta-state.ts";
import type { QueryEngine } from "./engine.ts";
import { type CleanedTable, cleanUp, vacuum } from "./delta-clean-up.ts";
import { erase } from "./delta-erasure.ts";
import type {
  CleanUpReport,
  CleanUpRequest,
  NewFile,
  OfflineStore,
  OfflineTable,
  TableCommit,
  TableFile,
  TableSchema,
  TableSnapshot,
  TableVersion,
} from "./offline-store.ts";
import { diskTableStorage, type TableStorage } from "./table-storage.ts";

/** Other engines may vacuum the table: files of earlier epochs must outlive that. */
const CONFIGURATION = { "delta.deletedFileRetentionDuration": "interval 36500 days" };

export interface OfflineStoreOptions {
  /** Dates commits, and tells how long ago a file left its table. */
  readonly clock?: Clock;
  readonly storage?: TableStorage;
}

/** Opens a folder of tables; the engine reads and writes their checkpoints. */
export function openOfflineStore(
  folder: string,
  engine: QueryEngine,
  { clock = systemClock, storage = diskTableStorage }: OfflineStoreOptions = {},
): OfflineStore {
  const open = async (name: string): Promise<DeltaTable | null> => {
    const log = new DeltaLog(join(folder, name), storage, engine);
    const state = await log.load();
    return state === null ? null : new DeltaTable(join(folder, name), name, log, state, storage, clock);
  };
  return {
    find: open,
    async names() {
      const kinds = await storage.list(folder);
      const names: string[] = [];
      for (const kind of kinds) {
        for (const name of await storage.list(join(folder, kind)).catch(() => [])) {
          const log = await storage.list(join(folder, kind, name, "_delta_log")).catch(() => []);
          if (log.length > 0) names.push(`${kind}/${name}`);
        }
      }
      return names.toSorted();
    },
    async drop(name) {
      const files = await storage.files(join(folder, name));
      const log = join(folder, name, "_delta_log");
      // From its newest commit back: what is left at any moment is an earlier version of the table, whole, or none.
      const commits = files.filter(({ path }) => path.startsWith(log)).toSorted((a, b) => (a.path < b.path ? 1 : -1));
      const rows = files.filter(({ path }) => !path.startsWith(log));
      for (const { path } of [...commits, ...rows]) await storage.remove(path);
      return files.reduce((sum, { bytes }) => sum + bytes, 0);
    },
    async table(name, schema) {
      const existing = (await open(name)) ?? (await create(join(folder, name), name, schema, storage, engine, clock));
      await existing.evolveTo(schema);
      return existing;
    },
  };
}

async function create(
  folder: string,
  name: string,
  schema: TableSchema,
  storage: TableStorage,
  engine: QueryEngine,
  clock: Clock,
): Promise<DeltaTable> {
  const log = new DeltaLog(folder, storage, engine);
  const now = millisOf(clock);
  const metaData: MetaDataAction = {
    id: randomUUID(),
    format: { provider: "parquet", options: {} },
    schemaString: formatSchema(schema),
    name,
    partitionColumns: schema.partitionBy === undefined ? [] : [schema.partitionBy.column],
    configuration: CONFIGURATION,
    createdTime: now,
  };
  const first = new DeltaState();
  const actions: DeltaAction[] = [
    commitInfo("CREATE TABLE", now),
    { protocol: { minReaderVersion: READER_VERSION, minWriterVersion: WRITER_VERSION } },
    { metaData },
  ];
  // Where another writer was first, its table is the one to open.
  const state = (await log.put(first, actions)) === "put" ? first : await log.load();
  if (state === null)
    throw new OnefoldError("TABLE_INVALID", "a table vanished while it was created", { where: folder });
  return new DeltaTable(folder, name, log, state, storage, clock);
}

class DeltaTable implements OfflineTable {
  readonly folder: string;
  readonly #name: string;
  readonly #log: DeltaLog;
  #state: DeltaState;
  readonly #storage: TableStorage;
  readonly #clock: Clock;
  /** Commits of this process follow each other; other processes are met in the log. */
  readonly #turns = new TurnQueue();

  constructor(folder: string, name: string, log: DeltaLog, state: DeltaState, storage: TableStorage, clock: Clock) {
    this.folder = folder;
    this.#name = name;
    this.#log = log;
    this.#state = state;
    this.#storage = storage;
    this.#clock = clock;
  }

  async snapshot(at?: number | { readonly committedBy: Micros }): Promise<TableSnapshot> {
    const version = typeof at === "object" ? await this.#versionAt(at.committedBy) : at;
    if (version !== undefined && version !== this.#state.version) {
      const state = await this.#log.load(version);
      if (state !== null) return this.#wholeSnapshot(state);
    }
    return this.#turns.take(async () => {
      if (version === undefined) await this.#refresh();
      return this.#snapshotOf(this.#state);
    });
  }

  async history(limit: number): Promise<TableVersion[]> {
    const { version: newest } = await this.snapshot();
    const versions: TableVersion[] = [];
    for (let version = newest; version >= 0 && versions.length < limit; version--) {
      const actions = await this.#log.actions(version);
      if (actions === null) break;
      versions.push(tableVersion(version, actions, this.folder));
    }
    return versions;
  }

  /** A version that was left behind: its files may have been removed. */
  async #wholeSnapshot(state: DeltaState): Promise<TableSnapshot> {
    const snapshot = this.#snapshotOf(state);
    const there = new Set((await this.#storage.files(this.folder)).map(({ path }) => path));
    const gone = snapshot.files.find(({ path }) => path.startsWith(this.folder) && !there.has(path));
    if (gone === undefined) return snapshot;
    throw versionGone(state.version, this.folder, `vacuum has removed ${gone.path}`);
  }

  async #versionAt(time: Micros): Promise<number> {
    const { version: newest } = await this.snapshot();
    for (let version = newest; version >= 0; version--) {
      const actions = await this.#log.actions(version);
      if (actions === null) throw versionGone(version, this.folder, "the log of that time was cleaned away");
      const committedMillis = timestampOf(actions);
      if (committedMillis !== null && committedMillis * 1000 <= time) return version;
    }
    throw new OnefoldError("TABLE_VERSION_UNKNOWN", `table ${this.#name} did not exist at ${formatMicros(time)}`, {
      where: this.folder,
    });
  }

  async lastTxn(applicationId: string): Promise<number | null> {
    return this.#turns.take(async () => {
      await this.#refresh();
      return this.#state.txns.get(applicationId)?.version ?? null;
    });
  }

  async commit(change: TableCommit): Promise<number> {
    const written = writtenBy(change);
    try {
      for (const { path } of written) await this.#publish(path);
      return await this.#turns.take(() => this.#commit(change));
    } catch (error) {
      if (isDiskFull(error)) await this.discard(written);
      throw error;
    }
  }

  async discard(files: readonly Pick<NewFile, "path">[]): Promise<void> {
    await this.#turns
      .take(async () => {
        await this.#refresh();
        for (const { path } of files) {
          const name = encodePath(path);
          const isNamed = this.#state.added.has(name) || this.#state.removed.has(name);
          if (!isNamed) await this.#storage.remove(join(this.folder, path));
        }
      })
      .catch(() => undefined);
  }

  async #publish(name: string): Promise<void> {
    const path = join(this.folder, name);
    await this.#storage.publish(path, path).catch((error: NodeJS.ErrnoException) => {
      // Taken away by who knows that it cannot be committed any more.
      throw error.code === "ENOENT" ? conflict(`that leaves no place for ${name}`, this.#name) : error;
    });
  }

  async unnamed(): Promise<string[]> {
    return this.#turns.take(async () => {
      const files = (await this.#storage.files(this.folder)).map(({ path }) => relative(this.folder, path));
      // Behind the listing: what was committed meanwhile is named by now.
      await this.#refresh();
      return files.filter((path) => {
        const name = encodePath(path);
        const isNamed = this.#state.added.has(name) || this.#state.removed.has(name);
        return !isNamed && path.endsWith(".parquet") && !path.startsWith("_delta_log/");
      });
    });
  }

  async #commit(change: TableCommit): Promise<number> {
    await this.#rejoin();
    while (!(await this.#putCommit(change))) {
      // The log was cleaned beyond what is known of it: all is decided anew by what there is.
      const { schemaString } = this.#metaData(this.#state);
      await this.#reopen();
      if (this.#metaData(this.#state).schemaString !== schemaString) {
        throw conflict("that changed the schema", this.#name);
      }
    }
    const rows = change.add.reduce((sum, file) => sum + file.rows, 0);
    if (diagnostics.committed.hasSubscribers) {
      diagnostics.committed.publish({ table: this.#name, rows, version: this.#state.version });
    }
    return this.#state.version;
  }

  /** False where it turns out that the log does not go on from the version that is known. */
  async #putCommit(change: TableCommit): Promise<boolean> {
    const { decidedBy } = change;
    for (let version = (decidedBy?.version ?? this.#state.version) + 1; version <= this.#state.version; version++) {
      // One that was cleaned away is too old for anything to be decided by it.
      const actions = await this.#log.actions(version);
      if (actions === null) throw conflict(`${version}`, this.#name);
      for (const action of actions) refuseUnseenFile(change, action, this.#name, this.folder);
    }
    const actions = commitActions(change, this.#state, millisOf(this.#clock), this.#name);
    if (change.columns !== undefined) actions.splice(1, 0, { metaData: this.#withColumns(change.columns) });
    refuseOldTxn(change, this.#state, this.#name);
    for (;;) {
      // A forgetting takes away files that are named nowhere, and hold what it forgets.
      for (const { path } of writtenBy(change)) {
        const isThere = (await this.#storage.writtenMillis(join(this.folder, path))) !== null;
        if (!isThere) throw conflict(`that leaves no place for ${path}`, this.#name);
      }
      const outcome = await this.#log.put(this.#state, actions);
      if (outcome === "put") return true;
      if (outcome === "past") return false;
      const before = this.#state.version;
      const winner = await this.#log.advance(this.#state);
      // A winner of the past would be one that is about to be taken back.
      if (winner === false || !(await this.#log.holds(before))) return false;
      refuseConflict(change, winner, this.#name, this.folder);
    }
  }

  async cleanUp(request: CleanUpRequest): Promise<CleanUpReport> {
    return this.#cleaned((table) => cleanUp(table, request, millisOf(this.#clock)));
  }

  async erase(isUnneeded: (file: TableFile) => boolean): Promise<void> {
    return this.#cleaned((table) => erase(table, isUnneeded));
  }

  async vacuum(keptMillis: number, isUnneeded: (file: TableFile) => boolean): Promise<number> {
    return this.#cleaned((table) => vacuum(table, keptMillis, isUnneeded, millisOf(this.#clock)));
  }

  #cleaned<T>(work: (table: CleanedTable) => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      await this.#refresh();
      return work({ folder: this.folder, log: this.#log, state: this.#state, storage: this.#storage });
    });
  }

  /** Adds columns that `schema` has behind the table's, null in older rows, and lets those be null that may be; throws `TABLE_INVALID` for any other difference. */
  async evolveTo(schema: TableSchema): Promise<void> {
    await this.#turns.take(async () => {
      await this.#rejoin();
      for (;;) {
        const { columns: present } = this.#schema(this.#state);
        for (const column of present) {
          const wanted = schema.columns.find(({ name }) => name === column.name);
          if (wanted !== undefined && widens(column.type, wanted.type)) continue;
          const now = wanted === undefined ? "not declared any more" : `declared ${formatType(wanted.type)}`;
          throw new OnefoldError(
            "TABLE_INVALID",
            `table ${this.#name} has a column ${column.name} of ${formatType(column.type)}, ${now}`,
            {
              where: this.folder,
            },
          );
        }
        const more = schema.columns.filter(({ name }) => present.every((column) => column.name !== name));
        const kept = present.map((column) => ({
          ...column,
          nullable: column.nullable || schema.columns.some(({ name, nullable }) => name === column.name && nullable),
        }));
        const isSame = kept.every(({ nullable }, i) => nullable === present[i]!.nullable);
        if (more.length === 0 && isSame) return;
        const metaData = this.#withColumns([...kept, ...more.map((column) => ({ ...column, nullable: true }))]);
        const actions = [commitInfo("ADD COLUMNS", millisOf(this.#clock)), { metaData }];
        if ((await this.#log.put(this.#state, actions)) === "put") return;
        await this.#refresh();
      }
    });
  }

  #snapshotOf(state: DeltaState): TableSnapshot {
    return {
      version: state.version,
      schema: this.#schema(state),
      files: Array.from(state.added.values(), (add) => fileOf(add, this.folder)),
      removed: [...state.removed.values()]
        .filter((remove) => !isReplaced(remove))
        .map((remove) => fileOf(remove, this.folder)),
      txns: new Map(Array.from(state.txns.values(), ({ appId, version: last }) => [appId, last])),
    };
  }

  async #refresh(): Promise<void> {
    this.#state = await this.#log.catchUp(this.#state);
  }

  /** A table that was left alone for so long that the log was cleaned beyond what is known of it is opened anew. */
  async #rejoin(): Promise<void> {
    if (!(await this.#log.holds(this.#state.version))) await this.#reopen();
  }

  async #reopen(): Promise<void> {
    this.#state = (await this.#log.load()) ?? this.#state;
  }

  #metaData(state: DeltaState): MetaDataAction {
    if (state.metaData !== null) return state.metaData;
    throw new OnefoldError("TABLE_INVALID", "a table has no metadata", { where: this.folder });
  }

  #withColumns(columns: readonly Column[]): MetaDataAction {
    const { partitionBy } = this.#schema(this.#state);
    const schema = { columns, ...(partitionBy === undefined ? {} : { partitionBy }) };
    return { ...this.#metaData(this.#state), schemaString: formatSchema(schema) };
  }

  #schema(state: DeltaState): TableSchema {
    const { schemaString, partitionColumns } = this.#metaData(state);
    return parseSchema(schemaString, partitionColumns, this.folder);
  }
}

/** The format's times are whole milliseconds. */
function millisOf(clock: Clock): number {
  return Math.floor(clock.now() / 1000);
}

function writtenBy({ add, replace = [] }: TableCommit): NewFile[] {
  return [...add, ...replace.map(({ by }) => by)];
}
