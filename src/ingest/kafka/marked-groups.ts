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
import { createHash } from "node:crypto";
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
  /** Of each fold, the offsets of the marks that stand. */
  readonly #named = new WeakMap<FoldedPartition, Groups>();
  /** Whose states were written since. */
  readonly #touched = new WeakMap<FoldedPartition, Set<number>>();
  /** When all groups were marked, by the monotonic clock. */
  readonly #allMarkedMs = new WeakMap<FoldedPartition, number>();

  readonly #allEveryMs: number;

  /**
   * `allEveryMs`: so long at most a mark stays as it was though its group has not changed. So far back a loss may lead, of
   * records that the topic may not keep for long.
   */
  constructor(marks: StateMarks | undefined, allEveryMs: number) {
    this.#marks = marks;
    this.#allEveryMs = allEveryMs;
  }

  /**
   * From a position as it is stored. One that speaks for more views is marked anew for these; where one lacks some, the
   * fold begins anew.
   */
  opened(fold: FoldedPartition, stored: FoldPosition | null): void {
    const groups = stored?.groups ?? {};
    const [own, known] = [viewNames(fold.position), stored === null ? [] : viewNames(stored)];
    const isSame = own.join() === known.join();
    const isPart = !isSame && own.every((view) => known.includes(view));
    this.#named.set(fold, isSame ? groups : {});
    this.#touched.set(fold, new Set(isPart ? Object.keys(groups).map(Number) : []));
    this.#allMarkedMs.set(fold, performance.now());
  }

  /** Before its states are written. What another has written is as much behind the position that comes. */
  touch(fold: FoldedPartition, { states, ids, passed }: PartitionWrites): void {
    const marks = this.#marks;
    if (marks === undefined) return;
    const touched = this.#touchedBy(fold);
    for (const { key } of states) touched.add(marks.groupOf(key));
    for (const { key } of ids) touched.add(marks.groupOf(key));
    for (const key of passed) touched.add(marks.groupOf(key));
  }

  /** Whether all its groups are to be marked again, though nothing was written: a loss would go back as far as the oldest. */
  isDue(fold: FoldedPartition): boolean {
    if (this.#marks === undefined || performance.now() - (this.#allMarkedMs.get(fold) ?? 0) < this.#allEveryMs)
      return false;
    return Object.keys(this.#named.get(fold) ?? {}).length > 0;
  }

  /** Writes the marks, behind states that were acknowledged; the positions with what is to be stored with them. */
  async mark(positions: readonly NamedPosition[]): Promise<NamedPosition[]> {
    if (this.#marks === undefined) return [...positions];
    const marks = positions.map(({ fold, name, position }) => {
      const isDue = this.isDue(fold);
      const groups = new Set([
        ...this.#touchedBy(fold),
        ...(isDue ? Object.keys(this.#named.get(fold) ?? {}).map(Number) : []),
      ]);
      if (isDue) this.#allMarkedMs.set(fold, performance.now());
      this.#touched.set(fold, new Set());
      return { name: markName(name, position), bytes: encodePosition(position), groups: [...groups] };
    });
    if (marks.some(({ groups }) => groups.length > 0)) await this.#marks.write(marks);
    return positions.map(({ fold, name, position }, i) => {
      const marked = marks[i]!.groups.map((group) => [group, position.offset] as const);
      const groups = { ...this.#named.get(fold), ...Object.fromEntries(marked) };
      this.#named.set(fold, groups);
      return { fold, name, position: { ...position, groups } };
    });
  }

  /** What two folds have written is one's from now on. */
  join(into: FoldedPartition, from: FoldedPartition): void {
    const groups = [into, from].flatMap((fold) => [
      ...Object.keys(this.#named.get(fold) ?? {}).map(Number),
      ...this.#touchedBy(fold),
    ]);
    this.#named.set(into, {});
    this.#touched.set(into, new Set(groups));
  }

  #touchedBy(fold: FoldedPartition): Set<number> {
    const touched = this.#touched.get(fold) ?? new Set();
    this.#touched.set(fold, touched);
    return touched;
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
    markName(name, stored),
    Array.from(named, ([each]) => Number(each)),
  )) {
    if (bytes === null) return null;
    const found = decodePosition(bytes);
    if (found.topicId !== stored.topicId) return null;
    if (found.offset >= groups[group]!) continue;
    groups[group] = found.offset;
    if (found.offset < sound.offset) sound = found;
  }
  return sound === stored ? stored : { ...sound, groups };
}

/** A mark speaks for the views that its writer had: others, with other definitions, do not write over it. */
function markName(name: string, position: FoldPosition): string {
  const hash = createHash("sha256")
    .update(JSON.stringify(viewNames(position)))
    .digest("hex");
  return `${name} ${hash.slice(0, 12)}`;
}

function viewNames({ views }: FoldPosition): string[] {
  return Object.keys(views).toSorted();
}
