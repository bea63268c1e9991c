/** `onefold serve`: the HTTP door, until it is told to stop. */
import { Command, Option } from "commander";
import { parsePort, parseShare } from "../option-values.ts";
import { createOutput, printServerError } from "../output.ts";
import { printWarnings } from "../purity/definition-warnings.ts";
import {
  hasDefinitions,
  requireCheckedDefinitions,
  type StandardOptions,
  withPlatformOf,
  withStandardOptions,
} from "../standard-options.ts";
import { nextStopSignal } from "../stop-signal.ts";

interface ServeOptions extends StandardOptions {
  readonly port: number;
  readonly host: string;
  readonly sample: number;
  readonly hotPath: boolean;
}

export function serveCommand(): Command {
  const command = new Command("serve")
    .description("serve events and feature vectors over HTTP")
    .addOption(new Option("--port <number>", "port; 0 takes a free one").default(8080).argParser(parsePort))
    .addOption(new Option("--host <address>", "address to listen on").default("127.0.0.1"))
    .addOption(
      new Option("--sample <share>", "share of the entities whose served vectors are kept for the audit, 0 to 1")
        .default(0.01)
        .argParser(parseShare),
    )
    .option("--no-hot-path", "answer every request through the HTTP framework, for comparison")
    .action(async (options: ServeOptions) => {
      const output = createOutput(options.json === true);
      const { definitions, warnings } = hasDefinitions(options)
        ? await requireCheckedDefinitions(options)
        : { definitions: [], warnings: [] };
      printWarnings(warnings, output);
      const settings = { servingLogSampleRate: options.sample, definitions };
      await withPlatformOf(options, "own-or-create", settings, async (platform) => {
        const server = await platform.serve({
          port: options.port,
          host: options.host,
          hotPath: options.hotPath,
          onError: (error, request) => printServerError(error, request, { debug: options.debug === true }),
        });
        const stopped = nextStopSignal();
        output.result(
          { url: server.url, data: options.data, warnings },
          () => `serving on ${server.url} (Ctrl-C stops)`,
        );
        await stopped;
        output.note("stopping: requests under way are finished, state is written");
        await server.close();
      });
    });
  return withStandardOptions(command);
}
