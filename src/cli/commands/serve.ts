/**
 * `onefold serve`: the HTTP door, and the RESP door beside it, until they are told to stop; in this process, or in
 * worker processes, each of which is this very command line with `serve-worker`.
 */
import { Command, Option } from "commander";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import type { Definition } from "../../define/definition.ts";
import type { Platform } from "../../platform.ts";
import type { PlatformOptions } from "../../platform/platform-options.ts";
import { type WorkerTableOptions, withWorkerTableOptions, workerTablesOf } from "../kafka-options.ts";
import { type OtlpCommandOptions, withOtlpOptions } from "../otlp-options.ts";
import { collectBriefly } from "../collections.ts";
import { helpersYield } from "../helper-threads.ts";
import { parseAmount, parseCount, parseInterval, parseMegabytes, parsePort, parseShare } from "../option-values.ts";
import { createOutput, printServerError } from "../output.ts";
import { programPath } from "../program-path.ts";
import { printWarnings } from "../purity/definition-warnings.ts";
import {
  DEFINITIONS_FILE,
  hasDefinitions,
  requireCheckedDefinitions,
  requireDefinitions,
  type StandardOptions,
  withPlatformOf,
  withStandardOptions,
} from "../standard-options.ts";
import { nextStopSignal } from "../stop-signal.ts";
import { type CallRoute, type Serving, withMetricsSent } from "../serving.ts";
import { servedText, serveStart } from "../serve-start.ts";
import { unappliedNote } from "../unapplied-note.ts";
import { workerArguments } from "./serve-worker.ts";
import { trainJobProgram } from "./train-job.ts";

