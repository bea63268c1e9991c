/** What was seen of an experiment's shadow, as one process tells another: plain data. */
import type { ErrorCode } from "../../base/errors.ts";
import type { ShadowPair } from "./shadow-tally.ts";

export type ShadowNews = {
  readonly experiment: string;
  /** `service@version`: what was served, and what was computed beside it. */
  readonly served: string;
  readonly shadow: string;
} & (
  | { readonly pair: ShadowPair }
  /** It could not be computed. */
  | { readonly failed: ErrorCode }
  /** So many were not computed, as too many waited. */
  | { readonly dropped: number }
);
