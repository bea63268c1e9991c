/**
 * Features by what is known of them, as requests and commands ask for it.
 */

/** What they can be listed by, each a number. */
export const FEATURE_COLUMNS = ["importance", "drift", "cost", "usage"] as const;
export type FeatureColumnName = (typeof FEATURE_COLUMNS)[number];

/** Which of them alone: those whose values drift, those that nobody has need of, those that nobody has read. */
export const FEATURE_SELECTIONS = ["drifting", "useless", "unused"] as const;
export type FeatureSelection = (typeof FEATURE_SELECTIONS)[number];

export interface FeaturesAsked {
  /** The largest of the first come first, and of equal ones those of the next. Default: what the selection wants to know. */
  readonly by?: readonly FeatureColumnName[];
  readonly only?: FeatureSelection;
  /** Days that cost and usage look back upon, today among them. Default 30. */
  readonly days?: number;
  readonly entity?: string;
  readonly view?: string;
}

/** Answers are plain JSON. */
export interface FeatureListDesk {
  list(asked: FeaturesAsked): Promise<{ readonly features: readonly object[] }>;
}
