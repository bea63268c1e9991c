/** A server with two worker processes for tests, and what they ask of it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { childrenOf, commandOf } from "../processes.ts";

export interface Answer {
  readonly status: number;
  readonly body: Record<string, any>;
  readonly headers: IncomingHttpHeaders;
}

/** A connection of its own, which goes to one worker as long as it lasts. */
export class HttpConnection {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Null where the connection broke, or none came about. */
  async ask(method: string, path: string, body?: unknown): Promise<Answer | null> {
    return new Promise((resolve) => {
      const asked = request(`${this.#url}${path}`, { method, agent: this.#agent }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode!, body: parse(text), headers: response.headers }),
        );
        response.on("error", () => resolve(null));
      });
      asked.on("error", () => resolve(null));
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  vector(userId: string, more: object = {}): Promise<Answer | null> {
    return this.ask("POST", "/services/visitor/vector", { entities: { user_id: userId }, token: true, ...more });
  }

  push(rows: readonly object[]): Promise<Answer | null> {
    return this.ask("POST", "/events/visits", rows);
  }

  close(): void {
    this.#agent.destroy();
  }
}

export class VisitsServer {
  readonly child: ChildProcess;
  readonly url: string;
  readonly respUrl: string;
  readonly #controlUrl: string;
  readonly #errors: string[];

  private constructor(child: ChildProcess, said: Record<string, string>, errors: string[]) {
    this.child = child;
    this.url = said["url"]!;
    this.respUrl = said["respUrl"]!;
    this.#controlUrl = said["controlUrl"]!;
    this.#errors = errors;
  }

  static async start(dataDir: string): Promise<VisitsServer> {
    const script = fileURLToPath(new URL("fixtures/visits-owner.mjs", import.meta.url));
    const child = spawn(process.execPath, [script, dataDir], { stdio: ["ignore", "pipe", "pipe"] });
    const errors: string[] = [];
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk.toString()));
    let output = "";
    for await (const chunk of child.stdout) {
      output += String(chunk);
      if (output.includes("\n")) return new VisitsServer(child, JSON.parse(output) as Record<string, string>, errors);
    }
    throw new Error(`the server did not start: ${errors.join("")}`);
  }

  get errors(): string {
    return this.#errors.join("");
  }

  /** Has the owner do something; see the fixture. */
  async control(work: string, asked: object = {}): Promise<any> {
    const answer = await fetch(`${this.#controlUrl}/${work}`, { method: "POST", body: JSON.stringify(asked) });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${work}: ${text}`);
    return JSON.parse(text);
  }

  connect(): HttpConnection {
    return new HttpConnection(this.url);
  }

  /** Process ids of the workers that are there now. */
  workers(): number[] {
    // Not what starts processes of a backfill.
    return childrenOf(this.child.pid!).filter((pid) => !commandOf(pid).includes("starter-process"));
  }

  async ready(): Promise<void> {
    const connection = this.connect();
    const deadlineMs = performance.now() + 120_000;
    while ((await connection.ask("GET", "/ready"))?.status !== 200) {
      if (performance.now() > deadlineMs) throw new Error(`not ready: ${this.errors}`);
      await delay(50);
    }
    connection.close();
  }

  async stop(): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const ended = once(this.child, "exit");
    this.child.kill("SIGTERM");
    const [exitCode] = (await ended) as [number | null];
    return exitCode;
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { text };
  }
}
