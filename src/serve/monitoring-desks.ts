/** What can be asked of a data folder's owner, most of it of its monitoring: desks whose calls are plain data. */
import type { AlertDesk } from "./alert-desk.ts";
import type { DriftDesk } from "./drift-desk.ts";
import type { FeatureListDesk } from "./feature-list-desk.ts";
import type { ExperimentDesk } from "./experiment-desk.ts";
import type { ImportanceDesk } from "./importance-desk.ts";
import type { LetterDesk } from "./letter-desk.ts";
import type { QualityPort } from "./quality-port.ts";
import type { VersionDesk } from "./version-desk.ts";

export interface MonitoringDesks {
  /** Absent where no alerts are judged. */
  readonly alerts?: AlertDesk;
  readonly importances?: ImportanceDesk;
  readonly quality?: QualityPort;
  readonly drift?: DriftDesk;
  readonly experiments?: ExperimentDesk;
  /** Absent where nothing can be registered. */
  readonly versions?: VersionDesk;
  readonly features?: FeatureListDesk;
  /** Absent where no events are taken in. */
  readonly letters?: LetterDesk;
}
