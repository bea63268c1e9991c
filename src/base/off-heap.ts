/**
 * Memory for what lives long, in large pieces whose owner bounds them.
 *
 * It is shared memory, though nobody shares it: V8 counts other buffers as pressure on the heap, and collects the whole
 * heap each time that they have grown by 64 MB since the last time. What is added to states is not garbage, and looking
 * for garbage then holds up everything for milliseconds.
 */

/** All zero. */
export function offHeapCells(count: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT));
}

/** All zero. */
export function offHeapBytes(count: number): Buffer {
  return Buffer.from(new SharedArrayBuffer(count));
}
