/**
 * How important its features are to a model, as models report it. Names are those of the wire; plain data.
 */

/** What a model says. */
export interface ImportanceReport {
  /** The fit that the model reads, or another version of the service; null where it has none. */
  readonly version: number | null;
  /** Several models may read one service. */
  readonly model: string;
  /** How it was measured, such as "gain", "permutation" or "shap". */
  readonly method: string;
  /** By the feature's name in the vector; any finite numbers, higher is more important. */
  readonly importances: Readonly<Record<string, number>>;
}

export interface ShownImportances extends ImportanceReport {
  readonly service: string;
  /** RFC 3339. */
  readonly reported_at: string;
}

/** All of it may be asked from another process. */
export interface ImportanceDesk {
  /** Takes the place of what the same model said of the same version. Throws `SERVICE_UNKNOWN`, `REQUEST_INVALID`, `STORAGE_FAILED`. */
  report(service: string, report: ImportanceReport): Promise<ShownImportances>;
  /** The newest first. Throws `SERVICE_UNKNOWN`. */
  of(service: string): Promise<readonly ShownImportances[]>;
}
