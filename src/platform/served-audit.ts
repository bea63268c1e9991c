/** The vectors in a data folder's serving log, computed again and compared. */
import { join } from "node:path";
import { readServingLog } from "../schema/served-vector.ts";
import { audit } from "../training/audit.ts";
import type { AuditResult } from "../training/audit-result.ts";
import type { TrainingPorts } from "../training/ports.ts";
import type { AuditOptions } from "./platform-options.ts";

/** Throws as `audit` of `training/audit.ts`. */
export function auditServed(
  dataDir: string,
  ports: TrainingPorts,
  { onProgress, states: _states, ...rest }: AuditOptions,
): Promise<AuditResult> {
  return audit({
    ...rest,
    ports,
    vectors: readServingLog(join(dataDir, "serving-log")),
    ...(onProgress === undefined
      ? {}
      : { onProgress: ({ compared }) => onProgress({ phase: "values compared", done: compared, total: null }) }),
  });
}
