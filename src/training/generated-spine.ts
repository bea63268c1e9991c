/**
 * Label rows that nobody has to write: each entity at every tick.
 *
 *     ticks     |----|----|----|----|     every `everyMicros`, from `from` to `to`
 *     entity        ^known  x    x    x   at the ticks from when it was first known on
 *
 * They are written as a Parquet file in a folder of their own, which is read as any label file and then removed, within
 * the memory and in the place that the training set is given.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OnefoldError } from "../base/errors.ts";
import { formatMicros, type Micros } from "../base/micros.ts";
import type { EntityDefinition } from "../define/definition.ts";
import { keyFromStored } from "../fold/derive.ts";
import { type FillBatch, type QueryEngine, sqlName, sqlText } from "../offline-store/engine.ts";
import { withKeyedEvents } from "../offline-store/event-reader.ts";
import { batchOfRows } from "../offline-store/row-batch.ts";
import { decodeEntityKey } from "../schema/entity-key.ts";
import { type LogSnapshot, snapshotLogs } from "./log-end.ts";
import type { GeneratedRows } from "./manifest.ts";
import type { TrainingPorts } from "./ports.ts";
import type { TrainingPlan } from "./training-plan.ts";
import { throwIfCancelled } from "../base/cancelled.ts";
import { readSpine, type SpineRequest } from "./spine.ts";
import { engineSettings, type TrainLimits } from "./train-limits.ts";

/** The time column of generated rows. */
const TICK_COLUMN = "event_timestamp";
/** Columns and a range of our own beside those of entities and of files, whose names may be any: few have a colon. */
const [FIRST, PLACE, TICK] = ["onefold:first", "onefold:place", "onefold:tick"] as const;
/** More than a training set has room for. */
const ROWS_MAX = 2 ** 31 - 1;
const KEYS_PER_BATCH = 50_000;

export interface GeneratedSpineRequest {
  readonly everyMicros: number;
  /**
   * "all": every entity that the services' views have events of, from when it was first known on; for services of one and
   * the same entity. Else a file of entities, with key columns and others as in a label file, each at every tick.
   */
  readonly entities: "all" | { readonly path: string };
  /** First tick. Default: the first multiple of `everyMicros` since the epoch by which an event was known. */
  readonly from?: Micros;
  /** No tick is later. Default: the end of the log. */
  readonly to?: Micros;
  readonly keyColumns?: SpineRequest["keyColumns"];
}

/**
 * Lends `work` the generated rows. Throws `REQUEST_INVALID` where there is no tick, or too many rows, or `all` stands for
 * several entities; `SPINE_INVALID` and `FILE_UNREADABLE` for the file of entities; `CANCELLED` once `signal` is aborted.
 */
