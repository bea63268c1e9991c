/**
 * The options every command takes, and how a command gets from them to its work. The platform and the
 * loader are imported when they are first needed: `--help` and `init` do without their native packages.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { Definition } from "../define/definition.ts";
import type { Platform } from "../platform.ts";
import type { PlatformOptions } from "../platform/platform-options.ts";
import type { LoadedDefinitions } from "./load-definitions.ts";
import { DATA_FOLDER } from "./make-way.ts";
import type { OnProgress } from "./progress.ts";
import type { Impurity } from "./purity/find-impurities.ts";

export const DEFINITIONS_FILE = "features.ts";

export interface StandardOptions {
  readonly data: string;
  /** Undefined where none was given: then `features.ts` is used if it is there. */
  readonly definitions?: string;
  /** URL of a shared registry. May have a password in it: never printed. */
  readonly registry?: string;
  readonly json?: true;
  readonly debug?: true;
}

/** Adds the standard options, after the command's own. */
export function withStandardOptions(command: Command): Command {
  return command
    .addOption(new Option("--data <folder>", "the platform's data folder").default(DATA_FOLDER))
    .addOption(new Option("--definitions <file>", `definitions file (default: ${DEFINITIONS_FILE}, if it is there)`))
    .addOption(
      new Option("--registry <url>", "PostgreSQL that holds the registry of several servers").env("ONEFOLD_REGISTRY"),
    )
    .addOption(new Option("--json", "print one JSON object on stdout, and nothing else there"))
    .addOption(new Option("--debug", "print the stack of an error"));
}

/** Definitions of the file that was named, or of `features.ts`. Throws `DEFINITION_UNREADABLE`. */
export async function requireDefinitions(options: StandardOptions): Promise<Definition[]> {
  return (await load(options)).definitions;
}

/** As `requireDefinitions`, with what is impure in their functions. */
export async function requireCheckedDefinitions(
  options: StandardOptions,
): Promise<{ readonly definitions: Definition[]; readonly warnings: Impurity[] }> {
  const loaded = await load(options);
  const [{ definitionWarnings }, { DOOR_URL }] = await Promise.all([
    import("./purity/definition-warnings.ts"),
    import("./load-definitions.ts"),
  ]);
  return { definitions: loaded.definitions, warnings: await definitionWarnings(loaded, DOOR_URL) };
}

async function load(options: StandardOptions): Promise<LoadedDefinitions> {
  const file = resolve(options.definitions ?? DEFINITIONS_FILE);
  if (!existsSync(file)) throw noDefinitions(file);
  const { loadDefinitions } = await import("./load-definitions.ts");
  return loadDefinitions(file);
}

/** Whether a file was named, or `features.ts` is there. */
export function hasDefinitions(options: StandardOptions): boolean {
  return options.definitions !== undefined || existsSync(resolve(DEFINITIONS_FILE));
}

export function noDefinitions(file: string): OnefoldError {
  return new OnefoldError("DEFINITION_UNREADABLE", `there is no definitions file ${file}`, {
    hint: "name it with --definitions FILE, or start a project with: onefold init FOLDER",
  });
}

/**
 * `own`: takes the data folder's lock, and folds. `read`: what is on disk, beside whoever owns the folder.
 * `own-or-read`: owns it if it is free, so that what is read is complete to the end of the log. All of these
 * refuse a folder in which nothing was registered, which is most likely a mistyped one; `own-or-create` makes
 * it, and `read-or-empty` goes on without one.
 */
export type Access = "own" | "own-or-create" | "read" | "read-or-empty" | "own-or-read";

/**
 * Access to register something: as given, but where several servers share the registry that alone is opened, and
 * the servers build.
 */
export function accessToRegister(options: StandardOptions, alone: Access): Access {
  return options.registry === undefined ? alone : "read-or-empty";
}

export function withPlatform<T>(
  options: StandardOptions,
  access: Access,
  work: (platform: Platform) => Promise<T>,
): Promise<T> {
  return withPlatformOf(options, access, {}, work);
}

/** As `withPlatform`, with settings of the platform beside the standard options; definitions given are not loaded again. */
export async function withPlatformOf<T>(
  options: StandardOptions,
  access: Access,
  settings: Omit<PlatformOptions, "dataDir" | "mode" | "create">,
  work: (platform: Platform) => Promise<T>,
): Promise<T> {
  const definitions = settings.definitions ?? (hasDefinitions(options) ? await requireDefinitions(options) : []);
  const registry = options.registry === undefined ? {} : { registry: options.registry };
  const platform = await open({ ...settings, ...registry, dataDir: options.data, definitions }, access);
  try {
    return await work(platform);
  } finally {
    await platform.close();
  }
}

/** What is asked of the server that owns the data folder, in place of the work. */
export interface AskedOfOwner {
  readonly work: string;
  readonly asked: object;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Does the work as the owner of the data folder, or has the server do it that owns it. Throws `STORAGE_LOCKED` where neither can be. */
export async function asOwner<T>(
  options: StandardOptions,
  access: Access,
  settings: Omit<PlatformOptions, "dataDir" | "mode" | "create">,
  { work: name, asked, onProgress = () => {}, signal }: AskedOfOwner,
  work: (platform: Platform) => Promise<T>,
): Promise<T> {
  try {
    return await withPlatformOf(options, access, settings, work);
  } catch (error) {
    if (!isOnefoldError(error) || error.code !== "STORAGE_LOCKED") throw error;
    const { askOwner } = await import("./owner-desk.ts");
    const answered = await askOwner<T>(options.data, name, asked, onProgress, signal);
    if (answered === null) throw error;
    return answered.done;
  }
}

async function open(settings: PlatformOptions, access: Access): Promise<Platform> {
  const { openPlatform } = await import("../platform.ts");
  try {
    return await openPlatform({
      ...settings,
      mode: access === "read" || access === "read-or-empty" ? "read" : "own",
      create: access === "own-or-create" || access === "read-or-empty",
    });
  } catch (error) {
    const isLocked = isOnefoldError(error) && error.code === "STORAGE_LOCKED";
    if (isLocked && access === "own-or-read") return openPlatform({ ...settings, mode: "read" });
    throw error;
  }
}
