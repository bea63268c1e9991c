/**
 * The rows of a request on Feast's wire: columns in, a vector read for each row, columns out.
 */
import { setImmediate } from "node:timers/promises";
import { OnefoldError } from "../base/errors.ts";
import type { EntityDefinition } from "../define/definition.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { requestRow } from "../vector/request-row.ts";
import { AnswerBytes, writtenText } from "./answer-bytes.ts";
import { columnKeys, unreadKeyChecks } from "./entity-input.ts";
import { chosenOf, type ChosenVector, isExperiment, type NamedPlan } from "./experiment-plan.ts";
import { keyResult } from "./feast-answer.ts";
import { unreadColumn } from "./feast-columns.ts";
import { FeastOutputs, type FeastResults } from "./feast-outputs.ts";
import { FeastTable } from "./feast-table.ts";
import type { FeatureReader, VectorAsk } from "./feature-reader.ts";
import type { ReadOptions } from "./feature-vector.ts";
import type { FetchedStates, ServePorts } from "./ports.ts";
import type { RouteAnswer, WrittenAnswer } from "./route.ts";
import { SNAPSHOT_AGE_HEADER, snapshotAgeMs } from "./snapshot-age.ts";
import { VECTORS_PER_TURN } from "./vector-batch.ts";
import { JSON_TYPE, NO_HEADERS } from "./wire-answer.ts";

/** Lists of equal length by column. */
export type FeastColumns = Readonly<Record<string, readonly unknown[]>>;

export interface FeastAsk {
  readonly plan: NamedPlan;
  readonly entities: FeastColumns;
  /** The length of each of them. */
  readonly rowCount: number;
  readonly reader: FeatureReader;
  readonly registry: ServePorts["registry"];
  readonly consumer: string;
  /** Features are called `view__feature`, where the plan does not name them so itself. */
  readonly fullNames: boolean;
}

/** Answers of more values than these are written into memory of their own: they are long. */
const WRITTEN_VALUES_MAX = 1000;

export class FeastRows {
  readonly #ask: FeastAsk;
  readonly #keysAt: (row: number) => EntityKey[];
  /** Of key columns that are answered, and that no key is read of. */
  readonly #checkUnread: ((row: number) => void) | null;
  readonly #results: FeastResults;
  /** The greatest of the rows that were read; NaN where one has none. */
  #snapshotAgeMs = Number.NEGATIVE_INFINITY;

  /** Throws `REQUEST_INVALID` for a column that nothing reads; where a key is missing, that it is. */
  constructor(ask: FeastAsk) {
    const { plan, entities, rowCount, registry, fullNames } = ask;
    this.#ask = ask;
    this.#keysAt = columnKeys(plan.entities, entities);
    this.#checkUnread = unreadKeyChecks(plan.entities, entities);
    const isTable = !isExperiment(plan) && plan.program === null;
    this.#results = isTable ? new FeastTable(plan, fullNames) : new FeastOutputs(plan, fullNames);
    const unread = unreadColumn(plan, entities, registry);
    if (unread === null) return;
    if (rowCount > 0) this.#keys(0);
    throw unread;
  }

