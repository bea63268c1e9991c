/**
 * HTTP requests at a fixed rate, whatever the server does: the n-th is due at `start + n / rate`, and its latency
 * counts from then, also where it had to wait for a connection or for this process. So a server that stalls is
 * charged for every request that would have come meanwhile (Gil Tene calls leaving them out "coordinated
 * omission").
 *
 * The loop spins on the load's core, for a timer is a millisecond late and would be counted as the server's.
 */
import { systemClock } from "../../src/base/clock.ts";
import type { Micros } from "../../src/base/micros.ts";
import { LoadConnection } from "./load-connection.ts";
import { quantileOf } from "./world.ts";

const CONNECTIONS = 64;
/** After the last request was due, for the answers that are still to come. */
const DRAIN_MS = 20_000;
const NOT_ANSWERED = -1;

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
  /** Of the whole answer, with its head. */
  readonly answerBytes: number;
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
  readonly #latenessMs: Float64Array;
  readonly #kept: KeptAnswer[] = [];
  readonly #free: LoadConnection<Sent>[] = [];
  #answered = 0;
  #failure: Error | null = null;

  constructor(load: OpenLoad) {
    this.#load = load;
    this.#latenciesMs = new Float64Array(Math.floor(load.requestsPerSecond * load.seconds)).fill(NOT_ANSWERED);
    this.#latenessMs = new Float64Array(this.#latenciesMs.length);
  }

  async run(): Promise<OpenLoadResult> {
    const { port, requestsPerSecond, seconds, request, until } = this.#load;
    let count = this.#latenciesMs.length;
    const connections = await Promise.all(
      Array.from({ length: CONNECTIONS }, () =>
        LoadConnection.open<Sent>(port, {
          answered: (connection, sent, body, answerBytes) => this.#take(connection, sent, body, answerBytes),
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
        this.#latenessMs[next] = performance.now() - Math.max(dueMs(next), connection.answeredAtMs);
        const isKept = next % this.#load.keptOneIn === 0;
        const sent = { n: next, dueMs: dueMs(next), askedAt: systemClock.now(), isKept };
        connection.post(path, body, sent, isKept);
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
      latenessP99Ms: quantileOf(this.#latenessMs.subarray(0, count).sort(), 0.99),
      kept: this.#kept,
    };
  }

  #take(
    connection: LoadConnection<Sent>,
    { n, dueMs, askedAt, isKept }: Sent,
    body: Buffer,
    answerBytes: number,
  ): void {
    this.#latenciesMs[n] = connection.answeredAtMs - dueMs;
    this.#load.onAnswer?.(dueMs, connection.answeredAtMs - dueMs);
    this.#answered++;
    this.#free.push(connection);
    if (isKept) this.#kept.push({ n, body: body.toString(), answerBytes, askedAt, heardAt: systemClock.now() });
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
