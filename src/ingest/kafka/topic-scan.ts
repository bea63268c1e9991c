/** Topics read from one place to another, whole: what a single look at all records takes. */
import { setTimeout as sleep } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import type { KafkaConnection } from "./connection.ts";
import { partitionName } from "./position.ts";
import type { KafkaRecord, TopicPartition } from "./records.ts";

export interface ScannedRange extends TopicPartition {
  readonly from: number;
  /** Behind the last record. */
  readonly to: number;
}

const WAIT_MS = 500;
/** Answers in a row that bring nothing of what is there. */
const EMPTY_MAX = 40;

/** Shows each record once, those of a partition in order. Throws `KAFKA_UNAVAILABLE`, `KAFKA_RECORDS_GONE`. */
export async function scanTopics(
  connection: Pick<KafkaConnection, "fetch">,
  ranges: readonly ScannedRange[],
  see: (at: TopicPartition, record: KafkaRecord) => void,
  onRead: (records: number) => void = () => {},
): Promise<void> {
  const places = new Map(
    ranges.flatMap((range) =>
      range.from < range.to ? [[partitionName(range.topic, range.partition), { ...range, offset: range.from }]] : [],
    ),
  );
  for (let empty = 0; places.size > 0;) {
    let read = 0;
    let isMoved = false;
    for (const { topic, partition, records, nextOffset, fromOffset } of await connection.fetch(
      [...places.values()],
      WAIT_MS,
      "scan",
    )) {
      const name = partitionName(topic, partition);
      const place = places.get(name)!;
      for (const record of records) {
        if (record.offset >= place.to) break;
        see({ topic, partition }, record);
        read++;
      }
      isMoved ||= nextOffset > fromOffset;
      if (nextOffset >= place.to) places.delete(name);
      else places.set(name, { ...place, offset: nextOffset });
    }
    onRead(read);
    empty = isMoved ? 0 : empty + 1;
    if (empty > EMPTY_MAX) {
      throw new OnefoldError("KAFKA_UNAVAILABLE", "records that are in topics are not handed out", {
        where: [...places.keys()].join(", "),
      });
    }
    await sleep(0);
  }
}

/** All that is in the topics now. */
export async function wholeRanges(
  connection: Pick<KafkaConnection, "offsets">,
  topics: readonly string[],
): Promise<ScannedRange[]> {
  const ranges: ScannedRange[] = [];
  for (const topic of topics) {
    const ends = await connection.offsets(topic, "end");
    const starts = await connection.offsets(topic, "start");
    for (const [partition, to] of ends.entries()) ranges.push({ topic, partition, from: starts[partition] ?? 0, to });
  }
  return ranges;
}
