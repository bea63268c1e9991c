/**
 * Topics in memory, with what workers ask of a broker: to run the loops through thousands of crashes and late writes.
 * What a real broker does is tested with a real one.
 */
import type { FetchedPartition, FetchFrom, KafkaRecord, NewRecord } from "../../../src/ingest/kafka/records.ts";

export class SimulatedTopics {
  readonly #partitions = new Map<string, KafkaRecord[]>();
  readonly #counts: ReadonlyMap<string, number>;
  /** Of their own. */
  readonly settings = new Map<string, Map<string, string>>();
  /** By `topic/partition`: offsets of records that compacting has taken out. */
  readonly #gone = new Map<string, Set<number>>();
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

  /** What `of` has, less what compacting has taken out. */
  present(topic: string, partition: number): KafkaRecord[] {
    const gone = this.#gone.get(`${topic}/${partition}`);
    return this.of(topic, partition).filter(({ offset }) => gone?.has(offset) !== true);
  }

  async ownTopicSettings(topic: string, names: readonly string[]): Promise<Map<string, string>> {
    return new Map([...(this.settings.get(topic) ?? [])].filter(([name]) => names.includes(name)));
  }

  async alterTopic(topic: string, changes: ReadonlyMap<string, string | null>): Promise<void> {
    const own = this.settings.get(topic) ?? new Map<string, string>();
    this.settings.set(topic, own);
    for (const [name, value] of changes) {
      if (value === null) own.delete(name);
      else own.set(name, value);
    }
  }

  /** As a broker's cleaner does: all but the newest record of each key go, if they do not stand at the end. */
  compact(): void {
    for (const [topic, own] of this.settings) {
      if (own.get("cleanup.policy")?.includes("compact") !== true) continue;
      for (let partition = 0; partition < this.#counts.get(topic)!; partition++) {
        const records = this.present(topic, partition).slice(0, -1);
        const newest = new Map(records.map(({ key, offset }) => [key!.toString("latin1"), offset]));
        const gone = this.#gone.get(`${topic}/${partition}`) ?? new Set();
        this.#gone.set(`${topic}/${partition}`, gone);
        for (const { key, offset } of records) if (newest.get(key!.toString("latin1")) !== offset) gone.add(offset);
      }
    }
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
      const gone = this.#gone.get(`${topic}/${partition}`);
      const there = gone === undefined ? all.slice(offset, offset + this.batchMax) : all.slice(offset);
      const records = there.filter((record) => gone?.has(record.offset) !== true).slice(0, this.batchMax);
      return {
        topic,
        partition,
        fromOffset: offset,
        records,
        nextOffset: records.length === 0 ? offset : records.at(-1)!.offset + 1,
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
