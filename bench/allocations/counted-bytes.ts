/**
 * How many bytes of the heap some work allocates: counted in stretches so short that nothing is collected within them, since
 * what was collected cannot be counted. Of a buffer that is what stands for it on the heap, some 100 bytes.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options: { readonly type: "minor" }) => void;

const WARM_UP_CALLS = 15_000;
const STRETCHES = 41;
/** With a few kilobytes a call this is less than the youngest part of a heap holds. */
const CALLS = 200;

/** Bytes a call, the median of the stretches: once the engine has compiled what is called, and filled what it keeps. */
export function allocatedBytes(call: () => void): number {
  for (let i = 0; i < WARM_UP_CALLS; i++) call();
  const nothing = (): void => {};
  const ofCounting = median(stretches(nothing));
  return Math.max(0, (median(stretches(call)) - ofCounting) / CALLS);
}

function stretches(call: () => void): number[] {
  const counted: number[] = [];
  while (counted.length < STRETCHES) {
    collect({ type: "minor" });
    const before = inUse();
    for (let i = 0; i < CALLS; i++) call();
    counted.push(inUse() - before);
  }
  return counted;
}

function inUse(): number {
  return getHeapStatistics().used_heap_size;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
