/**
 * What a fetch brought of one partition, as its reader may see it: batches of records taken apart, without those of
 * transactions that were aborted, the marks that end transactions, and what stands before the place that was asked for
 * (a broker answers with whole batches).
 */
import type { FetchedPartition, KafkaRecord } from "./records.ts";

// Attributes of a batch (Kafka's protocol guide, "Record Batch").
const CONTROL_BATCH = 0b100000;
const TRANSACTIONAL_BATCH = 0b10000;
const APPEND_TIME_BATCH = 0b1000;

/** A batch as the wire has it: offsets and times of its records count from its first. */
export interface AnsweredBatch {
  readonly firstOffset: bigint;
  readonly lastOffsetDelta: number;
  readonly attributes: number;
  readonly firstTimestamp: bigint;
  readonly maxTimestamp: bigint;
  readonly producerId: bigint;
  readonly records: readonly {
    readonly timestampDelta: bigint;
    readonly offsetDelta: number;
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly headers: readonly (readonly [Buffer | null, Buffer | null])[];
  }[];
}

export interface AnsweredPartition {
  readonly partitionIndex: number;
  readonly highWatermark: bigint;
  /** End of what no open transaction holds back; below 0 where the broker does not say. */
  readonly lastStableOffset: bigint;
  readonly abortedTransactions: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[];
  readonly records?: readonly AnsweredBatch[];
}

/** `from`: what was asked for. */
export function fetchedPartition(topic: string, partition: AnsweredPartition, from: number): FetchedPartition {
  const { records: batches = [], abortedTransactions, lastStableOffset, highWatermark } = partition;
  const aborted = abortedTransactions.toSorted((a, b) => Number(a.firstOffset - b.firstOffset));
  const aborting = new Set<bigint>();
  const records: KafkaRecord[] = [];
  let nextOffset = from;
  for (const batch of batches) {
    while (aborted.length > 0 && aborted[0]!.firstOffset <= batch.firstOffset)
      aborting.add(aborted.shift()!.producerId);
    const end = Number(batch.firstOffset) + batch.lastOffsetDelta + 1;
    nextOffset = Math.max(nextOffset, end);
    if ((batch.attributes & CONTROL_BATCH) !== 0) {
      // The mark that ends a transaction.
      aborting.delete(batch.producerId);
      continue;
    }
    if ((batch.attributes & TRANSACTIONAL_BATCH) !== 0 && aborting.has(batch.producerId)) continue;
    for (const record of batch.records) {
      const offset = Number(batch.firstOffset) + record.offsetDelta;
      if (offset >= from) records.push(kafkaRecord(batch, record, offset));
    }
  }
  const endOffset = Number(lastStableOffset >= 0n ? lastStableOffset : highWatermark);
  return { topic, partition: partition.partitionIndex, fromOffset: from, records, nextOffset, endOffset };
}

function kafkaRecord(batch: AnsweredBatch, record: AnsweredBatch["records"][number], offset: number): KafkaRecord {
  const { key, value, headers, timestampDelta } = record;
  const isAppendTime = (batch.attributes & APPEND_TIME_BATCH) !== 0;
  const timestamp = isAppendTime ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta;
  return {
    offset,
    timestampMs: Number(timestamp),
    key,
    value,
    headers: () => new Map(headers.map(([name, text]) => [name?.toString() ?? "", text ?? Buffer.alloc(0)])),
  };
}
