/** `onefold serve-worker`: one of the processes that `onefold serve --workers` starts; not meant to be typed. */
import { Command } from "commander";
import { collectLessOften, makeYoung } from "../collections.ts";
import { helpersYield } from "../helper-threads.ts";
import { printServerError } from "../output.ts";
import { hasDefinitions, requireDefinitions, type StandardOptions, withStandardOptions } from "../standard-options.ts";

export function serveWorkerCommand(): Command {
  const command = new Command("serve-worker")
    .description("a process of `serve --workers`, which starts it")
    .action(async (options: StandardOptions) => {
      makeYoung();
      const { serveAsWorker } = await import("../../platform/workers/serve-worker.ts");
      helpersYield();
      collectLessOften();
      await serveAsWorker({
        definitions: async () => (hasDefinitions(options) ? requireDefinitions(options) : []),
        onError: (error, request) => printServerError(error, request, { debug: options.debug === true }),
      });
    });
  return withStandardOptions(command);
}

/** The command line of a worker of a server that was started with these options. */
export function workerArguments({ definitions, debug }: StandardOptions): string[] {
  return [
    "serve-worker",
    ...(definitions === undefined ? [] : ["--definitions", definitions]),
    ...(debug === true ? ["--debug"] : []),
  ];
}
