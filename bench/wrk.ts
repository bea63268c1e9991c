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
export async function runWrk({ port, requests, connections, seconds }: Load): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "onefold-wrk-"));
  try {
    const script = join(folder, "requests.lua");
    // JSON texts of ASCII are Lua texts too.
    const list = requests.map((request) => JSON.stringify(request)).join(",\n");
    await writeFile(
      script,
      `local requests = {${list}}\nlocal i = 0\nrequest = function() i = i + 1; return requests[i % #requests + 1] end\n`,
    );
    const url = `http://127.0.0.1:${port}/`;
    const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, url];
    const { stdout } = await runFile("wrk", args);
    const [, perSecond] = /Requests\/sec:\s+([\d.]+)/.exec(stdout) ?? [];
    if (perSecond === undefined || /Non-2xx|Socket errors/.test(stdout)) throw new Error(`wrk says:\n${stdout}`);
    return Number(perSecond);
  } finally {
    await rm(folder, { recursive: true });
  }
}
