/**
 * Many tests at once: of a hundred features that did not change, five have a p-value below 0.05.
 *
 * Benjamini and Hochberg's step-up procedure ("Controlling the False Discovery Rate", J. R. Stat. Soc. B 57, 1995) bounds
 * the expected share of false ones among those called significant, for tests that are independent or positively
 * dependent (Benjamini and Yekutieli, Ann. Stat. 29, 2001). Where nothing changed, that share is the probability that
 * any is called so at all. Holm's procedure bounds the latter always, and finds less where many features change at once,
 * as they do when a source changes.
 */

/**
 * Adjusted p-values, in the order given: each is the lowest false discovery rate at which it is significant. With the
 * m values in ascending order the i-th (from 1) becomes `min over j >= i of p_j * m / j`, and 1 at most. O(m log m).
 */
export function adjustedPValues(pValues: readonly number[]): number[] {
  const order = pValues.map((_, place) => place).sort((a, b) => pValues[b]! - pValues[a]!);
  const adjusted = Array.from<number>({ length: pValues.length });
  let least = 1;
  order.forEach((place, fromLargest) => {
    const rank = pValues.length - fromLargest;
    least = Math.min(least, (pValues[place]! * pValues.length) / rank);
    adjusted[place] = least;
  });
  return adjusted;
}
