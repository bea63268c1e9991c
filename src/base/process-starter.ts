/**
 * Processes that a small process starts for a large one. Whoever starts one is held up while the system copies its page
 * tables: 11 ms with 500 MB in memory, and more with more.
 *
 *     this process ◀──▶ starter-process, of a lower priority ◀──▶ what was started
 *
 * What is said goes through the small one, in order. It ends with this process, and what it has started with it. Should it
 * end by itself, so does what it has started, and from then on this process starts others itself.
 */
import type { ChildProcess } from "node:child_process";
import { programFile } from "./package-files.ts";
import { type StartedProcess, startHere } from "./started-process.ts";
import type { FromStarter, ToStarter } from "./starter-process.ts";
import { forkYielding, type Yielding } from "./yield-priority.ts";

const CLOSE_MS = 5000;

interface Listeners {
  message: (message: unknown) => void;
  starved: () => void;
  end: (how: string) => void;
}

export class ProcessStarter {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #processes = new Map<number, Listeners>();
  #nextId = 0;
  #hasEnded = false;

  private constructor(program: string) {
    this.#child = forkYielding(program);
    this.#child.on("message", (message: FromStarter) => this.#hear(message));
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.#hasEnded = true;
        for (const { end } of this.#processes.values()) end("the process that had started it ended");
        this.#processes.clear();
        resolve();
      };
      this.#child.once("exit", end);
      this.#child.once("error", () => {
        if (this.#child.pid === undefined) end();
      });
    });
    this.#holdThisProcess(false);
  }

  /** To be opened while this process is small. Null as `programFile`. */
  static open(): ProcessStarter | null {
    const program = programFile("base/starter-process");
    return program === null ? null : new ProcessStarter(program);
  }

  /** Of the lower priority that the small process has, or idle. */
  start(program: string, { isIdle = false }: Pick<Yielding, "isIdle"> = {}): StartedProcess {
    if (this.#hasEnded) return startHere(program, { isIdle });
    const id = this.#nextId++;
    const listeners: Listeners = { message: () => undefined, starved: () => undefined, end: () => undefined };
    this.#processes.set(id, listeners);
    this.#holdThisProcess(true);
    this.#tell({ kind: "start", id, program, isIdle });
    return {
      onMessage: (hear) => (listeners.message = hear),
      onStarved: (hear) => (listeners.starved = hear),
      onEnd: (hear) => (listeners.end = hear),
      send: (message) => this.#tell({ kind: "say", id, message }),
      letGo: () => this.#tell({ kind: "letGo", id }),
    };
  }

  async close(): Promise<void> {
    this.#holdThisProcess(true);
    if (this.#child.connected) this.#child.disconnect();
    // Node never closes a channel that is let go of in the middle of a message.
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #hear(message: FromStarter): void {
    const listeners = this.#processes.get(message.id);
    if (message.kind === "said") {
      listeners?.message(message.message);
      return;
    }
    if (message.kind === "starved") {
      listeners?.starved();
      return;
    }
    this.#processes.delete(message.id);
    if (this.#processes.size === 0) this.#holdThisProcess(false);
    listeners?.end(message.how);
  }

  #tell(message: ToStarter): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** While nothing was started this process may end without closing it. */
  #holdThisProcess(holds: boolean): void {
    if (holds) {
      this.#child.ref();
      this.#child.channel?.ref();
    } else {
      this.#child.unref();
      this.#child.channel?.unref();
    }
  }
}
