/**
 * Tells readers that keep what they read of an entity when it is out of date: a count that moves whenever the
 * entity's state changes.
 *
 * Entities share cells by a hash of their key, so there is nothing to keep account of, whoever reads: a change
 * to one of a cell takes the others for changed, too, and they are read once more. Views of the same entities share the
 * counts, as the same events change them.
 */
import { textHash } from "../base/text-hash.ts";
import type { EntityKey } from "../schema/entity-key.ts";

/**
 * 8 MiB, whose pages are taken from the system as they are written; at 100,000 entities a change takes along another one in
 * ten times.
 */
const CELLS = 2 ** 20;

export class ChangeCounts {
  /** Doubles: whole numbers that do not come round again. Null until someone reads. */
  #counts: Float64Array | null = null;
  /** Changes of all entities at once: counted by themselves, for to count them in every cell takes milliseconds. */
  #all = 0;
  /** Changed last, and where: the views of an entity change one after another. */
  #lastKey: EntityKey = "";
  #lastCell: number = cellIn("");

  /** The entity's cell, and from now on its changes are counted. */
  cellOf(key: EntityKey): number {
    this.#counts ??= new Float64Array(CELLS);
    return cellIn(key);
  }

  /** Changes so far in a cell. */
  of(cell: number): number {
    return this.#counts === null ? 0 : this.#counts[cell]! + this.#all;
  }

  changed(key: EntityKey): void {
    if (this.#counts === null) return;
    if (key !== this.#lastKey) {
      this.#lastKey = key;
      this.#lastCell = cellIn(key);
    }
    this.#counts[this.#lastCell]!++;
  }

  allChanged(): void {
    this.#all++;
  }
}

function cellIn(key: EntityKey): number {
  return textHash(key) & (CELLS - 1);
}
