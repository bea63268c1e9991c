/**
 * How far the hours of a week are from the whole of it: what an effect has to exceed to be news.
 *
 * A test takes values for independent. Values that were served within an hour are not: a few busy entities, one time of day, one
 * day's weather. So an hour differs from its week by more than a test lets chance do, and does so hour after hour, though
 * nothing has changed. By how much, the week itself says, whose hours hang together in the same way. Of these effects a
 * high quantile is taken, not the greatest: some hours may have been unusual themselves.
 */
import { categoryCells } from "./cells.ts";
import { type DriftWindow, mergeWindows } from "./drift-window.ts";
import { missingDrift } from "./missing-drift.ts";
import { kolmogorovSmirnov } from "./numeric-measures.ts";
import type { Profile } from "./profile.ts";
import { jensenShannon } from "./share-measures.ts";

export interface UsualEffect {
  /** Of its values, and of how many are missing; 0 where too few hours say it. */
  readonly values: number;
  readonly missing: number;
}

/** By the feature's name. */
export type UsualEffects = ReadonlyMap<string, UsualEffect>;

/**
 * An effect is news from twice what is usual on; or from half way between that and the most there can be, so that there is
 * always room for it.
 */
export function newsFrom(usual: number, most: number): number {
  return Math.min(2 * usual, (usual + most) / 2);
}

const QUANTILE = 0.95;
/** Fewer hours say nothing. */
const HOURS_MIN = 24;

export class UsualHours {
  readonly #whole: ReadonlyMap<string, Profile>;
  readonly #samplesMin: number;
  readonly #effects = new Map<string, { readonly values: number[]; readonly missing: number[] }>();

  /** `samplesMin`: hours of fewer values are passed over. */
  constructor(whole: DriftWindow, samplesMin: number) {
    this.#whole = new Map(whole.features.map(({ name, profile }) => [name, profile]));
    this.#samplesMin = samplesMin;
  }

  /** Windows of one hour of the whole, which may be several: of fits, or of processes. */
  add(hour: readonly DriftWindow[]): void {
    for (const { name, profile } of mergeWindows(hour).features) {
      const whole = this.#whole.get(name);
      if (whole === undefined || whole.kind !== profile.kind) continue;
      const effects = this.#effects.get(name) ?? { values: [], missing: [] };
      this.#effects.set(name, effects);
      if (profile.count >= this.#samplesMin) effects.values.push(effectOf(whole, profile));
      if (profile.count + profile.missing >= this.#samplesMin) {
        effects.missing.push(missingDrift(whole, profile).effect);
      }
    }
  }

  usual(): UsualEffects {
    return new Map(
      Array.from(this.#effects, ([name, { values, missing }]) => [
        name,
        { values: quantileOf(values), missing: quantileOf(missing) },
      ]),
    );
  }
}

/** As `featureDrift` has it. */
function effectOf(whole: Profile, hour: Profile): number {
  if (whole.kind === "numeric" && hour.kind === "numeric") return kolmogorovSmirnov(whole, hour).value;
  if (whole.kind === "category" && hour.kind === "category") return jensenShannon(categoryCells(whole, hour)).value;
  return 0;
}

function quantileOf(effects: readonly number[]): number {
  if (effects.length < HOURS_MIN) return 0;
  return effects.toSorted((a, b) => a - b)[Math.ceil(QUANTILE * effects.length) - 1]!;
}
