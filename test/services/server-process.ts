/**
 * A server that we start: ready when it says so, killed and started again at will, and gone when we are.
 *
 * One that is silent and not ready hangs: it is asked what it does, and killed (`startAnew` begins once more).
 *
 * Each has a folder of its own for its data and its output. It ends with the process that started it, however that
 * ends: a watcher waits at a pipe that closes with us, and then kills.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { NotStarted, startAnew } from "./start-anew.ts";
import { whyNotReady } from "./why-not-ready.ts";

const run = promisify(execFile);
/** A busy machine makes a start slow; one that hangs says nothing more. */
const SILENT_MS = 25_000;
const READY_MS = 120_000;
/** An image is fetched first, where it is not there yet. */
const CONTAINER_SILENT_MS = 120_000;
const GENTLE_MS = 10_000;
const DUMP_MS = 3000;
/** A signal reaches a container's first process alone; all of them are to stand still. */
const CONTAINER_SIGNALS: Partial<Record<NodeJS.Signals, readonly string[]>> = {
  SIGSTOP: ["pause"],
  SIGCONT: ["unpause"],
};

export interface ServerCommand {
  /** In messages: "redis-server". */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Its data and its output; removed when it is closed. */
  readonly folder: string;
  /** The user to run as, where that is not ours. */
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly env?: Readonly<Record<string, string>>;
  /** Set where `program` runs this container: signals go to what is in it. */
  readonly container?: string;
  /** What ends it in order, connections or not; SIGTERM unless said otherwise. */
  readonly endSignal?: NodeJS.Signals;
  /** What has it print what each of its threads does: SIGQUIT, to a JVM. */
  readonly dumpSignal?: NodeJS.Signals;
  /** It is taken to hang where it is not ready and has printed nothing for so long. */
  readonly silentMs?: number;
  /** Whether it answers; called until true. `output` is all it has printed since it was started. */
  isReady(output: string): boolean | Promise<boolean>;
}

/** What a test of faults needs of a server. All resolve once it is so. */
export interface Faults {
  /** SIGKILL: nothing is flushed, no connection is closed in order. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(): Promise<void>;
  /** SIGCONT. */
  resume(): Promise<void>;
  /**
   * Starts it on the same port and data, and waits until it is ready; one that runs is ended in order before. One that
   * hangs at its start is killed and started again.
   */
  restart(): Promise<void>;
}

export class ServerProcess implements Faults {
  readonly #command: ServerCommand;
  readonly #outputFile: string;
  #child: ChildProcess | null = null;
  #watcher: ChildProcess | null = null;

  private constructor(command: ServerCommand) {
    this.#command = command;
    this.#outputFile = join(command.folder, "output.log");
  }

