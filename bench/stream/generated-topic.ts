/**
 * A topic whose records are made when they are fetched, the same at each offset: first one of each account of the
 * partition, then accounts at random. So many entities need no broker that holds their events.
 */
import type { FetchedPartition, FetchFrom, KafkaRecord, NewRecord } from "../../src/ingest/kafka/records.ts";
import { KNOWN_TIME_HEADER, ORIGIN_HEADER } from "../../src/ingest/kafka/record-stamp.ts";
import { PARTITIONS, payment } from "./workload.ts";

const RECORDS_A_PARTITION = 500;
const START_MILLIS = Date.UTC(2026, 0, 1);

export class GeneratedTopic {
  readonly #accountsAPartition: number;
  /** Offset behind the last record that may be fetched, of every partition. */
  end = 0;

  constructor(accounts: number) {
    this.#accountsAPartition = accounts / PARTITIONS;
  }

  async fetch(from: readonly FetchFrom[]): Promise<FetchedPartition[]> {
    return from.map(({ topic, partition, offset }) => {
      const nextOffset = Math.min(this.end, offset + RECORDS_A_PARTITION);
      const records = Array.from({ length: Math.max(0, nextOffset - offset) }, (_, i) =>
        this.#record(partition, offset + i),
      );
      return { topic, partition, records, fromOffset: offset, nextOffset, endOffset: this.end };
    });
  }

  offsets(_topic: string, of: "start" | "end"): Promise<number[]> {
    return Promise.resolve(Array.from({ length: PARTITIONS }, () => (of === "start" ? 0 : this.end)));
  }

  send(records: readonly NewRecord[]): Promise<void> {
    if (records.length > 0) throw new Error("no event of this benchmark is refused");
    return Promise.resolve();
  }

  #record(partition: number, offset: number): KafkaRecord {
    const count = this.#accountsAPartition;
    const millis = START_MILLIS + offset;
    const random = payment(offset * PARTITIONS + partition, 2 ** 31, millis);
    const place = offset < count ? offset : (random.amount * 100 * 40_503 + offset) % count;
    const account = `a${partition}-${Math.floor(place)}`;
    const value = Buffer.from(JSON.stringify({ ...random, account }));
    const headers = new Map([
      [KNOWN_TIME_HEADER, Buffer.from(String(millis * 1000))],
      [ORIGIN_HEADER, Buffer.from(`source/${partition}/${offset}`)],
    ]);
    return { offset, timestampMs: millis, key: Buffer.from(account), value, headers: () => headers };
  }
}
