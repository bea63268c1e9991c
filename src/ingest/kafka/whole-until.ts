/**
 * Up to when each partition is taken in, told in the online store: so servers that hold nothing know how far workers are
 * behind, and how old what they serve may be.
 *
 *     asked for records ─▶ answered: all there is?  yes: whole until it was asked
 *                                                   no:  whole until what was taken last, or as before
 *
 * A note is written behind the states that it speaks of, and over the connection that they went over. While nobody takes a
 * partition in, its note stays as it is and grows old, which is what is to be known of it.
 */
import type { Clock } from "../../base/clock.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import type { TopicPartition } from "./records.ts";
import { partitionName } from "./position.ts";

/** What is told of one partition of a topic, that of a source or one that is folded. */
export interface WholeNote {
  /** Of the topic: with it a reader finds the notes of the others. */
  readonly partitions: number;
  /** All that became known before is routed, or folded and stored; null where nobody can say. */
  readonly until: number | null;
  /** Known time of its last event; null of a source's topic, and where there was none. */
  readonly lastEventAt: number | null;
  /** The same as `until` for views that are behind the others, by the name they are folded under. */
  readonly late?: Readonly<Record<string, number | null>>;
}

/** How often it is told. */
const TELL_MICROS = 500_000;

export function wholeMetaName(topic: string, partition: number): string {
  return `kafka-whole/${partitionName(topic, partition)}`;
}

export function readWholeNote(bytes: Uint8Array | null): WholeNote | null {
  return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString("utf8")) as WholeNote);
}

export class WholeUntil {
  readonly #clock: Clock;
  readonly #untils = new Map<string, number>();
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * What was asked for at `askedAt` is taken in. `lastTaken`: the time from which on what is left can have become known,
   * -Infinity where that is not known.
   */
  took({ topic, partition }: TopicPartition, askedAt: number, isAll: boolean, lastTaken: number): void {
    const name = partitionName(topic, partition);
    const before = this.#untils.get(name) ?? Number.NEGATIVE_INFINITY;
    this.#untils.set(name, Math.max(before, isAll ? askedAt : Math.min(askedAt, lastTaken)));
  }

  /** Undefined where nothing of it was asked for yet; null where nobody can say. */
  of({ topic, partition }: TopicPartition): number | null | undefined {
    const until = this.#untils.get(partitionName(topic, partition));
    return until === undefined ? undefined : finite(until);
  }

  /** It is another's now. */
  forget(name: string): void {
    this.#untils.delete(name);
  }

  drop(): void {
    this.#untils.clear();
  }

  /** Whether it is time to tell again. */
  get isDue(): boolean {
    return Math.abs(this.#clock.now() - this.#toldAt) >= TELL_MICROS;
  }

  /** Of partitions of which something is known. Throws as the store does. */
  async tell(
    store: OnlineStore,
    notes: readonly (TopicPartition & { readonly note: Omit<WholeNote, "until"> })[],
  ): Promise<void> {
    this.#toldAt = this.#clock.now();
    const metas = notes.flatMap(({ note, ...partition }) => {
      const until = this.of(partition);
      if (until === undefined) return [];
      const bytes = new Uint8Array(Buffer.from(JSON.stringify({ ...note, until } satisfies WholeNote)));
      return [{ name: wholeMetaName(partition.topic, partition.partition), bytes }];
    });
    if (metas.length > 0) await store.commit([], metas);
  }
}

/** As JSON has it. */
export function finite(micros: number): number | null {
  return Number.isFinite(micros) ? micros : null;
}