export async function withGeneratedSpine<T>(
  ports: TrainingPorts,
  plan: TrainingPlan,
  request: GeneratedSpineRequest,
  isKnownAtTick: boolean,
  { signal, ...limits }: TrainLimits & { readonly signal?: AbortSignal },
  work: (labels: SpineRequest) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(limits.spillFolder ?? tmpdir(), "onefold-labels-"));
  try {
    const engine = await ports.openEngine(engineSettings(limits));
    const interrupt = (): void => engine.interrupt();
    signal?.addEventListener("abort", interrupt);
    const path = join(folder, "labels.parquet");
    let generated: GeneratedRows;
    try {
      generated = await writeSpine(engine, ports, plan, request, { isKnownAtTick, path, signal });
    } catch (error) {
      // Also where it is the engine that says that it was interrupted.
      throwIfCancelled(signal, error);
      throw error;
    } finally {
      signal?.removeEventListener("abort", interrupt);
      await engine.close();
    }
    throwIfCancelled(signal);
    const keyColumns = request.entities === "all" ? undefined : request.keyColumns;
    return await work({
      path,
      timeColumn: TICK_COLUMN,
      generated,
      ...(keyColumns === undefined ? {} : { keyColumns }),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface SpineFile {
  readonly isKnownAtTick: boolean;
  readonly path: string;
  readonly signal: AbortSignal | undefined;
}

/** An interrupt ends the query that runs; between two of them the signal is asked. */
async function writeSpine(
  engine: QueryEngine,
  ports: TrainingPorts,
  plan: TrainingPlan,
  request: GeneratedSpineRequest,
  { isKnownAtTick, path, signal }: SpineFile,
): Promise<GeneratedRows> {
  const { everyMicros, entities } = request;
  if (!Number.isSafeInteger(everyMicros) || everyMicros <= 0)
    throw new OnefoldError("REQUEST_INVALID", `ticks cannot be ${everyMicros} microseconds apart`);
  const snapshots = await snapshotLogs(ports, plan);
  if (entities === "all" && plan.entities.length !== 1) throw severalEntities(plan);
  await readFirstKnown(engine, plan, snapshots, signal);
  const ticks = await ticksOf(engine, request, snapshots);
  throwIfCancelled(signal);
  const columns =
    entities === "all"
      ? await keyRows(engine, plan.entities[0]!, signal)
      : await fileRows(engine, plan, request, entities.path);
  // A tick of 2^53 microseconds lies within a BIGINT.
  const micros = `${ticks.from} + ${sqlName(TICK)} * ${everyMicros}`;
  const isKnown = entities === "all" ? `WHERE ${sqlName(FIRST)} ${isKnownAtTick ? "<=" : "<"} ${micros}` : "";
  const rows = `FROM generated_rows, range(${ticks.count}) ticks(${sqlName(TICK)}) ${isKnown}`;
  throwIfCancelled(signal);
  await refuseTooMany(engine, ticks, everyMicros, entities === "all");
  throwIfCancelled(signal);
  const selected = [...columns.map((name) => sqlName(name)), `make_timestamptz(${micros}) AS ${sqlName(TICK_COLUMN)}`];
  const order = `ORDER BY ${sqlName(TICK)}, ${sqlName(PLACE)}`;
  await engine.run(`COPY (SELECT ${selected.join(", ")} ${rows} ${order}) TO ${sqlText(path)} (FORMAT parquet)`);
  return {
    everyMicros,
    entities: entities === "all" ? "all" : entities.path,
    from: formatMicros(ticks.from as Micros),
    to: formatMicros((ticks.from + (ticks.count - 1) * everyMicros) as Micros),
  };
}

/** Table `first_known` (`_key`, `first` in microseconds), over all views of the services. */
async function readFirstKnown(
  engine: QueryEngine,
  plan: TrainingPlan,
  snapshots: ReadonlyMap<string, LogSnapshot>,
  signal: AbortSignal | undefined,
): Promise<void> {
  throwIfCancelled(signal);
  await engine.run("CREATE OR REPLACE TABLE first_known (_key VARCHAR, first BIGINT)");
  for (const { view } of plan.views) {
    throwIfCancelled(signal);
    const { source, definition, fold } = view;
    const { files } = snapshots.get(source.name)!;
    const derivedKey = keyFromStored(source, definition.key, fold);
    // One whose events were taken back later was known until then.
    const known = { files, source, keyColumns: definition.key, derivedKey, withRetracted: true };
    await withKeyedEvents(engine, known, (relation) =>
      engine.run(`INSERT INTO first_known SELECT _key, min(epoch_us(_known_time)) FROM ${relation} GROUP BY _key`),
    );
  }
}

async function ticksOf(
  engine: QueryEngine,
  { everyMicros, from, to }: GeneratedSpineRequest,
  snapshots: ReadonlyMap<string, LogSnapshot>,
): Promise<{ readonly from: number; readonly count: number }> {
  const [row] = await engine.rows("SELECT min(first) AS first FROM first_known");
  const earliest = row?.["first"] ?? null;
  const first = from ?? (earliest === null ? null : Math.ceil(Number(earliest) / everyMicros) * everyMicros);
  const last = to ?? Math.min(...[...snapshots.values()].map(({ logEnd }) => logEnd));
  if (first === null || !Number.isFinite(last)) {
    throw new OnefoldError(
      "REQUEST_INVALID",
      "the service's views have no events yet, so there is no time to begin or end at",
      {
        hint: "give --from and --to, or import events first",
      },
    );
  }
  if (last < first) {
    throw new OnefoldError("REQUEST_INVALID", "no tick lies between the first and the last time", {
      where: `from ${formatMicros(first as Micros)} to ${formatMicros(last as Micros)}`,
      hint: "give --from and --to, or a shorter --every",
    });
  }
  return { from: first, count: Math.floor((last - first) / everyMicros) + 1 };
}

/** Table `generated_rows` of the known entities' typed key columns, `first` and `place` in key order. */
async function keyRows(
  engine: QueryEngine,
  entity: EntityDefinition,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const table = `keys_${randomUUID()}`;
  const types = entity.keys.map(({ type }) => type);
  const columns = entity.keys.map(({ name, type }) => ({ name, type }));
  async function* batches(): AsyncIterableIterator<FillBatch> {
    const sql = "SELECT _key, min(first)::DOUBLE FROM first_known GROUP BY _key ORDER BY _key";
    let rows: ReturnType<typeof decodeEntityKey>[] = [];
    let place = 0;
    const all = [...types, BIGINT, BIGINT];
    for await (const batch of engine.stream(sql, [{ as: "text" }, { as: "number" }])) {
      throwIfCancelled(signal);
      const [keys, firsts] = batch.columns;
      for (let i = 0; i < batch.rowCount; i++)
        rows.push([...decodeEntityKey(String(keys![i]), types), firsts![i] as number, place++]);
      if (rows.length < KEYS_PER_BATCH) continue;
      yield batchOfRows(all, rows);
      rows = [];
    }
    yield batchOfRows(all, rows);
  }
  await engine.fill(table, [...columns, { name: FIRST, type: BIGINT }, { name: PLACE, type: BIGINT }], batches());
  throwIfCancelled(signal);
  await engine.run(`CREATE OR REPLACE VIEW generated_rows AS SELECT * FROM ${sqlName(table)}`);
  return columns.map(({ name }) => name);
}

const BIGINT = { name: "int64" } as const;

/** Table `generated_rows` of the file's rows as they are, and `place`. */
async function fileRows(
  engine: QueryEngine,
  plan: TrainingPlan,
  { keyColumns }: GeneratedSpineRequest,
  path: string,
): Promise<string[]> {
  const spine = await readSpine(
    engine,
    { path, ...(keyColumns === undefined ? {} : { keyColumns }) },
    plan.entities,
    "keys",
    plan.request,
  );
  const names = spine.columns.map(({ name }) => name);
  const taken = names.find((name) => name.toLowerCase() === TICK_COLUMN);
  if (taken !== undefined) {
    throw new OnefoldError(
      "SPINE_INVALID",
      `the file of entities has a column ${taken}, which generated rows have their time in`,
      {
        where: path,
        hint: "leave it out, or give the file as --labels",
      },
    );
  }
  await engine.run(
    `CREATE OR REPLACE VIEW generated_rows AS
     SELECT s.*, l.row AS ${sqlName(PLACE)} FROM spine s POSITIONAL JOIN spine_label l`,
  );
  return names;
}

function severalEntities(plan: TrainingPlan): OnefoldError {
  const names = plan.entities.map(({ name }) => name);
  const services = plan.services.map(({ service }) => service).join(", ");
  return new OnefoldError(
    "REQUEST_INVALID",
    names.length === 0
      ? `no entity is read by ${services}`
      : `several entities are read by ${services}: which go together, their events do not say`,
    {
      ...(names.length === 0 ? {} : { where: names.join(", ") }),
      hint: "give a file of the keys that go together: --entities FILE",
    },
  );
}

/** Counted without making them; of an entity that is known at the very time of a tick, that one too. */
async function refuseTooMany(
  engine: QueryEngine,
  { from, count }: { readonly from: number; readonly count: number },
  everyMicros: number,
  fromFirst: boolean,
): Promise<void> {
  const skipped = fromFirst ? `greatest(0, ceil((${sqlName(FIRST)} - ${from}) / ${everyMicros}))` : "0";
  const [row] = await engine.rows(`SELECT sum(greatest(0, ${count} - ${skipped}))::DOUBLE AS n FROM generated_rows`);
  const rows = Number(row?.["n"] ?? 0);
  if (rows <= ROWS_MAX) return;
  throw new OnefoldError("REQUEST_INVALID", `${rows} label rows at ${count} ticks are more than a training set holds`, {
    hint: "give a longer --every, a shorter time between --from and --to, or a file with fewer entities",
  });
}
