/**
 * What workers on Kafka tell in the online store of how far they have come, partition by partition
 * (`src/ingest/kafka/whole-until.ts`), put together topic by topic.
 */
import type { Clock } from "../../base/clock.ts";
import { readWholeNote, wholeMetaName, type WholeNote } from "../../ingest/kafka/whole-until.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import { TellerClock } from "./teller-clock.ts";

export class ToldFreshness {
  readonly #store: Pick<OnlineStore, "read">;
  readonly #clock: Clock;
  /** With times as our clock has them. */
  #notes: ReadonlyMap<string, readonly (WholeNote | null)[]> = new Map();
  readonly #tellers = new Map<string, TellerClock>();

  constructor(store: Pick<OnlineStore, "read">, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Asks for the notes of all partitions. Throws as the store does; then what was heard before stands. */
  async hear(topics: ReadonlySet<string>): Promise<void> {
    let counts = new Map(Array.from(topics, (topic) => [topic, this.#notes.get(topic)?.length ?? 0]));
    for (;;) {
      // One more than is known of: a topic may have been given more partitions.
      const wanted = [...counts].flatMap(([topic, count]) =>
        Array.from({ length: count + 1 }, (_, partition) => ({ topic, partition })),
      );
      const names = wanted.map(({ topic, partition }) => wholeMetaName(topic, partition));
      const { metas } = names.length === 0 ? { metas: [] } : await this.#store.read([], names);
      const notes = new Map(Array.from(topics, (topic): [string, (WholeNote | null)[]] => [topic, []]));
      for (const [i, { topic, partition }] of wanted.entries()) {
        const note = this.#inOurTime(names[i]!, readWholeNote(metas[i] ?? null));
        if (note !== null || partition < counts.get(topic)!) notes.get(topic)!.push(note);
      }
      const known = new Map(
        Array.from(notes, ([topic, of]) => [topic, Math.max(0, of.length, ...of.map(partitionsOf))]),
      );
      if ([...known].every(([topic, count]) => count === notes.get(topic)!.length)) {
        this.#notes = notes;
        return;
      }
      counts = known;
    }
  }

  #inOurTime(name: string, note: WholeNote | null): WholeNote | null {
    if (note === null) return null;
    const teller = this.#tellers.get(name) ?? new TellerClock();
    this.#tellers.set(name, teller);
    teller.heard(note.at, this.#clock.now());
    return teller.shift === 0 ? note : shifted(note, teller.shift);
  }

  /**
   * All that was there before is taken in, of all partitions; null where nobody says of one. Of a folded topic for the
   * view that is folded under the name.
   */
  until(topic: string, foldName?: string): number | null {
    return this.#least(topic, foldName, ({ until }) => until);
  }

  /** The same of events by their known times: some of what is known may not be there yet. */
  knownUntil(topic: string, foldName: string): number | null {
    return this.#least(topic, foldName, ({ known, until }) => (known === undefined ? until : known));
  }

  #least(topic: string, foldName: string | undefined, of: (note: WholeNote) => number | null): number | null {
    const notes = this.#notes.get(topic) ?? [];
    let least: number | null = null;
    for (const note of notes) {
      const late = foldName === undefined ? undefined : note?.late?.[foldName];
      const until = note === null ? null : late === undefined ? of(note) : late;
      if (until === null) return null;
      least = Math.min(least ?? until, until);
    }
    return least;
  }

  /** Known time of the last event that was folded of a topic; null before one was, undefined where nobody says. */
  lastEventAt(topic: string): number | null | undefined {
    const notes = (this.#notes.get(topic) ?? []).filter((note) => note !== null);
    if (notes.length === 0) return undefined;
    const last = Math.max(...notes.map(({ lastEventAt }) => lastEventAt ?? Number.NEGATIVE_INFINITY));
    return Number.isFinite(last) ? last : null;
  }
}

function shifted({ until, known, lastEventAt, late, ...note }: WholeNote, shift: number): WholeNote {
  const moved = (time: number | null): number | null => (time === null ? null : time + shift);
  return {
    ...note,
    until: moved(until),
    lastEventAt: moved(lastEventAt),
    ...(known === undefined ? {} : { known: moved(known) }),
    ...(late === undefined
      ? {}
      : { late: Object.fromEntries(Object.entries(late).map(([name, time]) => [name, moved(time)])) }),
  };
}

function partitionsOf(note: WholeNote | null): number {
  return note?.partitions ?? 0;
}
