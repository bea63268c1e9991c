/**
 * Dead letters, as requests ask for them.
 */

/** Which open letters are meant; of several members all must apply. */
export interface LettersAsked {
  readonly code?: string;
  /** `name@version`. */
  readonly view?: string;
  readonly ids?: readonly string[];
}

/** Answers are plain JSON. Each throws `SOURCE_UNKNOWN`. */
export interface LetterDesk {
  /** Oldest first: `dead_letters`, and how many older ones were `dropped`. */
  list(asked: LettersAsked & { readonly source?: string; readonly limit: number }): Promise<object>;
  /** Pushes them again, without `ids` all of the source. */
  replay(source: string, ids?: readonly string[]): Promise<object>;
  /** Marks them as seen to, for good. Throws `REQUEST_INVALID` where nothing is said of which. */
  resolve(source: string, asked: LettersAsked): Promise<object>;
}
