/**
 * One worker process, from its start to its end, as the owner sees it.
 *
 * Workers share listening sockets by `node:cluster`: each takes connections from them itself (`SCHED_NONE`), so that
 * the owner is on nobody's way, however busy it is, and a connection that no worker has taken yet waits for another
 * worker when one dies.
 */
import cluster, { type Worker } from "node:cluster";
import { OnefoldError } from "../../base/errors.ts";
import { type Answers, AskLink } from "./ask-link.ts";
import { errorFromWire } from "../../base/wire-error.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Message, WorkerSettings } from "./messages.ts";
import type { MetricValues } from "../../monitor/metrics/prometheus.ts";

/** What a worker runs: a module that calls `serveAsWorker`. */
export interface WorkerProgram {
  readonly module: string;
  readonly arguments: readonly string[];
}

const COUNTS_MILLIS_MAX = 1000;
/** A worker that takes longer is stuck. */
const WORK_MILLIS_MAX = 30_000;

export class WorkerProcess {
  readonly link: AskLink;
  /** Resolves once it serves; rejects where it ends before. */
  readonly warm: Promise<void>;
  /** Resolves once it has ended, with why: its own word for it, or how the system puts it. */
  readonly ended: Promise<OnefoldError>;
  readonly #worker: Worker;
  /** What is said to it before is lost. */
  #isListening = false;
  #isWarm = false;
  #isGone = false;
  #failure: OnefoldError | null = null;
  readonly #heartbeat = new Heartbeat(() => this.link.ask("alive", null));
  #lastCounted: MetricValues = [];

  constructor(program: WorkerProgram, settings: WorkerSettings, answers: Answers) {
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    // The program is that of the next fork: another platform of this process may have had another.
    cluster.setupPrimary({ exec: program.module, args: [...program.arguments], serialization: "advanced" });
    this.#worker = cluster.fork();
    this.link = new AskLink((message) => this.send(message), {
      ...answers,
      settings: async () => {
        this.#isListening = true;
        return settings;
      },
    });
    let nowWarm!: () => void;
    const warm = new Promise<void>((resolve) => (nowWarm = resolve));
    this.#worker.on("message", (message: Message) => {
      this.#heartbeat.heard();
      if (this.link.receive(message)) return;
      if (message.kind === "warm") {
        this.#isWarm = true;
        nowWarm();
      }
      if (message.kind === "failed") this.#failure = errorFromWire(message.error);
      if (message.kind === "counted") this.#lastCounted = message.values;
    });
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#isGone = true;
        const error = this.#failure ?? new OnefoldError("WORKERS_FAILED", `a worker ended: ${how}`);
        this.link.close(new OnefoldError("NOT_READY", "the worker has ended"));
        resolve(error);
      };
      // Its last words may come in after its end, and have been read when all its channels are closed. That is also so where it
      // ended between getting a listening port and saying so, after which Node never says that it is disconnected.
      const closed = new Promise<void>((done) => this.#worker.process.once("close", () => done()));
      this.#worker.once("exit", (code, signal) => void closed.then(() => end(signal ?? `exit code ${code}`)));
      // A process that could not be started has no end of its own.
      this.#worker.on("error", (error) => (this.#worker.process.pid === undefined ? end(error.message) : undefined));
    });
    this.warm = Promise.race([warm, this.ended.then((error) => Promise.reject(error))]);
    // Not everybody waits for it.
    this.warm.catch(() => undefined);
  }

  get isWarm(): boolean {
    return this.#isWarm && !this.#isGone && !this.#worker.isDead();
  }

  /** Never throws; what is said to one that has gone is lost. */
  send(message: Message): void {
    if (this.#worker.isConnected()) this.#worker.send(message, () => undefined);
  }

  /** To be called once in `BEAT_MILLIS`: ends it where it serves, and is stuck. */
  beat(): void {
    if (!this.isWarm || !this.#heartbeat.beat()) return;
    this.#failure ??= new OnefoldError("WORKERS_FAILED", "a worker has not had a turn for half a minute", {
      hint: "look for a function of the definitions that does not end, and at the memory the machine has",
    });
    this.kill();
  }

  /** What it has counted, by its last word where it does not answer soon. */
  async counted(): Promise<MetricValues> {
    if (this.isWarm) {
      const asked = within(COUNTS_MILLIS_MAX, this.link.ask("metricValues", null));
      this.#lastCounted = await asked.catch(() => this.#lastCounted);
    }
    return this.#lastCounted;
  }

  /** Resolves once it serves what is registered now; where it does not take that up, it is ended. */
  async reload(): Promise<void> {
    // One that listens later reads the registry later, too.
    if (!this.#isListening || this.#isGone) return;
    await within(WORK_MILLIS_MAX, this.link.ask("reload", null)).catch(() => this.kill());
  }

  /** Resolves once what it has served so far is in the serving log; what it had not written at its end is lost. */
  async flushServingLog(): Promise<void> {
    if (!this.isWarm) return;
    await within(WORK_MILLIS_MAX, this.link.ask("flushServingLog", null)).catch(() => undefined);
  }

  /** Resolves once what it saw so far is with the owner. */
  async flushDrift(): Promise<void> {
    if (!this.isWarm) return;
    await within(WORK_MILLIS_MAX, this.link.ask("flushDrift", null)).catch(() => undefined);
  }

  /** Lets it finish what it is at. */
  stop(): void {
    if (this.#isListening) this.send({ kind: "stop" });
    else this.kill();
  }

  /** Ends it now. */
  kill(): void {
    if (!this.#isGone) this.#worker.process.kill("SIGKILL");
  }
}

/** Rejects with `CALL_TIMED_OUT` where `work` takes longer. */
function within<T>(millisMax: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new OnefoldError("CALL_TIMED_OUT", `a worker did not answer in ${millisMax} ms`));
    const timer = setTimeout(late, millisMax);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
