import { describe, expect, it } from "vitest";
import {
  type AnsweredBatch,
  type AnsweredPartition,
  fetchedPartition,
} from "../../../src/ingest/kafka/fetched-partition.ts";

const TRANSACTIONAL = 0b10000;
const CONTROL = 0b100000;
const APPEND_TIME = 0b1000;

/** A batch of `count` records whose values are their offsets. */
function batch(firstOffset: number, count: number, more: Partial<AnsweredBatch> = {}): AnsweredBatch {
  return {
    firstOffset: BigInt(firstOffset),
    lastOffsetDelta: count - 1,
    attributes: 0,
    firstTimestamp: 1000n,
    maxTimestamp: 9000n,
    producerId: -1n,
    records: Array.from({ length: count }, (_, offsetDelta) => ({
      timestampDelta: BigInt(offsetDelta),
      offsetDelta,
      key: null,
      value: Buffer.from(String(firstOffset + offsetDelta)),
      headers: [],
    })),
    ...more,
  };
}

function answer(records: readonly AnsweredBatch[], more: Partial<AnsweredPartition> = {}): AnsweredPartition {
  return {
    partitionIndex: 3,
    highWatermark: 100n,
    lastStableOffset: 90n,
    abortedTransactions: [],
    records,
    ...more,
  };
}

const offsets = (fetched: ReturnType<typeof fetchedPartition>): number[] => fetched.records.map(({ offset }) => offset);

describe("what a fetch brought of a partition", () => {
  it("begins where it was asked for, within a batch too, and goes on behind the last batch", () => {
    const fetched = fetchedPartition("payments", answer([batch(10, 5), batch(15, 2)]), 12);
    expect(fetched).toMatchObject({ topic: "payments", partition: 3, fromOffset: 12, nextOffset: 17, endOffset: 90 });
    expect(offsets(fetched)).toEqual([12, 13, 14, 15, 16]);
    expect(fetched.records.map(({ value }) => String(value))).toEqual(["12", "13", "14", "15", "16"]);
  });

  it("stays where it was asked for when nothing came, and ends at the high watermark where no stable end is told", () => {
    const { records: _none, ...empty } = answer([], { lastStableOffset: -1n });
    expect(fetchedPartition("payments", empty, 12)).toMatchObject({ records: [], nextOffset: 12, endOffset: 100 });
  });

  it("leaves out what an aborted transaction wrote until its mark, of that producer alone, and goes on behind it", () => {
    const [ours, other] = [{ producerId: 7n }, { producerId: 8n }];
    const fetched = fetchedPartition(
      "payments",
      answer(
        [
          batch(0, 2, { ...ours, attributes: TRANSACTIONAL }),
          batch(2, 2, { ...other, attributes: TRANSACTIONAL }),
          batch(4, 1, { ...ours, attributes: TRANSACTIONAL | CONTROL }),
          batch(5, 2, { ...ours, attributes: TRANSACTIONAL }),
          // The same producer without a transaction.
          batch(7, 1, ours),
          batch(8, 1, { ...other, attributes: TRANSACTIONAL | CONTROL }),
        ],
        { abortedTransactions: [{ producerId: 7n, firstOffset: 0n }] },
      ),
      0,
    );
    expect(offsets(fetched)).toEqual([2, 3, 5, 6, 7]);
    expect(fetched.nextOffset).toBe(9);
  });

  it("knows a transaction that was aborted again by the same producer, in whatever order they are told", () => {
    const ours = { producerId: 7n };
    const fetched = fetchedPartition(
      "payments",
      answer(
        [
          batch(0, 1, { ...ours, attributes: TRANSACTIONAL }),
          batch(1, 1, { ...ours, attributes: TRANSACTIONAL | CONTROL }),
          batch(2, 1, { ...ours, attributes: TRANSACTIONAL }),
          batch(3, 1, { ...ours, attributes: TRANSACTIONAL | CONTROL }),
          batch(4, 1, { ...ours, attributes: TRANSACTIONAL }),
        ],
        {
          abortedTransactions: [
            { producerId: 7n, firstOffset: 2n },
            { producerId: 7n, firstOffset: 0n },
          ],
        },
      ),
      0,
    );
    expect(offsets(fetched)).toEqual([4]);
  });

  it("dates records by their own time, or by their append where the topic stamps that", () => {
    const times = (attributes: number): number[] =>
      fetchedPartition("payments", answer([batch(0, 2, { attributes })]), 0).records.map(
        ({ timestampMs }) => timestampMs,
      );
    expect(times(0)).toEqual([1000, 1001]);
    expect(times(APPEND_TIME)).toEqual([9000, 9000]);
  });
});
