/**
 * Drift of what is served, as requests ask for it.
 */

/** As a request asks for a drift report; all but the service are texts of the caller. */
export interface DriftAsked {
  readonly service: string;
  readonly baseline?: string;
  readonly current?: string;
  /** "served" or "folded". */
  readonly of?: string;
  readonly measure?: string;
  readonly threshold?: number;
}

/** Answers are plain JSON. */
export interface DriftDesk {
  /** By names that mean one version, `fraud@1`. */
  services(): Promise<readonly string[]>;
  /** Throws `SERVICE_UNKNOWN`, `VALUES_MISSING`, `REQUEST_INVALID` and what reading either side throws. */
  report(asked: DriftAsked): Promise<object>;
  /** From now on the baseline of the service; null goes back to the week before. Throws as `report`. */
  choose(service: string, baseline: string | null): Promise<object>;
}
