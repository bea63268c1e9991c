/** `onefold serve`: the HTTP door, and the RESP door beside it, until they are told to stop. */
import { Command, Option } from "commander";
import { parsePort, parseShare, parseMegabytes } from "../option-values.ts";
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
  readonly respPort?: number;
  readonly host: string;
  readonly sample: number;
  readonly hotPath: boolean;
  readonly keptVectors: number;
}

export function serveCommand(): Command {
  const command = new Command("serve")
    .description("serve events and feature vectors over HTTP and the Redis protocol")
    .addOption(new Option("--port <number>", "port; 0 takes a free one").default(8080).argParser(parsePort))
    .addOption(
      new Option(
        "--resp-port <number>",
        "port for Redis clients; 0 takes a free one (default: none; ONEFOLD_PASSWORD sets a password)",
      ).argParser(parsePort),
    )
    .addOption(new Option("--host <address>", "address to listen on").default("127.0.0.1"))
    .addOption(
      new Option("--sample <share>", "share of the entities whose served vectors are kept for the audit, 0 to 1")
        .default(0.01)
        .argParser(parseShare),
    )
    .addOption(
      new Option(
        "--kept-vectors <megabytes>",
        "memory for vectors that are answered again while nothing can have changed",
      )
        .default(128)
        .argParser(parseMegabytes),
    )
    .option("--no-hot-path", "answer every request through the HTTP framework, for comparison")
    .action(async (options: ServeOptions) => {
      const output = createOutput(options.json === true);
      const { definitions, warnings } = hasDefinitions(options)
        ? await requireCheckedDefinitions(options)
        : { definitions: [], warnings: [] };
      printWarnings(warnings, output);
      const keptVectorsBytes = options.keptVectors * 1024 * 1024;
      const settings = { servingLogSampleRate: options.sample, keptVectorsBytes, definitions };
      await withPlatformOf(options, "own-or-create", settings, async (platform) => {
        const doors: { close(): Promise<void> }[] = [];
        const onError = (error: unknown, request: string): void =>
          printServerError(error, request, { debug: options.debug === true });
        const { host, port, respPort, hotPath } = options;
        try {
          const server = await platform.serve({ port, host, hotPath, onError });
          doors.push(server);
          const resp =
            respPort === undefined
              ? null
              : await platform.serveResp({ port: respPort, host, onError, ...passwordFromEnvironment() });
          if (resp !== null) doors.push(resp);
          const stopped = nextStopSignal();
          const urls = resp === null ? { url: server.url } : { url: server.url, resp_url: resp.url };
          output.result({ ...urls, data: options.data, warnings }, () => {
            return `serving on ${Object.values(urls).join(" and ")} (Ctrl-C stops)`;
          });
          await stopped;
          output.note("stopping: requests under way are finished, state is written");
        } finally {
          await Promise.all(doors.map((door) => door.close()));
        }
      });
    });
  return withStandardOptions(command);
}

/** From there alone: a command line is there for all to read. */
function passwordFromEnvironment(): { readonly password?: string } {
  const password = process.env["ONEFOLD_PASSWORD"];
  return password === undefined ? {} : { password };
}
