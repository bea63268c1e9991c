/** `onefold` as a process of its own: the command line, and a worker that is asked over HTTP how far it is. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export interface WorkerHealth {
  readonly routed: number;
  readonly folded: number;
  readonly archived: number;
  readonly duplicates: number;
  readonly dead_letters: number;
}

/** Where it runs is the project's folder. */
const COMMAND = ["dist/cli/main.js"];

/** Runs a command to its end. */
export async function runOnefold(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [...COMMAND, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`onefold ${args[0]} failed`);
}

export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #url: string;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.#url = url;
  }

  static async start(args: readonly string[]): Promise<WorkerProcess> {
    const child = spawn(process.execPath, [...COMMAND, "worker", ...args, "--port", "0", "--json"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface(child.stdout);
    const [line] = (await Promise.race([once(lines, "line"), once(child, "exit").then(() => [])])) as [string?];
    if (line === undefined) throw new Error("onefold worker did not start");
    // What else it says on stdout is why it ended.
    lines.on("line", (text) => console.error(text));
    return new WorkerProcess(child, (JSON.parse(line) as { readonly url: string }).url);
  }

  async health(): Promise<WorkerHealth> {
    if (this.#child.exitCode !== null) throw new Error("the worker has ended");
    const response = await fetch(`${this.#url}/health`).catch((cause: unknown) => {
      throw new Error("the worker does not answer", { cause });
    });
    return (await response.json()) as WorkerHealth;
  }

  /** Resolves with the health once it is so; looks again every `everyMs`. */
  async until(isSo: (health: WorkerHealth) => boolean, everyMs: number): Promise<WorkerHealth> {
    for (;;) {
      const health = await this.health();
      if (isSo(health)) return health;
      await sleep(everyMs);
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }
}
