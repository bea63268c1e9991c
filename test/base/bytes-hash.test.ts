import { describe, expect, it } from "vitest";
import { bytesHash } from "../../src/base/bytes-hash.ts";

const hashOf = (text: string, seed: number): number => {
  const bytes = Buffer.from(`..${text}...`);
  return bytesHash(bytes, 2, bytes.length - 3, seed) >>> 0;
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
});
