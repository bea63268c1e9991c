/**
 * Data quality and skew as the HTTP door sees it: plain data, so that a worker process can pass a question on to the owner of the data
 * folder.
 */
export interface QualityPort {
  /** Expectations and profiles. Throws `DEFINITION_UNKNOWN`, `REQUEST_INVALID`. */
  quality(asked: { readonly name?: string; readonly day?: string }): Promise<object>;
  /** Rounds of the audit, newest first. */
  skew(asked: object): Promise<object>;
}
