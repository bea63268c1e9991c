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

it("takes two fifths of what the heap may grow to, unless it is told", () => {
  expect(new StateMemory().bytesMax / getHeapStatistics().heap_size_limit).toBeCloseTo(0.4);
});
