/**
 * Gathers the answers of one pass into parts on disk (see `feature-parts.ts`), leaving out those that are there.
 */
import type { QueryEngine } from "../offline-store/engine.ts";
import { sqlName } from "../offline-store/engine.ts";
import type { FeatureParts, PartRecord } from "./feature-parts.ts";
import type { TaskResult } from "./join-task.ts";
import type { LabelPiece, LabelPieces } from "./label-pieces.ts";
import type { PassSink } from "./replay-passes.ts";
import { type ReplayResult, sumOfResults } from "./replay-view.ts";
import { spineEntityTable } from "./spine.ts";
import type { ViewPass } from "./view-passes.ts";

/** A part that is being made. */
interface OpenPart {
  readonly answered: { readonly piece: LabelPiece; readonly result: TaskResult }[];
  pieces: number;
  /** No further piece of it comes. */
  isCut: boolean;
}

export class PartSink implements PassSink {
  readonly entityTable: string;
  readonly labelsBefore: number;
  readonly #parts: FeatureParts;
  readonly #view: number;
  readonly #pass: ViewPass;
  readonly #finished: Map<number, PartRecord>;
  readonly #open = new Map<number, OpenPart>();
  readonly #partOf = new WeakMap<LabelPiece, number>();

  private constructor(
    parts: FeatureParts,
    view: number,
    pass: ViewPass,
    finished: Map<number, PartRecord>,
    entityTable: string,
  ) {
    this.#parts = parts;
    this.#view = view;
    this.#pass = pass;
    this.#finished = finished;
    this.entityTable = entityTable;
    this.labelsBefore = [...finished.values()].reduce((sum, { labels }) => sum + labels, 0);
  }

  static async open(engine: QueryEngine, parts: FeatureParts, pass: ViewPass, view: number): Promise<PartSink> {
    const finished = await parts.finished(view);
    let table = spineEntityTable(pass.view.entityIndex);
    if (finished.size > 0) {
      const ranges = [...finished.values()].map(
        ({ firstEntity, lastEntity }) => `entity_id BETWEEN ${firstEntity} AND ${lastEntity}`,
      );
      const left = `entities_left_${view}`;
      await engine.run(
        `CREATE OR REPLACE TABLE ${sqlName(left)} AS SELECT * FROM ${table} WHERE NOT (${ranges.join(" OR ")})`,
      );
      table = left;
    }
    return new PartSink(parts, view, pass, finished, table);
  }

  async *wanted(pieces: LabelPieces): AsyncIterableIterator<LabelPiece> {
    let number = 0;
    let part = 0;
    for await (const piece of pieces) {
      const next = Math.floor(number++ / this.#parts.piecesAPart);
      if (next !== part) await this.#cut(part);
      part = next;
      if (this.#finished.has(part)) continue;
      let open = this.#open.get(part);
      if (open === undefined) this.#open.set(part, (open = { answered: [], pieces: 0, isCut: false }));
      open.pieces++;
      this.#partOf.set(piece, part);
      yield piece;
    }
    await this.#cut(part);
  }

  async take(piece: LabelPiece, result: TaskResult): Promise<void> {
    const part = this.#partOf.get(piece)!;
    this.#open.get(part)!.answered.push({ piece, result });
    await this.#writeIfWhole(part);
  }

  async finish(_now: ReplayResult): Promise<ReplayResult> {
    return sumOfResults([...this.#finished].sort(([a], [b]) => a - b).map(([, record]) => record));
  }

  async #cut(part: number): Promise<void> {
    const open = this.#open.get(part);
    if (open === undefined) return;
    open.isCut = true;
    await this.#writeIfWhole(part);
  }

  async #writeIfWhole(part: number): Promise<void> {
    const open = this.#open.get(part);
    if (open === undefined || !open.isCut || open.answered.length < open.pieces) return;
    this.#open.delete(part);
    const answered = open.answered.toSorted((a, b) => a.piece.lastEntity - b.piece.lastEntity);
    const features = this.#pass.view.features.map(({ feature, type, slot }) => ({ name: feature, type, slot }));
    this.#finished.set(part, await this.#parts.write(this.#view, part, features, answered));
  }
}
