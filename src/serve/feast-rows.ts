/**
 * The rows of a request on Feast's wire: columns in, a vector read for each row, columns out.
 */
import { setImmediate } from "node:timers/promises";
import { OnefoldError } from "../base/errors.ts";
import type { EntityDefinition } from "../define/definition.ts";
import { Status } from "../fold/view-fold.ts";
import { requestRow } from "../vector/request-row.ts";
import { serviceKeys } from "./entity-input.ts";
import { chosenOf, type ChosenVector, type NamedPlan } from "./experiment-plan.ts";
import { FeastColumn, FeastTimes, feastAnswer } from "./feast-answer.ts";
import type { FeastOutputs } from "./feast-outputs.ts";
import type { FeatureReader, VectorAsk } from "./feature-reader.ts";
import type { FetchedStates } from "./ports.ts";
import type { RouteAnswer } from "./route.ts";
import { VECTORS_PER_TURN } from "./vector-batch.ts";
import { JSON_TYPE } from "./wire-answer.ts";

/** Lists of equal length by column. */
export type FeastColumns = Readonly<Record<string, readonly unknown[]>>;

export interface FeastAsk {
  readonly plan: NamedPlan;
  readonly entities: FeastColumns;
  /** The length of each of them. */
  readonly rowCount: number;
  readonly reader: FeatureReader;
  readonly consumer: string;
  readonly outputs: FeastOutputs;
}

export class FeastRows {
  readonly #ask: FeastAsk;
  readonly #columns: readonly (readonly [name: string, values: readonly unknown[]])[];
  readonly #keyColumns: EntityDefinition["keys"];
  readonly #keyResults: readonly FeastColumn[];
  readonly #keyTimes = new FeastTimes();

  constructor(ask: FeastAsk) {
    const { plan, entities } = ask;
    this.#ask = ask;
    this.#columns = Object.entries(entities);
    this.#keyColumns = keyColumnsOf(plan.entities).filter(({ name }) => Object.hasOwn(entities, name));
    this.#keyResults = this.#keyColumns.map(({ name }) => new FeastColumn(name, this.#keyTimes));
  }

  /** What the rows read. Throws what checking them throws. */
  vectors(): VectorAsk[] {
    return Array.from({ length: this.#ask.rowCount }, (_, row) => this.#chosen(row, this.#givenAt(row)));
  }

  /** In this turn. Throws what checking the rows throws, and what reading them throws. */
  answer(): RouteAnswer {
    this.#read(0, this.#ask.rowCount);
    return this.#answer();
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

  #read(from: number, to: number, states?: FetchedStates): void {
    const { reader, consumer, outputs } = this.#ask;
    const shared = states === undefined ? { consumer } : { consumer, states };
    for (let row = from; row < to; row++) {
      const given = this.#givenAt(row);
      const { plan, keys, ...chosen } = this.#chosen(row, given);
      const vector = reader.read(plan, keys, { ...chosen, ...shared });
      for (let i = 0; i < this.#keyColumns.length; i++) {
        const { name, type } = this.#keyColumns[i]!;
        const shown = type.name === "int64" ? String(given[name]) : JSON.stringify(given[name]);
        this.#keyResults[i]!.add(shown, Status.PRESENT);
      }
      this.#keyTimes.add(null);
      outputs.add(plan, vector, chosen.exposure);
    }
  }

  #answer(): RouteAnswer {
    const out = feastAnswer([...this.#keyResults, ...this.#ask.outputs.columns]);
    return {
      status: 200,
      // Text and no data: it may hold a NaN, which JSON has no word for.
      contentType: JSON_TYPE,
      get body(): unknown {
        return out.whole().toString();
      },
      jsonBytes: () => out.lend(),
    };
  }

  #givenAt(row: number): Readonly<Record<string, unknown>> {
    return Object.fromEntries(this.#columns.map(([name, values]) => [name, values[row]]));
  }

  #chosen(row: number, given: Readonly<Record<string, unknown>>): ChosenVector {
    const { plan } = this.#ask;
    try {
      const keys = serviceKeys(plan.entities, given);
      const wanted = plan.request.filter(({ name }) => Object.hasOwn(given, name));
      const data = Object.fromEntries(wanted.map(({ name }) => [name, given[name]]));
      return chosenOf(plan, keys, requestRow(plan.request, data));
    } catch (error) {
      if (!(error instanceof OnefoldError)) throw error;
      const where = `entities, row ${row}${error.where === undefined ? "" : `, ${error.where}`}`;
      throw new OnefoldError(error.code, error.message, { ...error.toJSON(), where, cause: error });
    }
  }
}

function keyColumnsOf(entities: readonly EntityDefinition[]): EntityDefinition["keys"] {
  const columns = entities.flatMap((entity) => entity.keys);
  return columns.filter(({ name }, i) => columns.findIndex((other) => other.name === name) === i);
}
