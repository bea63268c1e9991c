/**
 * The offline store on a folder of Delta tables.
 */
import { randomUUID } from "node:crypto";
import { isAbsolute, join } from "node:path";
import { type Clock, systemClock } from "../base/clock.ts";
import { diagnostics } from "../base/diagnostics.ts";
import { isDiskFull } from "../base/disk-full.ts";
import { OnefoldError } from "../base/errors.ts";
import { formatType, sameType } from "../schema/value.ts";
import {
  READER_VERSION,
  WRITER_VERSION,
  formatSchema,
  parseSchema,
  type AddAction,
  type DeltaAction,
  type MetaDataAction,
  type RemoveAction,
} from "./delta-actions.ts";
import { DeltaLog } from "./delta-log.ts";
import { DeltaState } from "./delta-state.ts";
import type { QueryEngine } from "./engine.ts";
import type {
  OfflineStore,
  OfflineTable,
  TableCommit,
  TableFile,
  TableSchema,
  TableSnapshot,
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
    partitionColumns: [],
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
  const state = (await log.put(first, actions)) ? first : await log.load();
  if (state === null)
    throw new OnefoldError("TABLE_INVALID", "a table vanished while it was created", { where: folder });
  return new DeltaTable(folder, name, log, state, storage, clock);
}

