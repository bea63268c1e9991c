/** States of a commit in blocks: as they were added, until the commit that has them is done. */
import { describe, expect, it } from "vitest";
import { StoredBlocks } from "../../src/online-store/stored-block.ts";
import { fromStored } from "../../src/online-store/stored-state.ts";

const KIB = 1024;

function state(number: number, length: number): { epoch: number; offset: number; bytes: Uint8Array } {
  return { epoch: number, offset: -number / 3, bytes: new Uint8Array(length).fill(number % 251) };
}

interface Added {
  readonly stored: Buffer;
  readonly number: number;
  readonly length: number;
}

function isKept({ stored, number, length }: Added): boolean {
  const { epoch, offset, bytes } = fromStored(stored);
  const given = state(number, length);
  return epoch === given.epoch && offset === given.offset && Buffer.compare(bytes, given.bytes) === 0;
}

describe("states of a commit", () => {
  it("are as they were added, however large, while later commits are made", () => {
    const blocks = new StoredBlocks();
    const under: Added[] = [];
    const taken: (readonly Buffer[])[] = [];
    let number = 0;
    for (let commit = 0; commit < 6; commit++) {
      for (const length of [0, 1, 700, 100 * KIB, 256 * KIB - 12, 256 * KIB, 300 * KIB, 5]) {
        number++;
        under.push({ stored: blocks.add(state(number, length)), number, length });
      }
      taken.push(blocks.take());
    }
    for (const each of under) expect(isKept(each)).toBe(true);
    // Those of a commit that is done are used for the next.
    blocks.reuse(taken[0]!);
    const next = blocks.add(state(1, 10));
    expect(taken[0]!.some((block) => block.buffer === next.buffer)).toBe(true);
    for (const each of under.slice(8)) expect(isKept(each)).toBe(true);
  });
});
