/**
 * Prometheus: its checker, and a server with the configuration that a test gives it.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { inNewFolder, invoke, startable, startInNewFolder } from "./program.ts";
import { ServerProcess } from "./server-process.ts";

const run = promisify(execFile);

/**
 * What `promtool` prints; rejects with that where it finds a fault. `files` are written to the folder it runs in, `input` is
 * what it reads where it is told no file.
 */
export async function promtool(
  args: readonly string[],
  files: Readonly<Record<string, string>>,
  input = "",
): Promise<string> {
  const located = await startable("prometheus");
  return inNewFolder("promtool", async (folder) => {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const program = located.from === "installed" ? join(located.path, "promtool") : "promtool";
    const invoked = invoke(located, { program, args, folder });
    const running = run(invoked.program, [...invoked.args], { cwd: folder });
    running.child.stdin!.end(input);
    const { stdout, stderr } = await running;
    return stdout + stderr;
  });
}

export interface PrometheusServer {
  /** What its API answers under `/api/v1/`. */
  api(path: string): Promise<any>;
  close(): Promise<void>;
}

/** `files` stand beside the configuration. */
export async function startPrometheus(
  config: string,
  files: Readonly<Record<string, string>>,
): Promise<PrometheusServer> {
  const located = await startable("prometheus");
  return startInNewFolder("prometheus", async (folder) => {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const configFile = join(folder, "prometheus.yml");
    await writeFile(configFile, config);
    const port = await freePort();
    const program = located.from === "installed" ? join(located.path, "prometheus") : "prometheus";
    const args = [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const url = `http://127.0.0.1:${port}`;
    const server = await ServerProcess.start({
      name: "prometheus",
      folder,
      ...invoke(located, { program, args, folder }),
      isReady: async () => {
        const answer = await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(5000) }).catch(() => null);
        return answer?.ok ?? false;
      },
    });
    return {
      api: async (path) => (await fetch(`${url}/api/v1/${path}`)).json(),
      close: () => server.close(),
    };
  });
}
