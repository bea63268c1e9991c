import { describe, expect, it } from "vitest";
import { murmur2, partitionOfKey } from "../../../src/ingest/kafka/key-partition.ts";

/** From UtilsTest.java of Apache Kafka. */
const REFERENCE: Readonly<Record<string, number>> = {
  "21": -973932308,
  foobar: -790332482,
  "a-little-bit-long-string": -985981536,
  "a-little-bit-longer-string": -1486304829,
  lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
  abc: 479470107,
};

describe("the partition of a key", () => {
  it("is where Kafka's own clients place the key", () => {
    for (const [key, hash] of Object.entries(REFERENCE)) {
      expect(murmur2(Buffer.from(key)), key).toBe(hash);
      expect(partitionOfKey(Buffer.from(key), 12), key).toBe((hash & 0x7fffffff) % 12);
    }
  });
});
