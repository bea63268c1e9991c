import { describe, expect, it } from "vitest";
import { ByteWords } from "../../src/base/bytes-hash.ts";

const words = new ByteWords();
const hashOf = (text: string, seed: number): number => {
  const bytes = Buffer.from(`..${text}...`);
  words.take(bytes, 2, bytes.length - 3);
  return words.hash(seed) >>> 0;
};

describe("the hash of bytes", () => {
  it("is MurmurHash3", () => {
    // As published beside the reference implementation (smhasher), and its copies.
    expect(hashOf("", 0)).toBe(0);
    expect(hashOf("", 1)).toBe(0x514e28b7);
    expect(hashOf("", 0xffffffff)).toBe(0x81f16f39);
    expect(hashOf("test", 0)).toBe(0xba6bd213);
    expect(hashOf("test", 0x9747b28c)).toBe(0x704b81dc);
    expect(hashOf("Hello, world!", 0)).toBe(0xc0363e43);
    expect(hashOf("Hello, world!", 0x9747b28c)).toBe(0x24884cba);
    expect(hashOf("The quick brown fox jumps over the lazy dog", 0)).toBe(0x2e4ff723);
    expect(hashOf("The quick brown fox jumps over the lazy dog", 0x9747b28c)).toBe(0x2fa826cd);
  });

  it("hangs on each byte: keys that differ by one digit anywhere hardly collide", () => {
    const seen = new Set<number>();
    const keys = 100_000;
    for (let i = 0; i < keys; i++) seen.add(hashOf(`a${String(i).padStart(12, "0")}`, 7));
    expect(seen.size).toBeGreaterThan(keys - 10);
  });

  it("is of words that are found where they were put, and nowhere else", () => {
    const there = new Int32Array(1000).fill(-1);
    for (const length of [0, 1, 3, 4, 5, 255, 256, 257, 3000]) {
      const bytes = Uint8Array.from({ length: length + 2 }, (_, i) => (7 * i + length) & 0xff);
      words.take(bytes, 1, length + 1);
      expect(words.byteLength).toBe(length);
      expect(words.length).toBe(Math.ceil(length / 4));
      words.putAt(there, 10);
      expect(words.areAt(there, 10)).toBe(true);
      expect(Buffer.from(there.buffer, 40, length)).toEqual(Buffer.from(bytes.buffer, 1, length));
      for (const i of [0, length >> 1, length - 1].filter((each) => each >= 0 && each < length)) {
        const other = bytes.slice();
        other[1 + i]! ^= 1;
        words.take(other, 1, length + 1);
        expect(words.areAt(there, 10), `byte ${i} of ${length}`).toBe(false);
      }
    }
  });
});
