/** What can be asked of the monitoring of a data folder's owner: desks whose calls are plain data. */
import type { AlertDesk } from "./alert-desk.ts";
import type { ImportanceDesk } from "./importance-desk.ts";

export interface MonitoringDesks {
  /** Absent where no alerts are judged. */
  readonly alerts?: AlertDesk;
  readonly importances?: ImportanceDesk;
}
