/** Records that are written once more: each by another key, unless its key stands for something. */
import { describe, expect, it } from "vitest";
import { isRecordKey } from "../../../src/ingest/kafka/record-keys.ts";
import type { NewRecord } from "../../../src/ingest/kafka/records.ts";
import { RepeatedSend } from "../../../src/ingest/kafka/repeated-send.ts";

const headers = new Map<string, string>();
const event: NewRecord = {
  topic: "t",
  partition: 0,
  key: Buffer.from("of1.AAAAAAAAAAAAAAAAAAAA.0"),
  value: Buffer.from("a"),
  headers,
  hasOwnKey: true,
};
const blank: NewRecord = {
  topic: "t",
  partition: 0,
  key: Buffer.from("of1.AAAAAAAAAAAAAAAAAAAA.1"),
  value: null,
  headers,
};

/** Fails so often, after it has written. */
async function keysOf(
  failures: number,
  mayHelp = true,
): Promise<{ keys: string[][]; failed: boolean; repeats: number }> {
  const keys: string[][] = [];
  let repeats = 0;
  const write = async (records: readonly NewRecord[]): Promise<void> => {
    keys.push(records.map(({ key }) => key!.toString()));
    if (keys.length <= failures) throw new Error("no answer");
  };
  const sending = { write, mayHelp: () => mayHelp, onRepeat: () => repeats++ };
  const failed = await new RepeatedSend().send([event, blank], sending, 0).then(
    () => false,
    () => true,
  );
  return { keys, failed, repeats };
}

describe("records that are written once more", () => {
  it("have other keys each time, but for those that stand in the place of others", async () => {
    const { keys, failed, repeats } = await keysOf(3);
    expect([keys.length, failed, repeats]).toEqual([4, false, 3]);
    const own = keys.map(([key]) => key!);
    expect(new Set(own).size).toBe(4);
    expect(own.every((key) => isRecordKey(Buffer.from(key)))).toBe(true);
    expect(new Set(keys.map(([, key]) => key))).toEqual(new Set([blank.key!.toString()]));
  });

  it("are given up after some attempts, and at once where that cannot help", async () => {
    expect(await keysOf(10)).toMatchObject({ failed: true, repeats: 3 });
    expect(await keysOf(10, false)).toMatchObject({ failed: true, repeats: 0 });
  });
});
