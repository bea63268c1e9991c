/**
 * Fetching while what was fetched before is worked on: one answer ahead, and no more, so that memory stays bounded and
 * a loop that falls behind holds back.
 */
import type { Clock } from "../../base/clock.ts";
import type { KafkaConnection } from "./connection.ts";
import type { FetchedPartition, FetchFrom } from "./records.ts";
import { partitionName } from "./position.ts";

const WAIT_MS = 500;

export class FetchAhead {
  readonly #connection: Pick<KafkaConnection, "fetch">;
  readonly #caller: string;
  readonly #clock: Clock;
  #next: { readonly fetched: Promise<readonly FetchedPartition[]>; readonly askedAt: number } | null = null;
  /** When what `fetch` gave last was asked for. */
  askedAt: number = Number.NEGATIVE_INFINITY;

  constructor(connection: Pick<KafkaConnection, "fetch">, caller: string, clock: Clock) {
    this.#connection = connection;
    this.#caller = caller;
    this.#clock = clock;
  }

  /**
   * What follows on `from`, of the partitions that have an answer yet; waits a while where there is nothing, and no longer
   * than until `told` resolves: what comes then is for the next call.
   */
  async fetch(
    from: readonly FetchFrom[],
    waitMs: number = WAIT_MS,
    told?: Promise<void>,
  ): Promise<readonly FetchedPartition[]> {
    const fetching = this.#next ?? this.#ask(from, waitMs);
    if (told !== undefined) {
      this.#next = fetching;
      const isHere = await Promise.race([fetching.fetched.then(() => true), told.then(() => false)]);
      if (!isHere) return this.#later(fetching);
    }
    this.#next = null;
    const fetched = await fetching.fetched;
    this.askedAt = fetching.askedAt;
    const wanted = new Map(from.map((each) => [partitionName(each.topic, each.partition), each.offset]));
    const answers = new Map<string, FetchedPartition>();
    for (const one of fetched) {
      const name = partitionName(one.topic, one.partition);
      // Asked for before positions were read anew, or of a partition that is another's by now.
      if (wanted.get(name) === one.fromOffset) answers.set(name, one);
    }
    const hasRecords = [...answers.values()].some(({ records }) => records.length > 0);
    if (hasRecords) {
      const behind = from.map(({ topic, partition, offset }) => {
        const answer = answers.get(partitionName(topic, partition));
        return { topic, partition, offset: answer?.nextOffset ?? offset };
      });
      this.#next = this.#ask(behind, waitMs);
      this.#later(this.#next);
    }
    return [...answers.values()];
  }

  /** Told of an error is whoever asks next. */
  #later(fetching: { readonly fetched: Promise<unknown> }): readonly FetchedPartition[] {
    fetching.fetched.catch(() => {});
    return [];
  }

  #ask(from: readonly FetchFrom[], waitMs: number) {
    return { askedAt: this.#clock.now(), fetched: this.#connection.fetch(from, waitMs, this.#caller) };
  }

  drop(): void {
    this.#next = null;
  }
}
