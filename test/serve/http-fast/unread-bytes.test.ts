import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BytesUnderWay } from "../../../src/serve/request-body.ts";
import { UnreadBytes } from "../../../src/serve/http-fast/unread-bytes.ts";

describe("unread bytes", () => {
  it("are those that came and were not read, in their order", () => {
    const steps = fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 50 }), fc.nat(60)), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (chunks) => {
        const unread = new UnreadBytes(new BytesUnderWay(1_000_000));
        let expected = Buffer.alloc(0);
        const given: { bytes: Buffer; copy: string }[] = [];
        for (const [chunk, read] of chunks) {
          expected = Buffer.concat([expected, chunk]);
          const bytes = unread.with(Buffer.from(chunk));
          given.push({ bytes, copy: bytes.toString("hex") });
          expect(bytes.toString("hex")).toBe(expected.toString("hex"));
          const start = Math.min(read, bytes.length);
          unread.keepFrom(bytes, start);
          expected = expected.subarray(start);
          expect(unread.length).toBe(expected.length);
          expect(unread.all().toString("hex")).toBe(expected.toString("hex"));
        }
        // What was handed out stays as it was.
        for (const { bytes, copy } of given) expect(bytes.toString("hex")).toBe(copy);
      }),
    );
  });

  it("of a sender of single bytes are one buffer", () => {
    const unread = new UnreadBytes(new BytesUnderWay(1_000_000));
    for (let i = 0; i < 10_000; i++) unread.keepFrom(unread.with(Buffer.from([i % 256])), 0);
    expect(unread.length).toBe(10_000);
    expect(unread.all().buffer.byteLength).toBeLessThan(20_001);
    unread.drop();
    expect(unread.length).toBe(0);
  });

  it("beyond some are taken from the account of all, and given back", () => {
    const account = new BytesUnderWay(100_000);
    const one = new UnreadBytes(account);
    const other = new UnreadBytes(account);
    one.keepFrom(one.with(Buffer.alloc(60_000)), 0);
    expect(one.isTooMuch).toBe(false);
    other.keepFrom(other.with(Buffer.alloc(10_000)), 0);
    expect(other.isTooMuch).toBe(false);
    other.keepFrom(other.with(Buffer.alloc(40_000)), 0);
    expect(other.isTooMuch).toBe(true);
    expect(other.length).toBe(50_000);
    one.drop();
    other.drop();
    expect(other.isTooMuch).toBe(false);
    expect(account.take(100_000)).toBe(true);
  });
});
