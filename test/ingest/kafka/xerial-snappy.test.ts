import { describe, expect, it } from "vitest";
import { snappyDecompressor } from "../../../src/ingest/kafka/xerial-snappy.ts";

const header = Buffer.from("82534e41505059000000000100000001", "hex");
const framed = (...blocks: string[]): Buffer =>
  Buffer.concat([
    header,
    ...blocks.map((text) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)])),
  ]);
/** In the place of Snappy, which a test with a real broker has: what a block becomes shows where it began and ended. */
const decompress = snappyDecompressor((block) => Buffer.from(`<${block.toString()}>`));

describe("snappy of Java's clients", () => {
  it("is taken block by block; what has no frame is one block", () => {
    expect(decompress(framed("ab", "", "cde")).toString()).toBe("<ab><><cde>");
    expect(decompress(framed()).toString()).toBe("");
    expect(decompress(Buffer.from("plain")).toString()).toBe("<plain>");
  });

  it("is refused where it is cut short", () => {
    const whole = framed("abc");
    for (const length of [whole.length - 1, header.length + 2]) {
      expect(() => decompress(whole.subarray(0, length))).toThrow(RangeError);
    }
  });
});