  /** What the rows read. Throws what checking them throws. */
  vectors(): VectorAsk[] {
    return Array.from({ length: this.#ask.rowCount }, (_, row) => this.#chosen(row));
  }

  /** In this turn. Throws what checking the rows throws, and what reading them throws. */
  answer(): RouteAnswer {
    const { plan, rowCount } = this.#ask;
    this.#read(0, rowCount);
    const columns = isExperiment(plan) ? Number.POSITIVE_INFINITY : plan.outputs.length;
    return rowCount * columns <= WRITTEN_VALUES_MAX ? new ShortAnswer(this) : this.#answer();
  }

  /** Others get their turns between stretches of rows. Rejects as `answer` throws. */
  async answerInTurns(states?: FetchedStates): Promise<RouteAnswer> {
    const { rowCount } = this.#ask;
    for (let row = 0; row < rowCount; row += VECTORS_PER_TURN) {
      if (row > 0) await setImmediate();
      this.#read(row, Math.min(rowCount, row + VECTORS_PER_TURN), states);
    }
    return this.#answer();
  }

  /** Of the rows that were read: what each vector's metadata says elsewhere. */
  headers(): Readonly<Record<string, string>> {
    return Number.isFinite(this.#snapshotAgeMs) ? { [SNAPSHOT_AGE_HEADER]: String(this.#snapshotAgeMs) } : NO_HEADERS;
  }

  /** Of the rows that were read. */
  writeTo(out: AnswerBytes): void {
    const { plan, entities } = this.#ask;
    const columns = keyColumnsOf(plan.entities).filter(({ name }) => Object.hasOwn(entities, name));
    const names = [...columns.map(({ name }) => JSON.stringify(name)), this.#results.names].join(",");
    const keys = columns.map((column) => `${keyResult(column, entities[column.name]!)},`).join("");
    out.text(`{"metadata":{"feature_names":[${names}]},"results":[${keys}`);
    this.#results.writeResults(out);
    out.text("]}");
  }

  #read(from: number, to: number, states?: FetchedStates): void {
    const { reader, consumer } = this.#ask;
    const shared = states === undefined ? { consumer } : { consumer, states };
    for (let row = from; row < to; row++) {
      const { plan, keys, request, exposure } = this.#chosen(row);
      const isPlain = exposure === undefined && plan.request.length === 0;
      const vector = reader.read(plan, keys, isPlain ? shared : { ...shared, request, ...exposureOf(exposure) });
      this.#results.add(plan, vector, exposure);
      this.#snapshotAgeMs = Math.max(this.#snapshotAgeMs, snapshotAgeMs(plan, vector.asOf) ?? Number.NaN);
    }
  }

  #answer(): RouteAnswer {
    const out = new AnswerBytes();
    this.writeTo(out);
    return {
      status: 200,
      headers: this.headers(),
      // Text and no data: a float64 is written with its point, and an int64 with all its digits.
      contentType: JSON_TYPE,
      get body(): unknown {
        return out.whole().toString();
      },
      jsonBytes: () => out.lend(),
    };
  }

  #chosen(row: number): ChosenVector {
    const { plan } = this.#ask;
    const keys = this.#keys(row);
    try {
      return chosenOf(plan, keys, requestRow(plan.request, this.#requestAt(row)));
    } catch (error) {
      throw ofRow(row, error);
    }
  }

  #keys(row: number): EntityKey[] {
    try {
      const keys = this.#keysAt(row);
      this.#checkUnread?.(row);
      return keys;
    } catch (error) {
      throw ofRow(row, error);
    }
  }

  /** What the plan takes beside keys. */
  #requestAt(row: number): Readonly<Record<string, unknown>> | undefined {
    const { plan, entities } = this.#ask;
    if (plan.request.length === 0) return undefined;
    const wanted = plan.request.filter(({ name }) => Object.hasOwn(entities, name));
    return Object.fromEntries(wanted.map(({ name }) => [name, entities[name]![row]]));
  }
}

/** What was thrown for a row, which it says. */
function ofRow(row: number, error: unknown): unknown {
  if (!(error instanceof OnefoldError)) return error;
  const where = `entities, row ${row}${error.where === undefined ? "" : `, ${error.where}`}`;
  return new OnefoldError(error.code, error.message, { ...error.toJSON(), where, cause: error });
}

/** An answer that is written where it is sent from. */
class ShortAnswer implements WrittenAnswer {
  readonly status = 200;
  readonly contentType: string = JSON_TYPE;
  readonly headers: Readonly<Record<string, string>>;
  readonly #rows: FeastRows;

  constructor(rows: FeastRows) {
    this.#rows = rows;
    this.headers = rows.headers();
  }

  get body(): unknown {
    return writtenText((out) => this.writeJson(out));
  }

  writeJson(out: AnswerBytes): void {
    this.#rows.writeTo(out);
  }
}

function exposureOf(exposure: ChosenVector["exposure"]): Pick<ReadOptions, "exposure"> {
  return exposure === undefined ? {} : { exposure };
}

const keyColumns = new WeakMap<readonly EntityDefinition[], EntityDefinition["keys"]>();

/** Each name once. */
function keyColumnsOf(entities: readonly EntityDefinition[]): EntityDefinition["keys"] {
  let columns = keyColumns.get(entities);
  if (columns === undefined) {
    const all = entities.flatMap((entity) => entity.keys);
    columns = all.filter(({ name }, i) => all.findIndex((other) => other.name === name) === i);
    keyColumns.set(entities, columns);
  }
  return columns;
}
