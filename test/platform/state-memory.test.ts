import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { expect, it } from "vitest";
import { StateMemory } from "../../src/platform/state-memory.ts";

it("shares the memory for states out to the views, however many there come to be", () => {
  const memory = new StateMemory(1000);
  expect(memory.bytesPerView).toBe(1000);
  memory.viewCount = 4;
  expect(memory.bytesPerView).toBe(250);
  memory.viewCount = 0;
  expect(memory.bytesPerView).toBe(1000);
});

it("takes a quarter of what there is, and two fifths of what the heap may grow to, unless it is told", () => {
  const usual = new StateMemory();
  expect(usual.heapBytesMax / getHeapStatistics().heap_size_limit).toBeCloseTo(0.4);
  expect(usual.bytesMax).toBeGreaterThanOrEqual(usual.heapBytesMax);
  expect(usual.bytesMax).toBeLessThanOrEqual(Math.max(usual.heapBytesMax, totalmem() / 4));
  // Told, it takes no more wherever the states lie.
  expect(new StateMemory(1000)).toMatchObject({ bytesMax: 1000, heapBytesMax: 1000 });
});
