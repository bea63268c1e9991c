/**
 * Where a random test begins. `ONEFOLD_SEED=n` runs again what a failure printed. `ONEFOLD_FIRST_SEED=n`, which
 * continuous integration sets, begins at the same place each time, so that a commit is judged by the same cases
 * however often it is run; without either, it begins anywhere.
 */
export function firstSeed(): number {
  const { ONEFOLD_SEED: asked, ONEFOLD_FIRST_SEED: first } = process.env;
  return Number(asked ?? first ?? Math.floor(Math.random() * 1e9));
}
