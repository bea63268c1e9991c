/**
 * HTTP requests at a fixed rate, whatever the server does: the n-th is due at `start + n / rate`, and its latency
 * counts from then, also where it had to wait for a connection or for this process. So a server that stalls is
 * charged for every request that would have come meanwhile (Gil Tene calls leaving them out "coordinated
 * omission").
 *
 * Between requests the loop naps for tenths of a millisecond: a timer would be a millisecond late, which would be counted as
 * the server's. To spin instead would be more exact by a nap. But a virtual machine whose cores are all busy all the time is
 * stopped by its host for tens of milliseconds at a time, and that would be counted, too.
 */
import { systemClock } from "../../src/base/clock.ts";
import type { Micros } from "../../src/base/micros.ts";
import { type AnswerListener, LoadConnection } from "./load-connection.ts";
import { nap, napsExactly } from "./nap.ts";
import { quantileOf } from "./world.ts";

const CONNECTIONS = 64;
/** After the last request was due, for the answers that are still to come. */
const DRAIN_MS = 20_000;
const NOT_ANSWERED = -1;
/** How long an answer that has come may lie unheard. */
const HEAR_MS = 0.06;
/** Others in this process (what pushes) want a turn now and then. */
const NAP_MAX_MS = 0.2;

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
  readonly #connections = new Set<LoadConnection<Sent>>();
  readonly #listener: AnswerListener<Sent>;
  #free: LoadConnection<Sent>[] = [];
  #answered = 0;
  #failure: Error | null = null;

  constructor(load: OpenLoad) {
    this.#load = load;
    this.#latenciesMs = new Float64Array(Math.floor(load.requestsPerSecond * load.seconds)).fill(NOT_ANSWERED);
    this.#latenessMs = new Float64Array(this.#latenciesMs.length);
    this.#listener = {
      answered: (connection, sent, body, answerBytes) => this.#take(connection, sent, body, answerBytes),
      failed: (error) => (this.#failure ??= error),
      closed: (connection) => this.#replace(connection),
    };
  }

  async run(): Promise<OpenLoadResult> {
    const { requestsPerSecond, seconds, request, until } = this.#load;
    let count = this.#latenciesMs.length;
    await Promise.all(Array.from({ length: CONNECTIONS }, () => this.#connect()));
    napsExactly();
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
      const answered = this.#answered;
      await new Promise(setImmediate);
      if (this.#answered !== answered) continue;
      const longestMs = this.#free.length === this.#connections.size ? NAP_MAX_MS : HEAR_MS;
      nap(next < count ? Math.min(longestMs, dueMs(next) - performance.now()) : longestMs);
    }
    for (const connection of this.#connections) connection.close();
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

  async #connect(): Promise<void> {
    const connection = await LoadConnection.open(this.#load.port, this.#listener);
    this.#connections.add(connection);
    this.#free.push(connection);
  }

  /** A connection on which nothing was asked for as long as the server waits. */
  #replace(connection: LoadConnection<Sent>): void {
    this.#connections.delete(connection);
    this.#free = this.#free.filter((other) => other !== connection);
    this.#connect().catch((error: Error) => (this.#failure ??= error));
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
