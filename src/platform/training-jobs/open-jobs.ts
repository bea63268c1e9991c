/**
 * The training jobs of a platform that owns its data folder, and what they need of it.
 */
import { planTraining } from "../../training/training-plan.ts";
import type { PlatformOptions } from "../platform-options.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import type { SourceRuntimes } from "../source-runtimes.ts";
import { openTrainingPorts } from "../training-ports.ts";
import { TrainingJobs } from "./training-jobs.ts";

/** Null where no program is named that builds sets. `registryFolder`: where the registry is read, as workers read it. */
export async function openTrainingJobs(
  context: RuntimeContext,
  sources: SourceRuntimes,
  registryFolder: string,
  { trainingJobs, memoryBytes }: Pick<PlatformOptions, "trainingJobs" | "memoryBytes">,
): Promise<TrainingJobs | null> {
  if (trainingJobs === undefined) return null;
  const ports = openTrainingPorts(context, sources);
  const { dataDir, clock, workerTables } = context;
  return TrainingJobs.open(
    {
      dataDir,
      registryFolder,
      clock,
      ...(workerTables === undefined ? {} : { workerTables }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      sourcesOf: ({ service, fit }) => {
        const { views } = planTraining(ports, service, fit);
        return [...new Set(views.map(({ view }) => view.source.name))];
      },
      archive: async (source) => {
        // Asked before: what is closed now is in the archive then.
        const closedUpTo = ports.closedUpTo(source);
        await ports.archive(source);
        return closedUpTo;
      },
    },
    trainingJobs,
  );
}
