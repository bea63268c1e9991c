/**
 * Payments pushed at a fixed rate while vectors are asked for. Each second's payments are of different accounts, drawn at
 * random.
 *
 * Where other processes ask, it has a thread of its own. A thread that asks, and never sleeps, has it in its own loop: on
 * one core two threads would each be held up by the other for as long as the system gives one at a time, some
 * milliseconds, and a batch takes less.
 *
 * A batch is sent when its time has come, whether the one before it was answered or not. What was accepted is
 * posted at the end, with the time each batch was sent and acknowledged: the check needs to know what a reply
 * had to see.
 */
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, Worker, workerData } from "node:worker_threads";
import { systemClock } from "../../src/base/clock.ts";
import { type Micros, MICROS_PER_SECOND } from "../../src/base/micros.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { accountKey, type PaymentRow } from "./payment-row.ts";

const BATCHES_PER_SECOND = 20;

export interface WriterRequest {
  readonly port: number;
  readonly accounts: number;
  readonly eventsPerSecond: number;
  readonly seed: number;
}

export interface PushedEvent {
  readonly offset: number;
  readonly row: PaymentRow;
  readonly sentAt: Micros;
  readonly acknowledgedAt: Micros;
}

export interface Written {
  readonly events: readonly PushedEvent[];
  /** Seconds in which it was not paused. */
  readonly seconds: number;
}

export interface PaymentWriter {
  pause(): void;
  resume(): void;
  /** Resolves once all that was sent is acknowledged. */
  stop(): Promise<Written>;
}

type Order = "pause" | "resume" | "stop";

/** In a thread of its own. */
export function startWriterThread(request: WriterRequest): PaymentWriter {
  const worker = new Worker(new URL("./serving/payment-writer.mjs", import.meta.url), { workerData: request });
  const written = new Promise<Written>((resolve, reject) => {
    worker.once("message", resolve).once("error", reject);
  });
  // Whoever stops the writer hears of a failure; it must not end the process before.
  written.catch(() => undefined);
  return {
    pause: () => worker.postMessage("pause" satisfies Order),
    resume: () => worker.postMessage("resume" satisfies Order),
    async stop() {
      worker.postMessage("stop" satisfies Order);
      const all = await written;
      await worker.terminate();
      return all;
    },
  };
}

/** In the loop of this thread. */
export function startWriter(request: WriterRequest): PaymentWriter {
  const told: Told = { last: "resume" };
  const written = write(request, told);
  written.catch(() => undefined);
  return {
    pause: () => (told.last = "pause"),
    resume: () => (told.last = "resume"),
    stop: () => {
      told.last = "stop";
      return written;
    },
  };
}

interface Told {
  last: Order;
}

if (parentPort !== null) {
  const port = parentPort;
  const told: Told = { last: "resume" };
  port.on("message", (order: Order) => (told.last = order));
  void write(workerData as WriterRequest, told).then((written) => port.postMessage(written));
}

async function write({ port, accounts, eventsPerSecond, seed }: WriterRequest, told: Told): Promise<Written> {
  const random = new SeededRandom(seed);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const events: PushedEvent[] = [];
  const pushes: Promise<void>[] = [];
  let batches = 0;
  let drawn = new Set<number>();
  let dueMs = performance.now();
  while (told.last !== "stop") {
    if (told.last === "pause") {
      await sleep(5);
      dueMs = performance.now();
      continue;
    }
    await sleep(Math.max(0, dueMs - performance.now()));
    if (batches++ % BATCHES_PER_SECOND === 0) drawn = new Set();
    const rows = eventsBy(batches) - eventsBy(batches - 1);
    if (rows > 0) {
      const pushed = push(Array.from({ length: rows }, () => payment(draw())));
      // Whoever stops the writer hears of a failure; it must not end the process before.
      pushed.catch(() => undefined);
      pushes.push(pushed);
    }
    dueMs += 1000 / BATCHES_PER_SECOND;
  }
  await Promise.all(pushes);
  agent.destroy();
  return { events: events.sort((a, b) => a.offset - b.offset), seconds: batches / BATCHES_PER_SECOND };

  /** Of the first so many batches. */
  function eventsBy(batches: number): number {
    return Math.floor((batches * eventsPerSecond) / BATCHES_PER_SECOND);
  }

  function draw(): number {
    for (;;) {
      const number = random.integer(0, accounts - 1);
      // A second's payments may be more than there are accounts.
      if (drawn.has(number) && drawn.size < accounts) continue;
      drawn.add(number);
      return number;
    }
  }

  /** A second ago: no difference between two processes' clocks puts it in the future. */
  function payment(number: number): PaymentRow {
    const at = (systemClock.now() - MICROS_PER_SECOND) as Micros;
    return [accountKey(number), at, random.integer(1, 20_000) / 100, random.oneIn(10)];
  }

  async function push(batch: readonly PaymentRow[]): Promise<void> {
    const body = batch.map(([account, at, amount, declined]) => ({ account, at: { micros: at }, amount, declined }));
    const sentAt = systemClock.now();
    const { outcomes } = JSON.parse(await post(JSON.stringify(body))) as { readonly outcomes: { offset?: number }[] };
    const acknowledgedAt = systemClock.now();
    for (const [i, { offset }] of outcomes.entries()) {
      if (offset === undefined) throw new Error(`a payment was not accepted: ${JSON.stringify(outcomes[i])}`);
      events.push({ offset, row: batch[i]!, sentAt, acknowledgedAt });
    }
  }

  function post(body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const sent = request({ port, host: "127.0.0.1", method: "POST", path: "/events/payments", headers, agent });
      sent.on("error", reject).on("response", (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`POST /events/payments: ${response.statusCode} ${text}`));
        });
      });
      sent.end(body);
    });
  }
}
