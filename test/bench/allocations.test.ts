/** What the hot path allocates for a vector is bounded: `npm run bench -- allocations` prints how much it is. */
import { beforeAll, describe, expect, it } from "vitest";
import { allocatedBytes } from "../../bench/allocations/counted-bytes.ts";
import { type Allocation, hotPathAllocations } from "../../bench/allocations/hot-path.ts";

const kept: { last: unknown } = { last: null };

describe("allocated bytes", () => {
  it("are counted to the object", () => {
    // Three words of a head, and a member; a list of two, its head and that of its elements.
    expect(allocatedBytes(() => void (kept.last = { a: 1 }))).toBeCloseTo(32, -1);
    expect(allocatedBytes(() => void (kept.last = [kept, kept]))).toBeCloseTo(64, -1);
    expect(allocatedBytes(() => void (kept.last = new Uint8Array(1000)))).toBeGreaterThan(80);
    expect(allocatedBytes(() => void (kept.last = null))).toBe(0);
  });
});

describe("a request for a vector", () => {
  let found: readonly Allocation[];
  beforeAll(async () => {
    found = await hotPathAllocations();
    console.log(JSON.stringify(found));
  });

  it("allocates no more than it may, in process and at each door, read and kept", () => {
    expect(found.map(({ name }) => name)).toContain("resp-fget-kept");
    expect(found.filter(({ bytes, bytesMax }) => bytes > bytesMax)).toEqual([]);
  });
});