interface ServeOptions extends StandardOptions, OtlpCommandOptions, WorkerTableOptions {
  readonly port: number;
  readonly respPort?: number;
  readonly host: string;
  readonly sample: number;
  readonly driftSample: number;
  readonly hotPath: boolean;
  readonly keptVectors?: number;
  readonly stateMemory?: number;
  readonly workers?: number;
  readonly publish?: string;
  readonly online?: string;
  readonly poll: boolean;
  readonly alerts: boolean;
  /** Microseconds. */
  readonly alertsEvery?: number;
  readonly trainingJobs: number;
  readonly trainingDisk?: number;
  readonly labelsFolder?: string;
  readonly backfillShare: number;
  readonly checkEvery: number;
  readonly auditEvery: number;
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
      new Option("--drift-sample <share>", "share of the served vectors that are looked at for drift, 0 to 1")
        .default(0.005)
        .argParser(parseShare),
    )
    .addOption(
      new Option(
        "--state-memory <megabytes>",
        "memory for states of entities that were read or changed lately, shared out to the views (default: a quarter of the memory there is)",
      ).argParser(parseMegabytes),
    )
    .addOption(
      new Option(
        "--kept-vectors <megabytes>",
        "memory for answers that are given again while nothing can have changed (default: an eighth of the heap)",
      ).argParser(parseMegabytes),
    )
    .addOption(
      new Option(
        "--workers <number>",
        "answer from so many processes, while this one takes in events and folds (default: answer from this one)",
      ).argParser(parseCount),
    )
    .addOption(
      new Option(
        "--publish <url>",
        "copy states to a Redis, for servers elsewhere: redis://host:port (ONEFOLD_REDIS_PASSWORD is its password)",
      ),
    )
    .addOption(
      new Option(
        "--online <url>",
        "serve from the states that another process publishes to a Redis: fold nothing, take no events",
      ).conflicts(["publish", "workers", "stateMemory", "trainingDisk", "labelsFolder"]),
    )
    .addOption(
      new Option("--training-jobs <number>", "training sets built at the same time on request; 0 builds none")
        .default(1)
        .argParser(parseAmount),
    )
    .addOption(
      new Option(
        "--training-disk <megabytes>",
        "what built training sets may take in the data folder (default: 8192)",
      ).argParser(parseMegabytes),
    )
    .option(
      "--labels-folder <folder>",
      "label files that a request may name by a path lie in this folder (default: none)",
    )
    .addOption(
      new Option(
        "--backfill-share <share>",
        "part of the time that computing views from history may take at most, and less where serving is busy, 0.01 to 1",
      )
        .default(0.3)
        .argParser(parseShare),
    )
    .option("--no-poll", "do not ask the APIs of polled sources, nor follow the schedules of batch sources")
    .addOption(
      new Option(
        "--check-every <seconds>",
        "judge expectations, and bring profiles up to date, so often; 0 never by itself (docs/quality.md)",
      )
        .default(60)
        .argParser(parseAmount),
    )
    .addOption(
      new Option(
        "--audit-every <minutes>",
        "compute what was served again, and compare it, so often; 0 never by itself",
      )
        .default(60)
        .argParser(parseAmount),
    )
    .option("--no-alerts", "judge no alerts")
    .addOption(
      new Option("--alerts-every <duration>", "from one judging of alerts to the next (default: 1m)").argParser(
        parseInterval,
      ),
    )
    .option("--no-hot-path", "answer every request through the HTTP framework, for comparison")
    .action(async (options: ServeOptions) => {
      collectBriefly();
      const output = createOutput(options.json === true);
      const { definitions, warnings } = hasDefinitions(options)
        ? await requireCheckedDefinitions(options)
        : { definitions: [], warnings: [] };
      printWarnings(warnings, output);
      const run = async (serving: Serving, unapplied: string | null = null): Promise<void> => {
        let failure: OnefoldError | null;
        try {
          const stopped = nextStopSignal().then(() => null);
          helpersYield();
          const { urls, request } = serving;
          const { data } = options;
          const start = await serveStart({ data, hasDefinitions: hasDefinitions(options), request });
          for (const note of start.notes) output.note(note);
          const differing = unapplied === null ? {} : { unapplied };
          output.result({ ...urls, data, ...start, warnings, ...differing }, () => {
            return `serving on ${Object.values(urls).join(" and ")}: ${servedText(start)} (Ctrl-C stops)`;
          });
          failure = await Promise.race([stopped, serving.failed]);
          output.note("stopping: requests under way are finished, state is written");
        } finally {
          await serving.close();
        }
        if (failure !== null) throw failure;
      };
      if (options.online !== undefined) return run(await serveFromStore(options, options.online));
      const settings = {
        servingLogSampleRate: options.sample,
        driftSampleRate: options.driftSample,
        ...keptVectors(options),
        poll: options.poll,
        alerts: alertSettings(options),
        ...trainingSettings(options),
        backfill: "behind" as const,
        ...checkSettings(options),
        ...workerTablesOf(options),
        backfillShare: Math.max(0.01, options.backfillShare),
        ...(options.stateMemory === undefined ? {} : { stateMemoryBytes: options.stateMemory * 1024 * 1024 }),
        ...(options.publish === undefined ? {} : publishing(options.publish, options.debug === true)),
        definitions: options.registry === undefined ? definitions : followedDefinitions(options, definitions),
        onRegistryTrouble: (trouble: OnefoldError | null): void => output.note(registryNote(trouble)),
      };
      await withPlatformOf(options, "own-or-create", settings, async (platform) => {
        const serving = await withMetricsSent(platform, options, () =>
          options.workers === undefined
            ? serveHere(platform, options)
            : serveByWorkers(platform, options, options.workers, output.note),
        );
        const desk = await openDesk(platform, options).catch((error: unknown) => {
          output.note(`other commands of this machine cannot ask this server: ${asOnefoldError(error).message}`);
          return { close: () => Promise.resolve() };
        });
        const unapplied = unappliedNote(platform, definitions);
        if (unapplied !== null) output.note(`note: ${unapplied}`);
        const close = (): Promise<void> => Promise.all([desk.close(), serving.close()]).then(() => undefined);
        await run({ ...serving, close }, unapplied);
      });
    });
  return withStandardOptions(withOtlpOptions(withWorkerTableOptions(command, ["online"])));
}

function trainingSettings(options: ServeOptions): Pick<PlatformOptions, "trainingJobs"> {
  const { trainingJobs: atOnce, trainingDisk, labelsFolder } = options;
  if (atOnce === 0) return {};
  return {
    trainingJobs: {
      ...trainJobProgram(options),
      atOnce,
      ...(trainingDisk === undefined ? {} : { keptBytesMax: trainingDisk * 1024 * 1024 }),
      ...(labelsFolder === undefined ? {} : { labelsFolder }),
    },
  };
}

function checkSettings(options: ServeOptions): Pick<PlatformOptions, "checkMillis" | "auditMillis" | "onCheckError"> {
  return {
    checkMillis: options.checkEvery * 1000,
    auditMillis: options.auditEvery * 60_000,
    onCheckError: (error) => printServerError(error, "checking quality", { debug: options.debug === true }),
  };
}

function alertSettings({ alerts, alertsEvery, debug }: ServeOptions): NonNullable<PlatformOptions["alerts"]> {
  if (!alerts) return false;
  return {
    ...(alertsEvery === undefined ? {} : { everyMicros: alertsEvery }),
    onTrouble: (error) => printServerError(error, "alerts", { debug: debug === true }),
  };
}

