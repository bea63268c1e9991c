/**
 * HTTP requests at a fixed rate, whatever the server does: the n-th is due at `start + n / rate`, and its latency
 * counts from then, also where it had to wait for a connection or for this process. So a server that stalls is
 * charged for every request that would have come meanwhile (Gil Tene calls leaving them out "coordinated
 * omission").
 *
 * The loop spins on the load's core, for a timer is a millisecond late and would be counted as the server's.
 */
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { systemClock } from "../../src/base/clock.ts";
import type { Micros } from "../../src/base/micros.ts";
import { quantileOf } from "./world.ts";

const CONNECTIONS = 64;
/** After the last request was due, for the answers that are still to come. */
const DRAIN_MS = 20_000;
const NOT_ANSWERED = -1;
const HEAD_END = Buffer.from("\r\n\r\n");

export interface OpenLoad {
  readonly port: number;
  readonly requestsPerSecond: number;
  readonly seconds: number;
  /** Path and body of the n-th request. */
  readonly request: (n: number) => { readonly path: string; readonly body: string };
  /** The answer to one request in so many is kept. */
  readonly keptOneIn: number;
  /** No more are sent once it is aborted. */
  readonly until?: AbortSignal;
  /** Told of each answer when its request was due, by `performance.now()`, and its latency. */
  readonly onAnswer?: (dueMs: number, latencyMs: number) => void;
}

export interface KeptAnswer {
  /** Which request it answers. */
  readonly n: number;
  readonly body: string;
  readonly askedAt: Micros;
  readonly heardAt: Micros;
}

export interface OpenLoadResult {
  /**
   * Milliseconds from when each request was due to when its answer was whole, ascending. A request that was never
   * answered has the time that it was waited for: it would have been more.
   */
  readonly latenciesMs: Float64Array;
  readonly answered: number;
  /** How late requests were sent that were due and had a connection: this process's own share of the latency. */
  readonly latenessP99Ms: number;
  readonly kept: readonly KeptAnswer[];
}

/** Rejects where an answer is not 200. */
export async function runOpenLoop(load: OpenLoad): Promise<OpenLoadResult> {
  const loop = new OpenLoop(load);
  return loop.run();
}

interface Sent {
  readonly n: number;
  readonly dueMs: number;
  readonly askedAt: Micros;
  readonly isKept: boolean;
}

class OpenLoop {
  readonly #load: OpenLoad;
  readonly #latenciesMs: Float64Array;
  readonly #latenessMs: number[] = [];
  readonly #kept: KeptAnswer[] = [];
  readonly #free: Connection[] = [];
  #answered = 0;
  #failure: Error | null = null;

  constructor(load: OpenLoad) {
    this.#load = load;
    this.#latenciesMs = new Float64Array(Math.floor(load.requestsPerSecond * load.seconds)).fill(NOT_ANSWERED);
  }

