/** `onefold dev`: values on a sample of history, again at every save. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import { Command, Option } from "commander";
import { systemClock } from "../../base/clock.ts";
import { asOnefoldError, OnefoldError } from "../../base/errors.ts";
import type { Platform } from "../../platform.ts";
import { stdoutClosed } from "../closed-output.ts";
import { DevSession } from "../dev-session.ts";
import { formatCycle, formatDrafts } from "../dev-text.ts";
import { parsePort } from "../option-values.ts";
import { createOutput, type Output, printError, printServerError } from "../output.ts";
import { localEventsOf, type PreviewInputs, withPreviewInputs } from "../preview-inputs.ts";
import { DEFINITIONS_FILE, noDefinitions, type StandardOptions, withStandardOptions } from "../standard-options.ts";
import { nextStopSignal } from "../stop-signal.ts";
import { FileWatch } from "../watch-files.ts";

interface DevOptions extends StandardOptions, PreviewInputs {
  readonly view: readonly string[];
  readonly serve?: true;
  readonly port: number;
  readonly once?: true;
}

type HttpServer = Awaited<ReturnType<Platform["serve"]>>;

export function devCommand(): Command {
  const command = new Command("dev")
    .description("watch the definitions file: at every save, preview its views and rebuild its drafts")
    .addOption(
      new Option("--view <name...>", "views to preview, as name or name@version (default: drafts, else what changed)")
        .default([], "")
        .argParser((name: string, before: readonly string[]) => [...before, name]),
    )
    .addOption(new Option("--serve", "serve the drafts over HTTP meanwhile").conflicts("events"))
    .addOption(new Option("--port <number>", "port of --serve; 0 takes a free one").default(8080).argParser(parsePort))
    .addOption(new Option("--once", "one cycle, without watching"))
    .action(async (options: DevOptions) => {
      const definitionsFile = resolve(options.definitions ?? DEFINITIONS_FILE);
      if (!existsSync(definitionsFile)) throw noDefinitions(definitionsFile);
      const session = new DevSession({
        definitionsFile,
        dataDir: options.data,
        ...(options.registry === undefined ? {} : { registry: options.registry }),
        views: options.view,
        entityCount: options.sample,
        localEvents: await localEventsOf(options),
        serves: options.serve === true,
      });
      const loop = new DevLoop(session, definitionsFile, options);
      try {
        if (options.once === true) await loop.cycle();
        else await loop.untilStopped();
      } finally {
        await loop.close();
      }
    });
  return withStandardOptions(withPreviewInputs(command));
}

class DevLoop {
  readonly #session: DevSession;
  readonly #file: string;
  readonly #options: DevOptions;
  readonly #output: Output;
  #cycles = 0;
  #server: HttpServer | null = null;

  constructor(session: DevSession, file: string, options: DevOptions) {
    this.#session = session;
    this.#file = file;
    this.#options = options;
    this.#output = createOutput(options.json === true);
  }

  /** A mistake is answered, and the next save waited for. */
  async untilStopped(): Promise<void> {
    const stopped = Promise.race([nextStopSignal(), once(stdoutClosed, "abort")]).then(() => false);
    const watch = new FileWatch();
    try {
      await watch.follow([this.#file], systemClock.now(), true);
      let goesOn = true;
      while (goesOn) {
        const began = systemClock.now();
        const broken = await this.#answeredCycle();
        const { files } = this.#session;
        await watch.follow([...files, ...(broken ?? [])], began, broken !== null);
        const count = files.length;
        const others = count === 1 ? "" : ` and ${count - 1} more`;
        this.#output.note(`watching ${relative(process.cwd(), this.#file)}${others} (Ctrl-C stops)\n`);
        goesOn = await Promise.race([stopped, watch.changed().then(() => true)]);
      }
    } finally {
      await watch.close();
    }
  }

  /** Throws what is wrong with the definitions. */
  async cycle(): Promise<void> {
    this.#cycles++;
    const cycle = await this.#session.look();
    this.#output.say(formatCycle(cycle));
    const drafts = await this.#output.withProgress("dev", (onProgress) => this.#session.applyDrafts(onProgress));
    if (drafts !== null) this.#output.say(formatDrafts(drafts));
    const served = this.#options.serve === true ? { url: (await this.#serve()).url } : {};
    this.#output.record({ cycle: this.#cycles, ...cycle, ...(drafts === null ? {} : { drafts }), ...served });
  }

  async close(): Promise<void> {
    await this.#server?.close();
    await this.#session.close();
  }

  /** Null after a good cycle, else the files that are said to be wrong. */
  async #answeredCycle(): Promise<string[] | null> {
    try {
      await this.cycle();
      return null;
    } catch (error) {
      const { code, where } = asOnefoldError(error);
      // Waiting for a save does not give the folder to this process.
      if (code === "STORAGE_LOCKED" || code === "DATA_FOLDER_MISSING" || code === "LISTEN_FAILED") throw error;
      printError(error, { json: this.#output.json, debug: this.#options.debug === true, cycle: this.#cycles });
      const file = where?.replace(/:\d+$/, "");
      return file !== undefined && isAbsolute(file) ? [file] : [];
    }
  }

  async #serve(): Promise<HttpServer> {
    if (this.#server !== null) return this.#server;
    const platform = await this.#session.owned();
    if (platform === null) throw new OnefoldError("INTERNAL", "there is no data folder to serve");
    this.#server = await platform.serve({
      port: this.#options.port,
      onError: (error, request) => printServerError(error, request, { debug: this.#options.debug === true }),
    });
    this.#output.note(`serving on ${this.#server.url}`);
    return this.#server;
  }
}
