/**
 * Upper bounds of the buckets that times are counted in, in seconds.
 *
 * Six a decade, each at most 1.5 times the one before: a quantile read from the buckets lies in the bucket that the
 * true one lies in, so it is off by half at most, at the 99.9th percentile as at the median.
 */
const STEPS: readonly number[] = [1, 1.5, 2.2, 3.3, 4.7, 6.8];

/** From `from` to `to`, both powers of ten. */
function decades(from: number, to: number): number[] {
  const bounds: number[] = [];
  for (let power = from; power < to; power++) for (const step of STEPS) bounds.push(Number(`${step}e${power}`));
  bounds.push(Number(`1e${to}`));
  return bounds;
}

/** Of what is answered: from 10 microseconds to 10 s. */
export const ANSWER_SECONDS: number[] = decades(-5, 1);
/** Of what is written and folded: from 100 microseconds to 100 s. */
export const WORK_SECONDS: number[] = decades(-4, 2);
/** Of what is asked of others: from 10 ms to 1000 s. */
export const POLL_SECONDS: number[] = decades(-2, 3);
