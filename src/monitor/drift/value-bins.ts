/**
 * A distribution of numbers as counted bins: exact while few values differ, then as fine as its room allows.
 *
 * At level L a value's bin is the value with the L lowest bits of its float64 cleared, so towards zero: at level 0
 * a bin is one value, and each level joins pairs of neighbours (uniform collapse, as in Epicoco et al., "UDDSketch",
 * IEEE Access 8, 2020). The level is the lowest at which no more than so many bins are occupied. So the bins follow
 * what was added, not a resolution fixed beforehand: 280 to 300 fills them as well as 0.001 to 1000 does, which
 * DDSketch's fixed parts of a power of two (src/fold/quantile-sketch.ts) do not.
 *
 * The bins are a function of the set of values alone: merging is associative and commutative to the bit, and equals
 * counting the union.
 */
export interface ValueBins {
  readonly level: number;
  /** Of each occupied bin the value next to zero; ascending. */
  readonly keys: Float64Array;
  /** Values in each bin. */
  readonly counts: Float64Array;
}

/** Bins of a sketch. A feature and an hour of it take at most 16 bytes for each. */
export const VALUE_BINS_MAX = 1024;

/** Sign apart, a float64 has so many bits: at the last level all values share the bin of zero. */
const LEVEL_MAX = 63;

export const NO_VALUES: ValueBins = { level: 0, keys: new Float64Array(0), counts: new Float64Array(0) };

/** Counts finite numbers. `values` is sorted in place. */
export function binValues(values: Float64Array, binsMax: number): ValueBins {
  values.sort();
  const keys = new Float64Array(values.length);
  const counts = new Float64Array(values.length);
  let bins = 0;
  for (let i = 0; i < values.length; i++) {
    // -0 is 0
    const value = values[i]! + 0;
    if (bins > 0 && keys[bins - 1] === value) counts[bins - 1]!++;
    else {
      keys[bins] = value;
      counts[bins++] = 1;
    }
  }
  return fitted({ level: 0, keys: keys.slice(0, bins), counts: counts.slice(0, bins) }, binsMax);
}

/** Of the union of the values. Bins of either past `binsMax` are joined. */
export function mergeBins(a: ValueBins, b: ValueBins, binsMax: number): ValueBins {
  const level = Math.max(a.level, b.level);
  return fitted(union(coarsenTo(a, level), coarsenTo(b, level)), binsMax);
}

/** The same values in the bins of a level that is no lower than theirs. */
export function coarsenTo({ level, keys, counts }: ValueBins, target: number): ValueBins {
  if (level === target) return { level, keys, counts };
  const joined = new Float64Array(keys.length);
  const sums = new Float64Array(keys.length);
  let bins = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = clearedBits(keys[i]!, target);
    if (bins > 0 && joined[bins - 1] === key) sums[bins - 1]! += counts[i]!;
    else {
      joined[bins] = key;
      sums[bins++] = counts[i]!;
    }
  }
  return { level: target, keys: joined.slice(0, bins), counts: sums.slice(0, bins) };
}

/** The least and the greatest value that the bin of a key can hold. */
export function binRange(key: number, level: number): { readonly low: number; readonly high: number } {
  if (level === 0) return { low: key, high: key };
  const far = farthest(Math.abs(key), level);
  if (key === 0) return { low: -far, high: far };
  return key > 0 ? { low: key, high: far } : { low: -far, high: key };
}

/** How many values they are. */
export function countOf({ counts }: ValueBins): number {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i]!;
  return total;
}

function fitted(bins: ValueBins, binsMax: number): ValueBins {
  let fitting = bins;
  while (fitting.keys.length > binsMax) {
    // A level leaves at least half the bins, less one where both signs meet in zero: levels that cannot do are passed over.
    const step = Math.max(1, Math.floor(Math.log2(fitting.keys.length / (binsMax + 2))));
    fitting = coarsenTo(fitting, Math.min(LEVEL_MAX, fitting.level + step));
  }
  return fitting;
}

function union(a: ValueBins, b: ValueBins): ValueBins {
  const keys = new Float64Array(a.keys.length + b.keys.length);
  const counts = new Float64Array(keys.length);
  let [i, j, bins] = [0, 0, 0];
  while (i < a.keys.length || j < b.keys.length) {
    const left = i < a.keys.length ? a.keys[i]! : Number.POSITIVE_INFINITY;
    const right = j < b.keys.length ? b.keys[j]! : Number.POSITIVE_INFINITY;
    keys[bins] = Math.min(left, right);
    let count = 0;
    if (left <= right) count += a.counts[i++]!;
    if (right <= left) count += b.counts[j++]!;
    counts[bins++] = count;
  }
  return { level: a.level, keys: keys.slice(0, bins), counts: counts.slice(0, bins) };
}

const words = new Uint32Array(2);
const number = new Float64Array(words.buffer);
number[0] = 1;
/** Places of the low and the high 32 bits on this machine. */
const [LOW, HIGH] = words[0] === 0 ? [0, 1] : [1, 0];

/** -0 where only the sign is left becomes 0: small values of both signs share the bin of zero. */
function clearedBits(value: number, level: number): number {
  number[0] = value;
  words[LOW] = level >= 32 ? 0 : words[LOW]! & (-1 << level);
  if (level > 32) words[HIGH] = words[HIGH]! & (level >= 63 ? 0x80000000 : -1 << (level - 32));
  return number[0]! + 0;
}

/** The greatest value of no less size than `size` in its bin; the largest number there is where that has none. */
function farthest(size: number, level: number): number {
  number[0] = size;
  words[LOW] = level >= 32 ? 0xffffffff : words[LOW]! | ((1 << level) - 1);
  if (level > 32) words[HIGH] = words[HIGH]! | (level >= 63 ? 0x7fffffff : (1 << (level - 32)) - 1);
  return Number.isFinite(number[0]!) ? number[0]! : Number.MAX_VALUE;
}
