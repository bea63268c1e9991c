/**
 * Tells readers that keep what they read of an entity when it is out of date: each takes a mark, and the fold
 * turns it.
 */
import { type EntityKey, ownKey } from "../schema/entity-key.ts";

interface Mark {
  isCurrent: boolean;
}

/** Past so many, all are turned: readers read again, and take new ones. */
const MARKS_MAX = 500_000;

export class ReadMarks {
  #marks = new Map<EntityKey, Mark>();

  /** Readers of one entity share its mark. */
  get(key: EntityKey): { readonly isCurrent: boolean } {
    let mark = this.#marks.get(key);
    if (mark !== undefined) return mark;
    if (this.#marks.size >= MARKS_MAX) this.allChanged();
    mark = { isCurrent: true };
    this.#marks.set(ownKey(key), mark);
    return mark;
  }

  changed(key: EntityKey): void {
    if (this.#marks.size === 0) return;
    const mark = this.#marks.get(key);
    if (mark === undefined) return;
    mark.isCurrent = false;
    this.#marks.delete(key);
  }

  allChanged(): void {
    for (const mark of this.#marks.values()) mark.isCurrent = false;
    this.#marks.clear();
  }
}
