/** `onefold train-job`: a process of a server that builds training sets on request; not meant to be typed. */
import { Command } from "commander";
import type { TrainingJobsOptions } from "../../platform/training-jobs/training-jobs.ts";
import { programPath } from "../program-path.ts";
import { hasDefinitions, requireDefinitions, type StandardOptions, withStandardOptions } from "../standard-options.ts";

export function trainJobCommand(): Command {
  const command = new Command("train-job")
    .description("a process of a server that builds training sets, which starts it")
    .action(async (options: StandardOptions) => {
      const { runTrainingJob } = await import("../../platform/training-jobs/run-training-job.ts");
      await runTrainingJob({
        definitions: async () => (hasDefinitions(options) ? requireDefinitions(options) : []),
      });
    });
  return withStandardOptions(command);
}

/** What a server that was started with these options starts for a job. */
export function trainJobProgram({ definitions }: StandardOptions): Pick<TrainingJobsOptions, "module" | "arguments"> {
  return {
    module: programPath(),
    arguments: ["train-job", ...(definitions === undefined ? [] : ["--definitions", definitions])],
  };
}
