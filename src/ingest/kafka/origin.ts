/**
 * Where a routed event came from, and why routing is exactly-once in effect without transactions.
 *
 * A router reads a source partition p from where its group has committed, and appends the events, in p's order, to
 * internal partitions. It commits a position only once all before it are appended and acknowledged by all in-sync
 * replicas, and it appends an event only once all before it are. So whatever routers there are, alive, dead, late or
 * two at a time: at any moment the events of p that stand in internal partition q are all that belong there up to
 * some offset of p, each at least once; and a second copy comes after the first. A folder of q therefore needs no
 * more than the largest offset of p that it has taken: what is at or below it is a copy, what is above it is new, and
 * nothing was left out in between. That number stands beside q's position. What is folded follows from q's records
 * alone, so every folder, and every repetition, takes the same ones.
 *
 * A topic that was deleted and made anew has another id: its offsets begin again, and are not taken for copies.
 *
 * A correction at offset 17 becomes a retraction in every partition and, where it has one, an event in one of them. So that
 * the event is no copy of the retraction before it, that one has the offset 16.5: half a place before its record.
 */

/** Topic id and partition, `id/3`; with the offset behind it `id/3/17`. */
export interface Origin {
  readonly partition: string;
  readonly offset: number;
}

export function originText(topicId: string, partition: number, offset: number): string {
  return `${topicId}/${partition}/${offset}`;
}

/** Null for what is no origin. */
export function parseOrigin(text: string): Origin | null {
  const cut = text.lastIndexOf("/");
  const offset = Number(text.slice(cut + 1));
  return cut <= 0 || !Number.isSafeInteger(offset * 2) ? null : { partition: text.slice(0, cut), offset };
}

/** Of the retraction that the record at `offset` is. */
export function retractionOrigin(offset: number): number {
  return offset - 0.5;
}

/** The largest offset taken of each source partition. */
export class TakenOrigins {
  readonly #largest: Map<string, number>;

  constructor(largest: Readonly<Record<string, number>> = {}) {
    this.#largest = new Map(Object.entries(largest));
  }

  /** False for a copy of what was taken before. */
  take({ partition, offset }: Origin): boolean {
    const largest = this.#largest.get(partition);
    if (largest !== undefined && offset <= largest) return false;
    this.#largest.set(partition, offset);
    return true;
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#largest);
  }
}
