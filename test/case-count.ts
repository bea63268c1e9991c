/**
 * How many random cases a test runs: as many as it says; `ONEFOLD_CASES` in its place; or so large a part of them as
 * `ONEFOLD_CASES_SHARE` says, where the same cases have been run on another Node before (`npm run test:node24`).
 */
export function caseCount(usual: number): number {
  const { ONEFOLD_CASES: asked, ONEFOLD_CASES_SHARE: share } = process.env;
  return Number(asked ?? Math.ceil(usual * Number(share ?? 1)));
}
