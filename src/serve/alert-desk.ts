/**
 * Alerts as the HTTP door and the command line see them. Names are those of the wire; plain data, so that a worker process
 * can pass a call on to the owner of the data folder.
 */

export interface ShownAlert {
  readonly rule: string;
  readonly severity: string | null;
  readonly phase: "inactive" | "pending" | "firing" | "resolved";
  /** RFC 3339. */
  readonly since: string;
  readonly seen: string;
  readonly silenced: boolean;
  readonly told_at: string | null;
  readonly found: Readonly<Record<string, unknown>>;
}

export interface ShownSource {
  /** A part of monitoring. */
  readonly name: string;
  /** RFC 3339; null before the first answer. */
  readonly answered_at: string | null;
  /** Times in a row that it failed, or did not answer. */
  readonly failures: number;
  readonly error: string | null;
}

export interface ShownSilence {
  readonly id: string;
  readonly rule: string | null;
  readonly subject: Readonly<Record<string, string | undefined>>;
  readonly until: string;
  readonly created_at: string;
  readonly by: string;
  readonly comment: string;
}

export interface ShownAlerts {
  /** When they were judged last; null before the first time. */
  readonly evaluated_at: string | null;
  readonly alerts: readonly ShownAlert[];
  readonly silences: readonly ShownSilence[];
  readonly sources: readonly ShownSource[];
  /** Notices that wait to be delivered. */
  readonly undelivered: readonly Readonly<Record<string, unknown>>[];
  /** Training sets that rules have asked for. */
  readonly trainings: readonly Readonly<Record<string, unknown>>[];
}

export interface ShownEvent {
  readonly sequence: number;
  readonly at: string;
  readonly event: string;
  readonly rule: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface SilenceRequest {
  readonly rule?: string;
  readonly source?: string;
  readonly view?: string;
  readonly feature?: string;
  readonly service?: string;
  readonly expectation?: string;
  /** RFC 3339, or a duration from now. */
  readonly until: string;
  readonly by: string;
  readonly comment?: string;
}

export interface HistoryRequest {
  readonly rule?: string;
  readonly event?: string;
  /** RFC 3339. */
  readonly since?: string;
  readonly limit?: number;
}

/** All of it may be asked from another process. */
export interface AlertDesk {
  list(): Promise<ShownAlerts>;
  /** The newest first. */
  history(request: HistoryRequest): Promise<readonly ShownEvent[]>;
  /** Throws `REQUEST_INVALID`, `TIME_INVALID`, `STORAGE_FAILED`. */
  silence(request: SilenceRequest): Promise<ShownSilence>;
  /** Ends it. Throws `SILENCE_UNKNOWN`. */
  unsilence(id: string): Promise<ShownSilence>;
  /** Sends a destination a notice that says nothing is wrong, now and once. Throws `DEFINITION_UNKNOWN`, `DELIVERY_FAILED`. */
  test(destination: string): Promise<{ readonly delivered: true; readonly notice_id: string }>;
}
