/**
 * How far a source partition is routed, for each topic that its events go to.
 *
 * All of them stand at one offset, as a rule. A topic that comes later (of a view that is keyed in a new way) or that
 * was not routed for a while (of a view that some worker's definitions lack) is behind the others: then the partition
 * is read in two places, where the others go on, and where that topic stands, until it has caught up. So each topic
 * is given all events of the partition, in order, whatever definitions the routers before had: what `origin.ts` rests
 * on.
 *
 * The group holds the smallest offset, and beside it, in one note, that of every topic; those that this router does
 * not know are handed on. A topic is known by its id: one that was deleted and made anew begins at the beginning.
 */
import { createHash } from "node:crypto";

/** A position that a group holds, and what is noted beside it. */
export interface NotedOffset {
  readonly offset: number;
  readonly note: string | null;
}

/** The two places in which a partition is read. */
export type RoutePlace = "live" | "behind";

/** Digits that tell topics apart: a note has 4096 bytes. */
const NAME_DIGITS = 12;

export class RoutePosition {
  /** Of each topic, by its name in notes: offset of the next event it is to be given. */
  readonly #next: Map<string, number>;
  readonly #nameOf: (topicId: string) => string;
  readonly #targets: readonly string[];
  /** Not noted: while nothing was appended, the oldest record may become another one. */
  readonly #untouched = new Set<string>();

  /** `targets` are ids of the topics that are routed to now; `startOffset` is that of the oldest record there is. */
  constructor(committed: NotedOffset | null, targets: readonly string[], startOffset: number) {
    const names = new Map(targets.map((id) => [id, noteName(id)]));
    this.#nameOf = (id) => names.get(id)!;
    this.#targets = [...names.values()];
    const noted = committed?.note ?? null;
    this.#next = new Map(noted === null ? [] : Object.entries(JSON.parse(noted) as Record<string, number>));
    // A position without a note is of all topics alike.
    const isOfAll = committed !== null && noted === null;
    for (const name of this.#targets) {
      if (this.#next.has(name)) continue;
      this.#next.set(name, isOfAll ? committed.offset : startOffset);
      if (!isOfAll) this.#untouched.add(name);
    }
  }

  /** Where the topics go on that are behind none. */
  get live(): number {
    return Math.max(...this.#targets.map((name) => this.#next.get(name)!));
  }

  /** Where the one goes on that is furthest behind; null where none is. */
  get behind(): number | null {
    const least = Math.min(...this.#targets.map((name) => this.#next.get(name)!));
    return least < this.live ? least : null;
  }

  /** Whether a topic is to be given an event that is read in that place. */
  isDue(topicId: string, place: RoutePlace, offset: number): boolean {
    return this.#isAt(this.#nameOf(topicId), place) && offset >= this.#next.get(this.#nameOf(topicId))!;
  }

  /** All events before `offset` that are due in that place are appended. */
  advance(place: RoutePlace, offset: number): void {
    const moved = this.#targets.filter((name) => this.#isAt(name, place));
    for (const name of moved) {
      if (offset > this.#next.get(name)!) this.#untouched.delete(name);
      this.#next.set(name, Math.max(offset, this.#next.get(name)!));
    }
  }

  /** What to commit. */
  get noted(): NotedOffset {
    const next = [...this.#next].filter(([name]) => !this.#untouched.has(name));
    return { offset: this.behind ?? this.live, note: JSON.stringify(Object.fromEntries(next)) };
  }

  #isAt(name: string, place: RoutePlace): boolean {
    return (this.#next.get(name) === this.live) === (place === "live");
  }
}

function noteName(topicId: string): string {
  return createHash("sha256").update(topicId).digest("hex").slice(0, NAME_DIGITS);
}
