import { describe, expect, it } from "vitest";
import { offHeapBytes, offHeapCells } from "../../src/base/off-heap.ts";

const MEGABYTE = 1024 * 1024;

describe("memory that lives long", () => {
  it("can be used as any other, and is no pressure on the heap", () => {
    const before = process.memoryUsage().external;
    const cells = offHeapCells((64 * MEGABYTE) / 8);
    const bytes = offHeapBytes(64 * MEGABYTE);
    expect(process.memoryUsage().external - before).toBeLessThan(16 * MEGABYTE);
    cells.fill(1.5);
    bytes.write("last", bytes.length - 4);
    expect(cells.at(-1)).toBe(1.5);
    expect(bytes.toString("utf8", bytes.length - 4)).toBe("last");
    expect(bytes[0]).toBe(0);
  });
});
