/**
 * Topics in memory, with what workers ask of a broker: to run the loops through thousands of crashes and late writes.
 * What a real broker does is tested with a real one.
 */
import type { FetchedPartition, FetchFrom, KafkaRecord, NewRecord } from "../../../src/ingest/kafka/records.ts";

export class SimulatedTopics {
  readonly #partitions = new Map<string, KafkaRecord[]>();
  readonly #counts: ReadonlyMap<string, number>;
  /** Of one partition, at most, in one answer. */
  batchMax = 50;
  /** When records are sent. */
  nowMs = 0;
  /** So many of the next records are appended before sending fails; null while it does not. */
  sendFailsAfter: number | null = null;

  constructor(counts: ReadonlyMap<string, number>) {
    this.#counts = counts;
  }

  of(topic: string, partition: number): KafkaRecord[] {
    const name = `${topic}/${partition}`;
    const records = this.#partitions.get(name) ?? [];
    this.#partitions.set(name, records);
    return records;
  }

  async send(records: readonly NewRecord[]): Promise<void> {
    for (const { topic, partition, key, value, headers } of records) {
      if (this.sendFailsAfter !== null && this.sendFailsAfter-- === 0) throw new Error("crash");
      const of = this.of(topic, partition);
      const buffers = new Map(Array.from(headers, ([name, text]) => [name, Buffer.from(text)] as const));
      of.push({ offset: of.length, timestampMs: this.nowMs, key, value, headers: () => buffers });
    }
  }

  async fetch(from: readonly FetchFrom[]): Promise<FetchedPartition[]> {
    return from.map(({ topic, partition, offset }) => {
      const all = this.of(topic, partition);
      const records = all.slice(offset, offset + this.batchMax);
      return {
        topic,
        partition,
        fromOffset: offset,
        records,
        nextOffset: offset + records.length,
        endOffset: all.length,
      };
    });
  }

  async offsets(topic: string, of: "start" | "end"): Promise<number[]> {
    return Array.from({ length: this.#counts.get(topic)! }, (_, partition) =>
      of === "start" ? 0 : this.of(topic, partition).length,
    );
  }
}
