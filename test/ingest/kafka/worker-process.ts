/** `onefold worker` as a process that can be killed, paused and stopped. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cliPath } from "../../cli/run-cli.ts";
import type { KafkaSettings } from "../../../src/ingest/kafka/settings.ts";
import type { KafkaWorld } from "./kafka-world.ts";

export interface WorkerProcessOptions {
  readonly onlineUrl: string;
  readonly instanceId?: string;
  readonly archiveFolder?: string;
}

export interface WorkerStatus {
  readonly routed: number;
  readonly folded: number;
  readonly archived: number;
  readonly duplicates: number;
  readonly partitions: number;
  readonly trouble: { readonly code: string } | null;
}

export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #url: string;
  stderr = "";

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.#url = url;
  }

  /** Of a world, with its definitions, or of a file of definitions. */
  static async start(
    of: KafkaWorld | { readonly settings: KafkaSettings; readonly definitions: string },
    options: WorkerProcessOptions,
  ): Promise<WorkerProcess> {
    const { settings } = of;
    const [definitions, topic] =
      "source" in of
        ? [join(import.meta.dirname, "payments-definitions.ts"), of.source.kafka!.topic]
        : [of.definitions, ""];
    const args = [
      ["worker", "--json", "--port", "0"],
      ["--definitions", definitions],
      ["--kafka", settings.brokers.join(",")],
      ["--kafka-prefix", settings.prefix],
      ["--partitions", String(settings.partitionCount)],
      ["--session", `${settings.sessionMs}ms`],
      ["--online", options.onlineUrl],
      ...(options.instanceId === undefined ? [] : [["--instance-id", options.instanceId]]),
      ...(options.archiveFolder === undefined
        ? []
        : [
            [
              "--archive",
              options.archiveFolder,
              "--archive-every",
              "200ms",
              "--profile-every",
              "1",
              "--drift-sample",
              "1",
            ],
          ]),
    ].flat();
    const env = { ...process.env, ONEFOLD_TEST_TOPIC: topic };
    const child = spawn(process.execPath, [cliPath, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    const worker = await new Promise<WorkerProcess>((resolve, reject) => {
      let stderr = "";
      let stdout = "";
      child.stderr!.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      child.once("exit", (code) => reject(new Error(`the worker ended with ${code}: ${stdout}${stderr}`)));
      child.stdout!.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
        const started = /"url":"([^"]+)"/.exec(stdout);
        if (started !== null) resolve(new WorkerProcess(child, started[1]!));
      });
    });
    child.stderr!.on("data", (text: string) => (worker.stderr += text));
    return worker;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async status(): Promise<WorkerStatus> {
    const response = await fetch(`${this.#url}/health`);
    return (await response.json()) as WorkerStatus;
  }

  /** Resolves once `holds` does. */
  async until(holds: (status: WorkerStatus) => boolean, timeoutMs = 120_000): Promise<void> {
    for (const end = Date.now() + timeoutMs; ;) {
      const status = await this.status();
      if (holds(status)) return;
      if (Date.now() > end) throw new Error(`waited in vain: ${JSON.stringify(status)} ${this.stderr}`);
      await sleep(20);
    }
  }

  async kill(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    const ended = once(this.#child, "exit");
    this.#child.kill(signal);
    await ended;
    return this.#child.exitCode;
  }

  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }
}
