/**
 * The server under load: the built command line, `onefold serve`, on a core of its own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onCore, SERVER_CORE } from "../cores.ts";

const COMMAND = join(process.cwd(), "dist", "cli", "main.js");

export interface RunningServer {
  readonly pid: number;
  readonly httpPort: number;
  readonly respPort: number;
  /** Stops it in good order; with a profile, that is written then. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** The server writes a CPU profile there when it stops. */
  readonly profileFolder?: string | undefined;
  /** It serves from this Redis, and not from the data folder's states. */
  readonly online?: string | undefined;
  /** It copies its states to this Redis. */
  readonly publish?: string | undefined;
  /** Default the server's. */
  readonly core?: number | undefined;
}

export async function startServer(
  dataDir: string,
  { profileFolder, online, publish, core = SERVER_CORE }: ServerOptions = {},
): Promise<RunningServer> {
  const profiling = profileFolder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`];
  if (profileFolder !== undefined) await mkdir(profileFolder, { recursive: true });
  const serve = ["serve", "--data", dataDir, "--port", "0", "--resp-port", "0", "--json"];
  if (online !== undefined) serve.push("--online", online);
  if (publish !== undefined) serve.push("--publish", publish);
  const [program, ...args] = onCore(core, [process.execPath, ...profiling, COMMAND, ...serve]);
  // In the data folder, where no definitions file lies: these views need no code.
  const child = spawn(program!, args, { cwd: dataDir, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  process.once("exit", () => child.kill("SIGKILL"));
  const said = await Promise.race([
    once(createInterface({ input: child.stdout }), "line").then(([line]) => line as string),
    ended.then(() => null),
  ]);
  if (said === null) throw new Error(`onefold serve ended with ${child.exitCode} before it served`);
  const { url, resp_url } = JSON.parse(said) as { readonly url: string; readonly resp_url: string };
  return {
    pid: child.pid!,
    httpPort: Number(new URL(url).port),
    respPort: Number(new URL(resp_url).port),
    async stop() {
      child.kill("SIGINT");
      const [code] = (await ended) as [number | null];
      if (code !== 0) throw new Error(`onefold serve ended with ${code}`);
    },
  };
}
