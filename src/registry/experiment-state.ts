/**
 * What experiments were told while they run, with who and when. It stands in the registry beside the definitions, so all
 * servers that share it follow.
 */
import type { ExperimentStep } from "../define/experiment-layout.ts";

export type RecordedStep = ExperimentStep & {
  /** RFC 3339. */
  readonly at: string;
  /** Who asked for it, as they named themselves; null of what was applied. */
  readonly by: string | null;
};

/** Weights to ramp to, or the variant, as `delay@2`, that all units are served from then on. */
export type ExperimentStepAsked = { readonly weights: readonly number[] } | { readonly serve: string };

export interface ExperimentState {
  readonly name: string;
  /** The first weights first. */
  readonly steps: readonly RecordedStep[];
}