class DeltaTable implements OfflineTable {
  readonly folder: string;
  readonly #name: string;
  readonly #log: DeltaLog;
  readonly #state: DeltaState;
  readonly #storage: TableStorage;
  readonly #clock: Clock;
  /** Commits of this process follow each other; other processes are met in the log. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(folder: string, name: string, log: DeltaLog, state: DeltaState, storage: TableStorage, clock: Clock) {
    this.folder = folder;
    this.#name = name;
    this.#log = log;
    this.#state = state;
    this.#storage = storage;
    this.#clock = clock;
  }

  async snapshot(version?: number): Promise<TableSnapshot> {
    if (version !== undefined && version !== this.#state.version) {
      const state = await this.#log.load(version);
      if (state !== null) return this.#snapshotOf(state);
    }
    return this.#inTurn(async () => {
      if (version === undefined) await this.#refresh();
      return this.#snapshotOf(this.#state);
    });
  }

  async lastTxn(applicationId: string): Promise<number | null> {
    return this.#inTurn(async () => {
      await this.#refresh();
      return this.#state.txns.get(applicationId)?.version ?? null;
    });
  }

  async commit(change: TableCommit): Promise<number> {
    try {
      for (const { path } of change.add) await this.#storage.publish(join(this.folder, path), join(this.folder, path));
      return await this.#inTurn(() => this.#commit(change));
    } catch (error) {
      if (isDiskFull(error)) await this.#removeUnnamed(change);
      throw error;
    }
  }

  /** What no commit names is of no use, and would be there once more at each attempt to write it. */
  async #removeUnnamed({ add }: TableCommit): Promise<void> {
    await this.#inTurn(async () => {
      await this.#refresh();
      for (const { path } of add) {
        const name = encodePath(path);
        const isNamed = this.#state.added.has(name) || this.#state.removed.has(name);
        if (!isNamed) await this.#storage.remove(join(this.folder, path));
      }
    }).catch(() => undefined);
  }

  async #commit(change: TableCommit): Promise<number> {
    const dataChange = change.dataChange ?? true;
    const removes = (change.remove ?? []).map((path) => this.#removeAction(path, dataChange));
    const now = millisOf(this.#clock);
    const actions: DeltaAction[] = [
      commitInfo(change.operation, now),
      ...(change.txn ?? []).map(({ applicationId, version }) => ({
        txn: { appId: applicationId, version, lastUpdated: now },
      })),
      ...removes,
      ...change.add.map((file): DeltaAction => ({
        add: {
          path: encodePath(file.path),
          partitionValues: {},
          size: file.bytes,
          modificationTime: now,
          dataChange,
          stats: file.stats ?? JSON.stringify({ numRecords: file.rows }),
          ...(file.tags === undefined ? {} : { tags: file.tags }),
        },
      })),
    ];
    this.#refuseOldTxn(change);
    while (!(await this.#log.put(this.#state, actions))) await this.#passConcurrentCommit(change);
    const rows = change.add.reduce((sum, file) => sum + file.rows, 0);
    if (diagnostics.committed.hasSubscribers) {
      diagnostics.committed.publish({ table: this.#name, rows, version: this.#state.version });
    }
    return this.#state.version;
  }

  async vacuum(keptMillis: number, isUnneeded: (file: TableFile) => boolean): Promise<number> {
    const removedBefore = millisOf(this.#clock) - keptMillis;
    return this.#inTurn(async () => {
      let count = 0;
      for (const remove of this.#state.removed.values()) {
        const file = this.#file(remove);
        if ((remove.deletionTimestamp ?? 0) >= removedBefore || !isUnneeded(file)) continue;
        await this.#storage.remove(file.path);
        // The next checkpoint leaves it out; until then a reopened table knows it again, and nothing is lost by that.
        this.#state.removed.delete(remove.path);
        count++;
      }
      return count;
    });
  }

  /** Adds columns that `schema` has behind the table's; throws `TABLE_INVALID` for any other difference. */
  async evolveTo(schema: TableSchema): Promise<void> {
    await this.#inTurn(async () => {
      for (;;) {
        const present = this.#schema(this.#state).columns;
        for (const column of present) {
          const wanted = schema.columns.find(({ name }) => name === column.name);
          if (wanted !== undefined && sameType(wanted.type, column.type)) continue;
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
        if (more.length === 0) return;
        const metaData = {
          ...this.#metaData(this.#state),
          schemaString: formatSchema({ columns: [...present, ...more] }),
        };
        if (await this.#log.put(this.#state, [commitInfo("ADD COLUMNS", millisOf(this.#clock)), { metaData }])) return;
        await this.#refresh();
      }
    });
  }

  #snapshotOf(state: DeltaState): TableSnapshot {
    return {
      version: state.version,
      schema: this.#schema(state),
      files: Array.from(state.added.values(), (add) => this.#file(add)),
      removed: Array.from(state.removed.values(), (remove) => this.#file(remove)),
      txns: new Map(Array.from(state.txns.values(), ({ appId, version: last }) => [appId, last])),
    };
  }

  #file(action: AddAction | RemoveAction): TableFile {
    const path = decodeURIComponent(action.path);
    const stats = "stats" in action && action.stats ? (JSON.parse(action.stats) as { numRecords?: number }) : {};
    return {
      path: isAbsolute(path) ? path : join(this.folder, path),
      bytes: action.size ?? 0,
      rows: stats.numRecords ?? 0,
      tags: action.tags ?? {},
    };
  }

  #removeAction(path: string, dataChange: boolean): DeltaAction {
    const add = this.#state.added.get(encodePath(path));
    if (add === undefined) {
      throw new OnefoldError("TABLE_CONFLICT", `file ${path} is no part of table ${this.#name} any more`, {
        where: this.folder,
      });
    }
    return {
      remove: {
        path: add.path,
        deletionTimestamp: millisOf(this.#clock),
        dataChange,
        extendedFileMetadata: true,
        partitionValues: add.partitionValues,
        size: add.size,
        ...(add.tags ? { tags: add.tags } : {}),
      },
    };
  }

  /** A writer decides by `lastTxn`: a txn that does not move its application forward was decided on old news. */
  #refuseOldTxn(change: TableCommit): void {
    for (const { applicationId, version, after } of change.txn ?? []) {
      const last = this.#state.txns.get(applicationId)?.version;
      if (last !== undefined && last >= version) throw this.#conflict(applicationId);
      if (after !== undefined && after !== (last ?? null)) throw this.#conflict(applicationId);
    }
  }

  /** Steps over the commit that took the version, unless it makes this one meaningless. */
  async #passConcurrentCommit(change: TableCommit): Promise<void> {
    const winner = await this.#log.advance(this.#state);
    if (winner === false) throw this.#conflict("of the same version");
    for (const action of winner) {
      const application = action.txn?.appId;
      if (application !== undefined && (change.txn ?? []).some(({ applicationId }) => applicationId === application)) {
        throw this.#conflict(application);
      }
      const path = action.remove?.path;
      if (path !== undefined && (change.remove ?? []).some((removed) => encodePath(removed) === path)) {
        throw this.#conflict(`that removed ${path}`);
      }
      if (action.metaData || action.protocol) throw this.#conflict("that changed the schema");
    }
  }

  #conflict(which: string): OnefoldError {
    return new OnefoldError("TABLE_CONFLICT", `another writer's commit ${which} came first in table ${this.#name}`, {
      where: this.folder,
      hint: "read the table again and decide anew",
    });
  }

  async #refresh(): Promise<void> {
    while (await this.#log.advance(this.#state));
  }

  #metaData(state: DeltaState): MetaDataAction {
    if (state.metaData !== null) return state.metaData;
    throw new OnefoldError("TABLE_INVALID", "a table has no metadata", { where: this.folder });
  }

  #schema(state: DeltaState): TableSchema {
    return parseSchema(this.#metaData(state).schemaString, this.folder);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work, work);
    this.#queue = turn.catch(() => {});
    return turn;
  }
}

/** The format's times are whole milliseconds. */
function millisOf(clock: Clock): number {
  return Math.floor(clock.now() / 1000);
}

function commitInfo(operation: string, timestamp: number): DeltaAction {
  return { commitInfo: { timestamp, operation, operationParameters: {}, engineInfo: "onefold" } };
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
