/**
 * The label rows of a training set that lies in parts, chunk by chunk in the spine's order: what the labels see, read
 * back by row. The engine sorts each view's parts; only a chunk is in memory.
 */
import { assert } from "../base/assert.ts";
import type { EngineBatch, EngineColumn, QueryEngine } from "../offline-store/engine.ts";
import type { Value } from "../schema/value.ts";
import { FeatureColumn, holdsNumbers } from "./feature-columns.ts";
import { type FeatureParts, putMarked } from "./feature-parts.ts";
import type { PlannedView } from "./service-plan.ts";

export const ROWS_A_CHUNK = 65_536;

export interface InputChunk {
  /** Row of the spine that its first is. */
  readonly from: number;
  readonly rowCount: number;
  /** In the order of the plan's inputs. */
  readonly inputs: readonly FeatureColumn[];
}

/** `views` in the order of their parts. */
export async function* readPartChunks(
  engine: QueryEngine,
  parts: FeatureParts,
  views: readonly PlannedView[],
  rowCount: number,
): AsyncIterableIterator<InputChunk> {
  const readers: ViewReader[] = [];
  try {
    for (const [index, view] of views.entries()) readers.push(await ViewReader.open(engine, parts, view, index));
    for (let from = 0; from < rowCount; from += ROWS_A_CHUNK) {
      const count = Math.min(ROWS_A_CHUNK, rowCount - from);
      const inputs: FeatureColumn[] = [];
      for (const reader of readers) await reader.read(from, count, inputs);
      yield { from, rowCount: count, inputs };
    }
  } finally {
    for (const reader of readers) await reader.close();
  }
}

class ViewReader {
  readonly #batches: AsyncIterator<EngineBatch>;
  readonly #view: PlannedView;
  #batch: EngineBatch | null = null;
  #at = 0;

  private constructor(batches: AsyncIterator<EngineBatch>, view: PlannedView) {
    this.#batches = batches;
    this.#view = view;
  }

  static async open(engine: QueryEngine, parts: FeatureParts, view: PlannedView, index: number): Promise<ViewReader> {
    const cells = view.features.map((_, i) => `, v${i}, s${i}::INTEGER`).join("");
    const columns: EngineColumn[] = [{ as: "int32" }];
    for (const { type } of view.features) {
      columns.push(holdsNumbers(type) ? { as: "number" } : { as: "value", type }, { as: "int32" });
    }
    const sql = `SELECT row::INTEGER${cells} FROM ${await parts.relation(index)} ORDER BY row`;
    return new ViewReader(engine.stream(sql, columns), view);
  }

  /** Makes the view's columns of the next `count` rows, the first of which is `from`. */
  async read(from: number, count: number, inputs: FeatureColumn[]): Promise<void> {
    const columns = this.#view.features.map(({ input, feature, type, slot }) => {
      return (inputs[input] = new FeatureColumn(feature, type, slot, count));
    });
    for (let row = 0; row < count;) {
      if (this.#batch === null || this.#at === this.#batch.rowCount) {
        const next = await this.#batches.next();
        assert(next.done !== true, "every label row has its features");
        this.#batch = next.value as EngineBatch;
        this.#at = 0;
      }
      const take = Math.min(count - row, this.#batch.rowCount - this.#at);
      const rows = this.#batch.columns[0] as Int32Array;
      assert(rows[this.#at] === from + row, "every label row has its features once");
      columns.forEach((column, i) => copyCells(column, row, this.#batch!, 1 + 2 * i, this.#at, take));
      row += take;
      this.#at += take;
    }
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}

function copyCells(
  column: FeatureColumn,
  row: number,
  batch: EngineBatch,
  place: number,
  at: number,
  count: number,
): void {
  const cells = batch.columns[place]!;
  const present = batch.validity[place]!;
  const marked = batch.columns[place + 1] as Int32Array;
  for (let i = 0; i < count; i++) {
    const isNull = present !== null && present[at + i] === 0;
    putMarked(column, row + i, isNull ? null : (cells[at + i] as Value), marked[at + i]!);
  }
}
