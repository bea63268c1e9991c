/** How well scores rank, and how sure one can be of it. */

/**
 * Area under the ROC curve: the chance that a late flight is ranked above one on time, a tie counting half.
 * By ranks (Mann-Whitney): (sum of the positives' mean ranks - P(P+1)/2) / (P N).
 */
export function areaUnderCurve(scores: Float64Array, labels: Float64Array): number {
  const order = Array.from(scores.keys()).sort((a, b) => scores[a]! - scores[b]!);
  let positives = 0;
  let rankSum = 0;
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++;
    const meanRank = (start + 1 + end) / 2;
    for (let i = start; i < end; i++) {
      if (labels[order[i]!] !== 1) continue;
      positives++;
      rankSum += meanRank;
    }
    start = end;
  }
  const negatives = order.length - positives;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** Standard error of an AUC after Hanley and McNeil (1982), from the numbers of positives and negatives. */
export function areaStandardError(area: number, positives: number, negatives: number): number {
  const twoPositives = area / (2 - area);
  const twoNegatives = (2 * area ** 2) / (1 + area);
  const variance =
    area * (1 - area) + (positives - 1) * (twoPositives - area ** 2) + (negatives - 1) * (twoNegatives - area ** 2);
  return Math.sqrt(variance / (positives * negatives));
}
