/**
 * Whether the states that a stored position speaks for are there, where each of several servers may come back without its
 * last writes.
 *
 *     states of a group ─▶ mark: the position they are folded to ─▶ (other groups) ─▶ position: the mark of each group
 *
 * A server that has lost states has lost the marks behind them, too. Then the position is worth no more than the oldest
 * mark that is found in the place of the one it names, which is a position itself, and from there all is folded again;
 * states that were not lost skip what they have.
 */
import type { StateMarks } from "../../online-store/online-store.ts";
import type { FoldedPartition, PartitionWrites } from "./folded-partition.ts";
import { decodePosition, encodePosition, type FoldPosition } from "./position.ts";

type Groups = Readonly<Record<string, number>>;

/** A position on its way into the store, with the name that it stands by. */
export interface NamedPosition {
  readonly fold: FoldedPartition;
  readonly name: string;
  readonly position: FoldPosition;
}

export class MarkedGroups {
  readonly #marks: StateMarks | undefined;
  /** Of each fold what its stored position names. */
  readonly #stored = new WeakMap<FoldedPartition, Groups>();
  /** Whose states were written since. */
  readonly #touched = new WeakMap<FoldedPartition, Set<number>>();

  constructor(marks: StateMarks | undefined) {
    this.#marks = marks;
  }

  /** From a position as it is stored; where that is of other views, the fold begins anew. */
  opened(fold: FoldedPartition, stored: FoldPosition | null): void {
    const isOfAll = stored !== null && hasViews(stored, fold.position);
    this.#stored.set(fold, isOfAll ? (stored.groups ?? {}) : {});
    this.#touched.set(fold, new Set());
  }

  /** Before its states are written. What another has written is as much behind the position that comes. */
  touch(fold: FoldedPartition, { states, ids, passed }: PartitionWrites): void {
    const marks = this.#marks;
    if (marks === undefined) return;
    const touched = this.#touched.get(fold) ?? new Set();
    this.#touched.set(fold, touched);
    for (const { key } of states) touched.add(marks.groupOf(key));
    for (const { key } of ids) touched.add(marks.groupOf(key));
    for (const key of passed) touched.add(marks.groupOf(key));
  }

  /** Writes the marks, behind states that were acknowledged; the positions with what is to be stored with them. */
  async mark(positions: readonly NamedPosition[]): Promise<NamedPosition[]> {
    if (this.#marks === undefined) return [...positions];
    const marks = positions.map(({ fold, name, position }) => {
      return { name, bytes: encodePosition(position), groups: [...(this.#touched.get(fold) ?? [])] };
    });
    if (marks.some(({ groups }) => groups.length > 0)) await this.#marks.write(marks);
    return positions.map(({ fold, name, position }, i) => {
      const named = marks[i]!.groups.map((group) => [group, position.offset] as const);
      const groups = { ...this.#stored.get(fold), ...Object.fromEntries(named) };
      return { fold, name, position: { ...position, groups } };
    });
  }

  /** Once those that `mark` has returned are stored. */
  stored(positions: readonly NamedPosition[]): void {
    for (const { fold, position } of positions) this.opened(fold, position);
  }

  /** What two folds have written is one's from now on. */
  join(into: FoldedPartition, from: FoldedPartition): void {
    const groups = [into, from].flatMap((fold) => [
      ...Object.keys(this.#stored.get(fold) ?? {}).map(Number),
      ...(this.#touched.get(fold) ?? []),
    ]);
    this.#touched.set(into, new Set(groups));
  }
}

/**
 * The stored position by the name, or where states that it speaks for are gone, one that speaks for what is there: null
 * where that is nothing. Throws as the store's `read` does.
 */
export async function soundPosition(
  marks: StateMarks | undefined,
  name: string,
  stored: FoldPosition | null,
): Promise<FoldPosition | null> {
  const named = Object.entries(stored?.groups ?? {});
  if (marks === undefined || stored === null || named.length === 0) return stored;
  const groups: Record<string, number> = { ...stored.groups };
  let sound = stored;
  for (const { group, bytes } of await marks.read(
    name,
    Array.from(named, ([each]) => Number(each)),
  )) {
    if (bytes === null) return null;
    const found = decodePosition(bytes);
    // A mark from before it went back, to take in other views, says nothing of those.
    if (found.topicId !== stored.topicId || !hasViews(found, stored)) return null;
    if (found.offset >= groups[group]!) continue;
    groups[group] = found.offset;
    if (found.offset < sound.offset) sound = found;
  }
  return sound === stored ? stored : { ...sound, groups };
}

/** Whether `position` speaks for all views that `other` does. */
function hasViews(position: FoldPosition, other: FoldPosition): boolean {
  return Object.keys(other.views).every((view) => position.views[view] !== undefined);
}
