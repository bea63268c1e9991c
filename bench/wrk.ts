/**
 * wrk as load generator: C, so that on few cores it takes less of the server's time than one in JavaScript.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Load } from "./http-load.ts";

const runFile = promisify(execFile);

export async function isInstalled(program: string): Promise<boolean> {
  return runFile("sh", ["-c", `command -v ${program}`]).then(
    () => true,
    () => false,
  );
}

/** Requests a second. Rejects where an answer is an error. */
export function runWrk({ port, requests, connections, seconds }: Load): Promise<number> {
  // JSON texts of ASCII are Lua texts too.
  const list = requests.map((request) => JSON.stringify(request)).join(",\n");
  const script = `local requests = {${list}}\nlocal i = 0\nrequest = function() i = i + 1; return requests[i % #requests + 1] end\n`;
  return runWrkScript({ port, connections, seconds, script });
}

export interface ScriptedLoad extends Pick<Load, "port" | "connections" | "seconds"> {
  /** Lua that sets the global `request` to a function that returns one whole request. */
  readonly script: string;
  /** What wrk is run under, as `taskset -c 1`. */
  readonly under?: readonly string[];
}

/** As `runWrk`, with requests that a script makes. */
export async function runWrkScript({ port, connections, seconds, script, under = [] }: ScriptedLoad): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "onefold-wrk-"));
  try {
    const file = join(folder, "requests.lua");
    await writeFile(file, script);
    const url = `http://127.0.0.1:${port}/`;
    const command = [...under, "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "30s", "-s", file, url];
    const { stdout } = await runFile(command[0]!, command.slice(1));
    const [, perSecond] = /Requests\/sec:\s+([\d.]+)/.exec(stdout) ?? [];
    if (perSecond === undefined || /Non-2xx|Socket errors/.test(stdout)) throw new Error(`wrk says:\n${stdout}`);
    return Number(perSecond);
  } finally {
    await rm(folder, { recursive: true });
  }
}