  async run(): Promise<OpenLoadResult> {
    const { port, requestsPerSecond, seconds, request, until } = this.#load;
    let count = this.#latenciesMs.length;
    const connections = await Promise.all(
      Array.from({ length: CONNECTIONS }, () =>
        Connection.open(port, {
          answered: (connection, sent, body) => this.#take(connection, sent, body),
          failed: (error) => (this.#failure ??= error),
        }),
      ),
    );
    this.#free.push(...connections);
    const startMs = performance.now() + 10;
    const deadlineMs = startMs + seconds * 1000 + DRAIN_MS;
    const dueMs = (n: number): number => startMs + (n * 1000) / requestsPerSecond;
    let next = 0;
    while (this.#answered < count && performance.now() < deadlineMs) {
      if (this.#failure !== null) throw this.#failure;
      if (until?.aborted === true) count = next;
      while (next < count && this.#free.length > 0 && dueMs(next) <= performance.now()) {
        const { path, body } = request(next);
        const connection = this.#free.pop()!;
        this.#latenessMs.push(performance.now() - Math.max(dueMs(next), connection.freeSinceMs));
        const isKept = next % this.#load.keptOneIn === 0;
        const sent = { n: next, dueMs: dueMs(next), askedAt: systemClock.now(), isKept };
        connection.send(sent, requestText(path, body));
        next++;
      }
      if (this.#free.length === CONNECTIONS && next < count) spinUntil(dueMs(next));
      await new Promise(setImmediate);
    }
    for (const connection of connections) connection.close();
    if (this.#answered < count) console.error(`${count - this.#answered} of ${count} requests were never answered`);
    const latenciesMs = this.#latenciesMs
      .subarray(0, count)
      .map((latencyMs, n) => (latencyMs === NOT_ANSWERED ? deadlineMs - dueMs(n) : latencyMs));
    return {
      latenciesMs: latenciesMs.sort(),
      answered: this.#answered,
      latenessP99Ms: quantileOf(Float64Array.from(this.#latenessMs).sort(), 0.99),
      kept: this.#kept,
    };
  }

  #take(connection: Connection, { n, dueMs, askedAt, isKept }: Sent, body: () => string): void {
    connection.freeSinceMs = performance.now();
    this.#latenciesMs[n] = connection.freeSinceMs - dueMs;
    this.#load.onAnswer?.(dueMs, connection.freeSinceMs - dueMs);
    this.#answered++;
    this.#free.push(connection);
    if (!isKept) return;
    this.#kept.push({ n, body: body(), askedAt, heardAt: systemClock.now() });
  }
}

/**
 * Nothing is to be heard meanwhile, so that turns of the event loop would be garbage alone: a hundred megabytes a
 * second of it. Others in this process (what pushes) still want one now and then.
 */
const SPIN_MAX_MS = 0.2;

function spinUntil(dueMs: number): void {
  const endMs = Math.min(dueMs, performance.now() + SPIN_MAX_MS);
  while (performance.now() < endMs);
}

function requestText(path: string, body: string): string {
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
  return `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

interface Listener {
  /** `body` is of an answer that is kept. */
  answered(connection: Connection, sent: Sent, body: () => string): void;
  failed(error: Error): void;
}

/** Answers are read into it, and looked at there: a buffer for each would be the load's work, and its garbage. */
const READ_BYTES = 256 * 1024;
const NO_BYTES: Buffer = Buffer.alloc(0);

/** One request at a time. */
class Connection {
  readonly #socket: Socket;
  readonly #listener: Listener;
  freeSinceMs: number = 0;
  #sent: Sent | null = null;
  /** What came of an answer's head, as long as that is not whole; all that came of an answer that is kept. */
  #bytes: Buffer[] = [];
  #received = 0;
  /** Of the whole answer, once its head is there; else infinite. */
  #expected: number = Number.POSITIVE_INFINITY;
  #bodyStart = 0;

  private constructor(port: number, listener: Listener) {
    this.#listener = listener;
    const callback = (length: number, buffer: Uint8Array): boolean => {
      this.#hear(Buffer.from(buffer.buffer, buffer.byteOffset, length));
      return true;
    };
    const onread = { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback };
    this.#socket = connect({ port, host: "127.0.0.1", onread }).setNoDelay(true);
    this.#socket.on("error", (error) => listener.failed(error));
    this.#socket.on("close", () => {
      if (this.#sent !== null) listener.failed(new Error("the server closed a connection that was asked something"));
    });
  }

  static async open(port: number, listener: Listener): Promise<Connection> {
    const connection = new Connection(port, listener);
    await once(connection.#socket, "connect");
    return connection;
  }

  send(sent: Sent, text: string): void {
    this.#sent = sent;
    this.#socket.write(text);
  }

  /** Whatever it still waits for. */
  close(): void {
    this.#sent = null;
    this.#socket.destroy();
  }

  /** `bytes` are good until the next are read. */
  #hear(bytes: Buffer): void {
    const sent = this.#sent!;
    const isHeadRead = this.#expected !== Number.POSITIVE_INFINITY;
    this.#received += bytes.length;
    if (sent.isKept || !isHeadRead) this.#bytes.push(bytes);
    if (!isHeadRead) this.#readHead();
    if (this.#received >= this.#expected) {
      const whole = sent.isKept ? Buffer.concat(this.#bytes) : NO_BYTES;
      const bodyStart = this.#bodyStart;
      this.#sent = null;
      this.#bytes = [];
      this.#received = 0;
      this.#expected = Number.POSITIVE_INFINITY;
      this.#listener.answered(this, sent, () => whole.toString("utf8", bodyStart));
    } else if (this.#bytes.length > 0) this.#bytes[this.#bytes.length - 1] = Buffer.from(bytes);
  }

  #readHead(): void {
    const bytes = this.#bytes.length === 1 ? this.#bytes[0]! : Buffer.concat(this.#bytes);
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = bytes.toString("latin1", 0, headEnd);
    const length = /content-length: (\d+)/i.exec(head)?.[1];
    if (!head.startsWith("HTTP/1.1 200") || length === undefined) {
      this.#listener.failed(new Error(`an answer that is none: ${bytes.toString("utf8", 0, 400)}`));
      return;
    }
    this.#bodyStart = headEnd + HEAD_END.length;
    this.#expected = this.#bodyStart + Number(length);
    if (!this.#sent!.isKept) this.#bytes = [];
  }
}
