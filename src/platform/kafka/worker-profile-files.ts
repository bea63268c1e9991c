/** Where profiles of what workers on Kafka fold lie: beside their tables. */
import { join } from "node:path";
import type { SourceDefinition, ViewDefinition } from "../../define/definition.ts";
import { ProfileFiles } from "../../monitor/quality/profile-files.ts";
import { profileFolder } from "../../monitor/quality/profiler.ts";

/** `folder`: of the tables. */
export function workerProfileFiles(folder: string, subject: SourceDefinition | ViewDefinition): ProfileFiles {
  return new ProfileFiles(join(folder, "monitor", "quality", profileFolder(subject)));
}