  /**
   * Rejects with the end of its output where it ends before it is ready; with `NotStarted` where another has its port, it
   * was killed, or it hangs.
   */
  static async start(command: ServerCommand): Promise<ServerProcess> {
    const server = new ServerProcess(command);
    try {
      await server.#start({ hasBeenUp: false });
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** All that it has printed since it was last started. */
  output(): Promise<string> {
    return readFile(this.#outputFile, "utf8");
  }

  async kill(): Promise<void> {
    await this.#end("at once");
  }

  async pause(): Promise<void> {
    await this.#signalAll("SIGSTOP");
  }

  async resume(): Promise<void> {
    await this.#signalAll("SIGCONT");
  }

  async restart(): Promise<void> {
    await this.#end("in order");
    await startAnew(() => this.#start({ hasBeenUp: true }));
  }

  /** Ends it and removes its folder. */
  async close(): Promise<void> {
    await this.#end("at once");
    const removed = rm(this.#command.folder, { recursive: true, force: true, maxRetries: 5 });
    // What a container's own user has written may not be ours to remove.
    await (this.#command.container === undefined ? removed : removed.catch(() => undefined));
  }

  async #start({ hasBeenUp }: { readonly hasBeenUp: boolean }): Promise<void> {
    const { name, container } = this.#command;
    const silentMs = this.#command.silentMs ?? (container === undefined ? SILENT_MS : CONTAINER_SILENT_MS);
    const startedMs = performance.now();
    let child = this.#spawn();
    for (let heard = { bytes: 0, atMs: startedMs }; ;) {
      if (hasEnded(child)) {
        // What a killed server leaves (a child that has not noticed yet, a port) is gone a moment later.
        const isInUse = await this.#saysInUse();
        const isAgain = hasBeenUp && isInUse && performance.now() - startedMs < READY_MS;
        if (!isAgain) {
          const message = `${name} ended before it was ready (${child.signalCode ?? child.exitCode}):\n${await this.#lastOutput()}`;
          throw isInUse || child.signalCode !== null ? new NotStarted(message) : new Error(message);
        }
        await sleep(100);
        child = this.#spawn();
      }
      const output = await this.output();
      if (await this.#command.isReady(output)) return;
      const nowMs = performance.now();
      if (output.length !== heard.bytes) heard = { bytes: output.length, atMs: nowMs };
      if (nowMs - heard.atMs > silentMs || nowMs - startedMs > READY_MS) {
        const seconds = (ms: number): number => Math.round(ms / 1000);
        const silence = `for ${seconds(nowMs - heard.atMs)} s it has said nothing`;
        const message = `${name} is not ready after ${seconds(nowMs - startedMs)} s, ${silence}`;
        const seen = await this.#whatItDoes(child);
        await this.#end("at once");
        throw new NotStarted(`${message}:\n${seen}`);
      }
      await sleep(25);
    }
  }

  /** What it has said, at last of its threads, and what is to be seen of it. */
  async #whatItDoes(child: ChildProcess): Promise<string> {
    const { dumpSignal, folder } = this.#command;
    const seen = await whyNotReady(child.pid!, folder);
    if (dumpSignal !== undefined) {
      const before = (await this.output()).length;
      await this.#signal(child, dumpSignal);
      // It may take a moment to print, or hang too deep to hear.
      for (let waitedMs = 0; waitedMs < DUMP_MS && (await this.output()).length === before; waitedMs += 100) {
        await sleep(100);
      }
      await sleep(200);
    }
    const output = await this.output().catch(() => "");
    return `${seen}\nits output:\n${output.trimEnd()}`;
  }

  #spawn(): ChildProcess {
    const { program, args, folder, user, env, container } = this.#command;
    const output = openSync(this.#outputFile, "w");
    // In a group of its own: Ctrl-C in a terminal reaches us alone, who then end it in order.
    const child = spawn(program, args, {
      stdio: ["ignore", output, output],
      cwd: folder,
      detached: true,
      env: { ...process.env, ...env },
      ...user,
    });
    closeSync(output);
    child.on("error", () => undefined);
    // It does not keep a process alive that has no more to do.
    child.unref();
    this.#child = child;
    if (child.pid !== undefined) {
      const inContainer = container === undefined ? "" : `docker rm -f ${container}; `;
      // Nothing is ever written to it: reading ends when the pipe does.
      const end = `read -r nothing; ${inContainer}kill -9 -${child.pid}; rm -rf "$1"`;
      this.#endWatcher();
      this.#watcher = spawn("sh", ["-c", end, "watcher", folder], {
        stdio: ["pipe", "ignore", "ignore"],
        detached: true,
      });
      this.#watcher.stdin!.on("error", () => undefined);
      this.#watcher.unref();
      (this.#watcher.stdin as unknown as { unref(): void }).unref();
    }
    return child;
  }

  async #end(how: "in order" | "at once"): Promise<void> {
    const child = this.#child;
    if (child !== null && !hasEnded(child)) {
      child.ref();
      const ended = once(child, "exit");
      if (how === "in order") {
        // A paused one takes no other signal.
        await this.#signalAll("SIGCONT");
        await this.#signal(child, this.#command.endSignal ?? "SIGTERM");
        await Promise.race([ended, sleep(GENTLE_MS, undefined, { ref: false })]);
      }
      await this.#signalAll("SIGKILL");
      await ended;
    }
    this.#endWatcher();
  }

  #endWatcher(): void {
    this.#watcher?.kill("SIGKILL");
    this.#watcher?.stdin!.destroy();
    this.#watcher = null;
  }

  /** To it and to the processes that it has started. */
  async #signalAll(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || hasEnded(child)) return;
    const started = this.#command.container === undefined ? await descendants(child.pid) : [];
    await this.#signal(child, signal);
    for (const pid of started) send(pid, signal);
  }

  async #signal(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    const { container } = this.#command;
    if (container === undefined) {
      send(child.pid!, signal);
      return;
    }
    const how = CONTAINER_SIGNALS[signal] ?? ["kill", "--signal", signal];
    // It may have ended, or not be paused.
    await run("docker", [...how, container]).catch(() => undefined);
    if (signal === "SIGKILL") send(child.pid!, signal);
  }

  async #saysInUse(): Promise<boolean> {
    return /in use|lock file/i.test(await this.output());
  }

  async #lastOutput(): Promise<string> {
    const lines = (await this.output().catch(() => "")).trimEnd().split("\n");
    return lines.slice(-30).join("\n");
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself meanwhile.
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

/** The processes that a process has started, and those that they have. */
async function descendants(root: number): Promise<number[]> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,ppid="]);
  const pairs = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  const found: number[] = [];
  for (let parents = [root]; parents.length > 0;) {
    const next = pairs.filter(([, parent]) => parents.includes(parent)).map(([pid]) => pid);
    found.push(...next);
    parents = next;
  }
  return found;
}
