/**
 * Up to when each partition is taken in, told in the online store: so servers that hold nothing know how far workers are
 * behind, and how old what they serve may be.
 *
 *     asked for records ─▶ answered: all there is?  yes: whole until it was asked
 *                                                   no:  whole until what was taken last, or as before
 *
 * A note is written behind the states that it speaks of, and over the connection that they went over. While nobody takes a
 * partition in, its note stays as it is and grows old, which is what is to be known of it.
 *
 * An event gets its known time before it is appended to the topic that is folded, and may be a while on its way there. So that a
 * topic was folded to its end says nothing of events that became known since it was routed so far: whoever folds hears first up
 * to when that was.
 *
 *     heard: routed until R ─▶ asked for records ─▶ answered: all there is?  yes: all known before R, and before it was asked
 */
import type { Clock } from "../../base/clock.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import type { TopicPartition } from "./records.ts";
import { partitionName } from "./position.ts";

/** What is told of one partition of a topic, that of a source or one that is folded. */
export interface WholeNote {
  /** Of the topic: with it a reader finds the notes of the others. */
  readonly partitions: number;
  /** When it was told; absent in notes of an earlier version. */
  readonly at?: number;
  /** All that became known before is routed, or folded and stored; null where nobody can say. */
  readonly until: number | null;
  /** Of a topic that is routed to: all events whose known time is before are folded and stored. `until` in notes without. */
  readonly known?: number | null;
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

/** The least that notes of all partitions of a topic tell; null where nobody says of one. Throws as the store does. */
export async function readUntil(
  store: Pick<OnlineStore, "read">,
  topic: string,
  partitionCount: number,
): Promise<number | null> {
  for (let count = partitionCount; ;) {
    // One more than is known of: a topic may have been given more partitions.
    const names = Array.from({ length: count + 1 }, (_, partition) => wholeMetaName(topic, partition));
    const { metas } = await store.read([], names);
    const notes = metas.map((bytes) => readWholeNote(bytes));
    const there = Math.max(count, ...notes.map((note, i) => (note === null ? 0 : Math.max(i + 1, note.partitions))));
    if (there > count) {
      count = there;
      continue;
    }
    const untils = notes.slice(0, count).map((note) => note?.until ?? null);
    return untils.includes(null) ? null : Math.min(...(untils as number[]));
  }
}

/** What was heard of a topic's routing, and when that was over. */
interface HeardRouting {
  readonly heardAt: number;
  readonly until: number;
}

export class WholeUntil {
  readonly #clock: Clock;
  readonly #untils = new Map<string, number>();
  readonly #knowns = new Map<string, number>();
  /** By the topic that is folded, where it is routed to: what was heard of its source's topic last, and before that. */
  readonly #heard = new Map<string, readonly HeardRouting[]>();
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
    const part = Math.min(askedAt, lastTaken);
    raise(this.#untils, name, isAll ? askedAt : part);
    raise(this.#knowns, name, isAll ? Math.min(askedAt, this.#routedBefore(topic, askedAt)) : part);
  }

  /** A source's topic is routed up to `until`, all of which is in the folded one by now; null where nobody says. */
  heardRouting(topic: string, until: number | null): void {
    const [last] = this.#heard.get(topic) ?? [];
    const heard = { heardAt: this.#clock.now(), until: until ?? Number.NEGATIVE_INFINITY };
    this.#heard.set(topic, last === undefined ? [heard] : [heard, last]);
  }

  hasHeardRouting(topic: string): boolean {
    return this.#heard.has(topic);
  }

  /** Of what was heard before something was asked for. */
  #routedBefore(topic: string, askedAt: number): number {
    const heard = this.#heard.get(topic)?.find(({ heardAt }) => heardAt <= askedAt);
    return heard?.until ?? Number.NEGATIVE_INFINITY;
  }

  /** As `of`, of events by their known times, for a topic that is routed to. */
  knownOf({ topic, partition }: TopicPartition): number | null {
    return finite(this.#knowns.get(partitionName(topic, partition)) ?? Number.NEGATIVE_INFINITY);
  }

  /** Undefined where nothing of it was asked for yet; null where nobody can say. */
  of({ topic, partition }: TopicPartition): number | null | undefined {
    const until = this.#untils.get(partitionName(topic, partition));
    return until === undefined ? undefined : finite(until);
  }

  /** It is another's now. */
  forget(name: string): void {
    this.#untils.delete(name);
    this.#knowns.delete(name);
  }

  drop(): void {
    this.#untils.clear();
    this.#knowns.clear();
    this.#heard.clear();
  }

  /** Whether it is time to tell again. */
  get isDue(): boolean {
    return Math.abs(this.#clock.now() - this.#toldAt) >= TELL_MICROS;
  }

  /** Of partitions of which something is known. Throws as the store does. */
  async tell(
    store: OnlineStore,
    notes: readonly (TopicPartition & { readonly note: Omit<WholeNote, "until" | "at"> })[],
  ): Promise<void> {
    const at = this.#clock.now();
    this.#toldAt = at;
    const metas = notes.flatMap(({ note, ...partition }) => {
      const until = this.of(partition);
      if (until === undefined) return [];
      const bytes = new Uint8Array(Buffer.from(JSON.stringify({ ...note, at, until } satisfies WholeNote)));
      return [{ name: wholeMetaName(partition.topic, partition.partition), bytes }];
    });
    if (metas.length > 0) await store.commit([], metas);
  }
}

function raise(all: Map<string, number>, name: string, value: number): void {
  all.set(name, Math.max(all.get(name) ?? Number.NEGATIVE_INFINITY, value));
}

/** As JSON has it. */
export function finite(micros: number): number | null {
  return Number.isFinite(micros) ? micros : null;
}