/** Where other commands ask it to register what they cannot. */
async function openDesk(platform: Platform, options: ServeOptions): Promise<{ close(): Promise<void> }> {
  const [{ openOwnerDesk }, { servedWorks }] = await Promise.all([
    import("../owner-desk.ts"),
    import("../served-works.ts"),
  ]);
  const file = hasDefinitions(options) ? (options.definitions ?? DEFINITIONS_FILE) : null;
  return openOwnerDesk(options.data, servedWorks(platform, file));
}

/** Those that were loaded, and from then on what the file says when another server has registered something. */
function followedDefinitions(
  options: StandardOptions,
  first: readonly Definition[],
): () => Promise<readonly Definition[]> {
  let isFirst = true;
  return async () => {
    if (!isFirst && hasDefinitions(options)) return requireDefinitions(options);
    isFirst = false;
    return first;
  };
}

function registryNote(trouble: OnefoldError | null): string {
  if (trouble === null) return "the registry is followed again";
  return `${trouble.code}: ${trouble.message}; what was registered before goes on being served`;
}

function keptVectors({ keptVectors: megabytes }: ServeOptions): { readonly keptVectorsBytes?: number } {
  return megabytes === undefined ? {} : { keptVectorsBytes: megabytes * 1024 * 1024 };
}

/** From the states that another process has published. */
async function serveFromStore(options: ServeOptions, url: string): Promise<Serving> {
  const { openOnlineServer } = await import("../../platform/online/online-server.ts");
  const password = redisPassword();
  const server = await openOnlineServer({
    dataDir: options.data,
    online: url,
    ...(options.registry === undefined ? {} : { registry: options.registry }),
    ...(password === undefined ? {} : { onlinePassword: password }),
    definitions: async () => (hasDefinitions(options) ? requireDefinitions(options) : []),
    servingLogSampleRate: options.sample,
    driftSampleRate: options.driftSample,
    ...keptVectors(options),
    onError: (error, work) => printServerError(error, work, { debug: options.debug === true }),
  });
  try {
    const serving = await withMetricsSent(server, options, () => serveHere(server, options));
    return {
      ...serving,
      close: async () => {
        await serving.close();
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

function publishing(publish: string, debug: boolean): Partial<PlatformOptions> {
  const password = redisPassword();
  return {
    publish,
    ...(password === undefined ? {} : { publishPassword: password }),
    onPublishError: (error) => printServerError(error, "publishing states", { debug }),
  };
}

async function serveHere(
  platform: Pick<Platform, "serve" | "serveResp" | "request">,
  options: ServeOptions,
): Promise<Serving> {
  const onError = (error: unknown, failed: string): void =>
    printServerError(error, failed, { debug: options.debug === true });
  const request: CallRoute = (method, path, body) => platform.request(method, path, body);
  const { host, port, respPort, hotPath } = options;
  const server = await platform.serve({ port, host, hotPath, onError });
  try {
    if (respPort === undefined)
      return { urls: { url: server.url }, request, failed: new Promise(() => {}), close: server.close };
    const resp = await platform.serveResp({ port: respPort, host, onError, ...passwordFromEnvironment() });
    return {
      urls: { url: server.url, resp_url: resp.url },
      request,
      failed: new Promise(() => {}),
      close: async () => {
        await Promise.all([server.close(), resp.close()]);
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function serveByWorkers(
  platform: Platform,
  options: ServeOptions,
  count: number,
  note: (line: string) => void,
): Promise<Serving> {
  const { host, port, respPort, hotPath } = options;
  const server = await platform.serveWorkers({
    count,
    module: programPath(),
    arguments: workerArguments(options),
    http: { host, port, hotPath },
    ...(respPort === undefined ? {} : { resp: { host, port: respPort, ...passwordFromEnvironment() } }),
    onRestart: ({ message }, delayMs) => note(`${message}; another is started in ${delayMs} ms`),
    onBack: (worker) => note(`worker ${worker} of ${count} serves again`),
  });
  const { url, respUrl, failed } = server;
  return {
    urls: { url, ...(respUrl === null ? {} : { resp_url: respUrl }) },
    request: (method, path, body) => platform.request(method, path, body),
    failed,
    close: () => server.close(),
  };
}

/** Where an address has none: a command line is there for all to read. */
function redisPassword(): string | undefined {
  return process.env["ONEFOLD_REDIS_PASSWORD"];
}

/** From there alone: a command line is there for all to read. */
function passwordFromEnvironment(): { readonly password?: string } {
  const password = process.env["ONEFOLD_PASSWORD"];
  if (password === "") {
    throw new OnefoldError("REQUEST_INVALID", "an empty password", {
      where: "ONEFOLD_PASSWORD in the environment",
      hint: "fill it in, or unset it to serve without a password",
    });
  }
  return password === undefined ? {} : { password };
}
