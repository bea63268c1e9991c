/**
 * Fetching while what was fetched before is worked on: one answer ahead, and no more, so that memory stays bounded and
 * a loop that falls behind holds back.
 */
import type { FetchedPartition, FetchFrom, KafkaConnection } from "./connection.ts";
import { partitionName } from "./position.ts";

const WAIT_MS = 500;

export class FetchAhead {
  readonly #connection: Pick<KafkaConnection, "fetch">;
  readonly #caller: string;
  #next: Promise<readonly FetchedPartition[]> | null = null;

  constructor(connection: Pick<KafkaConnection, "fetch">, caller: string) {
    this.#connection = connection;
    this.#caller = caller;
  }

  /** What follows on `from`, of the partitions that have an answer yet; waits a while where there is nothing. */
  async fetch(from: readonly FetchFrom[], waitMs: number = WAIT_MS): Promise<readonly FetchedPartition[]> {
    const fetching = this.#next ?? this.#connection.fetch(from, waitMs, this.#caller);
    this.#next = null;
    const fetched = await fetching;
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
      this.#next = this.#connection.fetch(behind, waitMs, this.#caller);
      // Told to whoever asks next.
      this.#next.catch(() => {});
    }
    return [...answers.values()];
  }

  drop(): void {
    this.#next = null;
  }
}
