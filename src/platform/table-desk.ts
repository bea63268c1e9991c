/**
 * The offline tables of a data folder, or those that workers have written, for whoever looks after them.
 *
 * It works beside a server that writes to them: all goes through the tables' logs, where who comes second notices.
 */
import { resolve } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { type Micros, parseMicros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { openOfflineStore } from "../offline-store/delta-table.ts";
import type {
  CleanUpReport,
  OfflineStore,
  OfflineTable,
  TableFile,
  TableVersion,
} from "../offline-store/offline-store.ts";
import { isTableRefused } from "../offline-store/refused-table.ts";
import { foreignFilesError } from "../offline-store/foreign-files.ts";
import { olderFilesError } from "../offline-store/older-files.ts";
import { compactTable } from "../offline-store/table-compaction.ts";
import { kindOfTable, type TableKind } from "../offline-store/table-kinds.ts";
import type { RuntimeContext } from "./runtime-context.ts";

const HOUR_MS = 3_600_000;
/** What left a table less long ago may still stand in the list of a reader. */
const KEPT_MILLIS_MIN = 24 * HOUR_MS;
const KEPT_MILLIS_DEFAULT = 7 * 24 * HOUR_MS;
/** Versions can be asked for, and the log grows, for so long at least. */
const LOG_KEPT_MILLIS_MIN = 30 * 24 * HOUR_MS;

export interface TableSummary {
  readonly table: string;
  readonly kind: TableKind["name"] | "unknown";
  /** Null where its log cannot be read. */
  readonly version: number | null;
  readonly rows: number;
  readonly bytes: number;
  readonly files: number;
  /** Of the times that its rows are kept by (known time, minute); null without rows. */
  readonly firstTime: Micros | null;
  readonly lastTime: Micros | null;
  /** Why it is refused until it is restored, or null; of one whose log cannot be read nothing else is known. */
  readonly refused: OnefoldError | null;
}

/** A version by its number or by a time; neither: the newest. */
export interface TableMoment {
  readonly version?: number;
  readonly committedBy?: Micros;
}

export interface CompactReport {
  readonly table: string;
  readonly version: number;
  readonly filesBefore: number;
  readonly filesAfter: number;
}

export interface VacuumOptions {
  /** Files that left the table longer ago than this go. Default 7 days. */
  readonly keptMillis?: number;
  readonly dryRun?: boolean;
  /** Allows `keptMillis` below a day: readers that are under way may fail. */
  readonly force?: boolean;
}

export class TableDesk {
  readonly #context: Pick<RuntimeContext, "engine" | "clock" | "offline" | "workerTables">;

  constructor(context: Pick<RuntimeContext, "engine" | "clock" | "offline" | "workerTables">) {
    this.#context = context;
  }

  async list(): Promise<TableSummary[]> {
    const store = this.#store();
    const summaries: TableSummary[] = [];
    for (const name of await store.names()) {
      const summary = await summaryIn(store, name);
      if (summary !== null) summaries.push(summary);
    }
    return summaries;
  }

  /** The newest versions first. Throws `TABLE_UNKNOWN`. */
  async history(name: string, limit: number): Promise<TableVersion[]> {
    return (await this.#table(name)).history(limit);
  }

  /** Throws `TABLE_VERSION_UNKNOWN`, `TABLE_VERSION_GONE`. */
  async files(
    name: string,
    { version, committedBy }: TableMoment = {},
  ): Promise<{ readonly version: number; readonly files: readonly TableFile[] }> {
    const table = await this.#table(name);
    const at = version ?? (committedBy === undefined ? undefined : { committedBy });
    const snapshot = await table.snapshot(at);
    // For other engines, which may run elsewhere.
    const files = snapshot.files.map((file) => ({ ...file, path: resolve(file.path) }));
    return { version: snapshot.version, files };
  }

  /** Joins all small files that lie beside each other. Throws `TABLE_CONFLICT` where others commit against it all the time. */
  async compact(name: string): Promise<CompactReport> {
    const table = await this.#table(name);
    const before = await table.snapshot();
    const kind = kindOfTable(before.schema);
    if (kind !== null) await compactTable(table, this.#context.engine, kind, 2);
    const after = await table.snapshot();
    return { table: name, version: after.version, filesBefore: before.files.length, filesAfter: after.files.length };
  }

  /** Deletes what no reader can need. Throws `REQUEST_INVALID` for less than a day unless forced. */
  async vacuum(name: string, options: VacuumOptions = {}): Promise<CleanUpReport & { readonly table: string }> {
    const { keptMillis = KEPT_MILLIS_DEFAULT, force = false, dryRun = false } = options;
    if (keptMillis < KEPT_MILLIS_MIN && !force) {
      throw new OnefoldError("REQUEST_INVALID", "files that left a table less than 24 hours ago may still be read", {
        where: `table ${name}`,
        hint: "keep them for 24h or longer, or force it when nothing trains, audits or imports",
      });
    }
    const table = await this.#table(name);
    const kind = kindOfTable((await table.snapshot()).schema);
    const report = await table.cleanUp({
      keptMillis,
      logKeptMillis: Math.max(keptMillis, LOG_KEPT_MILLIS_MIN),
      isUnneeded: (file) => kind !== null && !kind.isKept(file),
      dryRun,
    });
    return { table: name, ...report };
  }

  /** All names, or the one that was given. Throws `TABLE_UNKNOWN`. */
  async named(name: string | undefined): Promise<readonly string[]> {
    if (name === undefined) return this.#store().names();
    await this.#table(name);
    return [name];
  }

  async #table(name: string): Promise<OfflineTable> {
    const store = this.#store();
    // A name is a path below the folder of tables, and nothing else.
    const names = await store.names();
    const table = names.includes(name) ? await store.find(name) : null;
    if (table !== null) return table;
    throw new OnefoldError("TABLE_UNKNOWN", `there is no offline table ${name}`, {
      candidates: nearestNames(name, names),
      hint: "onefold tables lists them",
    });
  }

  #store(): OfflineStore {
    const { workerTables, offline, engine, clock } = this.#context;
    return workerTables === undefined ? offline : openOfflineStore(workerTables.folder, engine, { clock });
  }
}

/** Null where there is none any more. */
async function summaryIn(store: OfflineStore, name: string): Promise<TableSummary | null> {
  try {
    const table = await store.find(name);
    return table === null ? null : await summaryOf(name, table);
  } catch (error) {
    if (!isTableRefused(error)) throw error;
    const nothing = { version: null, rows: 0, bytes: 0, files: 0, firstTime: null, lastTime: null };
    return { table: name, kind: "unknown", ...nothing, refused: error };
  }
}

async function summaryOf(name: string, table: OfflineTable): Promise<TableSummary> {
  const snapshot = await table.snapshot();
  const { version, files, schema } = snapshot;
  const kind = kindOfTable(schema);
  const refusal = (): OnefoldError | null =>
    foreignFilesError(files, table.folder) ?? olderFilesError(snapshot, table.folder);
  const column = kind?.name === "feature rows" ? "_minute" : "_known_time";
  const bounds = (which: "minValues" | "maxValues"): Micros[] =>
    files.flatMap(({ stats }) => {
      const bound = stats?.[which]?.[column];
      return typeof bound === "string" ? [parseMicros(bound)] : [];
    });
  const [firsts, lasts] = [bounds("minValues"), bounds("maxValues")];
  return {
    table: name,
    kind: kind?.name ?? "unknown",
    version,
    rows: files.reduce((sum, file) => sum + file.rows, 0),
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    files: files.length,
    firstTime: firsts.length === 0 ? null : firsts.reduce((a, b) => (a < b ? a : b)),
    lastTime: lasts.length === 0 ? null : lasts.reduce((a, b) => (a > b ? a : b)),
    refused: kind?.name === "events" ? refusal() : null,
  };
}
