/**
 * What latencies are read beside: a bare socket of Node on the server's core that answers each request with the same bytes,
 * as many as the server's head and body have, without looking at it. What it takes at the same rate is the machine's and the load's own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { onCore, SERVER_CORE } from "../cores.ts";
import { type OpenLoad, type OpenLoadResult, runOpenLoop } from "./open-loop.ts";

/** For what the server under test still has to do of what came before. */
const SETTLE_MS = 1000;

export class EmptyServer {
  readonly #port: number;
  readonly #stop: () => void;

  private constructor(port: number, stop: () => void) {
    this.#port = port;
    this.#stop = stop;
  }

  /** It answers with so many bytes, head and body together. */
  static async start(answerBytes: number): Promise<EmptyServer> {
    const program = new URL("./serving/empty-server-process.mjs", import.meta.url).pathname;
    const [command, ...args] = onCore(SERVER_CORE, [process.execPath, program, String(answerBytes)]);
    const child = spawn(command!, args, { stdio: ["ignore", "pipe", "inherit"] });
    process.once("exit", () => child.kill());
    const [port] = (await once(child.stdout, "data")) as [Buffer];
    return new EmptyServer(Number(port.toString()), () => void child.kill());
  }

  /** The same requests as the server under test gets. */
  async ask(load: Pick<OpenLoad, "requestsPerSecond" | "seconds" | "request">): Promise<OpenLoadResult> {
    const { requestsPerSecond, seconds, request } = load;
    await sleep(SETTLE_MS);
    return runOpenLoop({ port: this.#port, requestsPerSecond, seconds, request, keptOneIn: Number.MAX_SAFE_INTEGER });
  }

  stop(): void {
    this.#stop();
  }
}
