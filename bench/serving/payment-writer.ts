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
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, Worker, workerData } from "node:worker_threads";
import { systemClock } from "../../src/base/clock.ts";
import { type Micros, MICROS_PER_SECOND } from "../../src/base/micros.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { type AnswerListener, LoadConnection } from "./load-connection.ts";
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
  const batches: Batch[] = [];
  const free: LoadConnection<Batch>[] = [];
  // The second for which an account was drawn last.
  const drawnFor = new Int32Array(accounts).fill(-1);
  let drawnCount = 0;
  const state: { waiting: number; failure: Error | null } = { waiting: 0, failure: null };
  const listener: AnswerListener<Batch> = {
    answered(connection, batch, body) {
      batch.acknowledgedAt = systemClock.now();
      batch.answer = body;
      state.waiting--;
      free.push(connection);
    },
    failed: (error) => (state.failure ??= error),
    // As it may while others do: there are more than one where a batch took long.
    closed: (connection) => void free.splice(free.indexOf(connection), 1),
  };
  let sent = 0;
  let dueMs = performance.now();
  const fail = (): void => {
    if (state.failure !== null) throw state.failure;
  };
  while (told.last !== "stop") {
    fail();
    if (told.last === "pause") {
      await sleep(5);
      dueMs = performance.now();
      continue;
    }
    await sleep(Math.max(0, dueMs - performance.now()));
    const second = Math.floor(sent++ / BATCHES_PER_SECOND);
    if ((sent - 1) % BATCHES_PER_SECOND === 0) drawnCount = 0;
    const rows = eventsBy(sent) - eventsBy(sent - 1);
    if (rows > 0) await push(rows, second);
    dueMs += 1000 / BATCHES_PER_SECOND;
  }
  while (state.waiting > 0) {
    fail();
    await sleep(1);
  }
  for (const connection of free) connection.close();
  const events = batches.flatMap(eventsOf).sort((a, b) => a.offset - b.offset);
  return { events, seconds: sent / BATCHES_PER_SECOND };

  /** Of the first so many batches. */
  function eventsBy(count: number): number {
    return Math.floor((count * eventsPerSecond) / BATCHES_PER_SECOND);
  }

  function draw(second: number): number {
    for (;;) {
      const number = random.integer(0, accounts - 1);
      // A second's payments may be more than there are accounts.
      if (drawnFor[number] === second && drawnCount < accounts) continue;
      drawnFor[number] = second;
      drawnCount++;
      return number;
    }
  }

  async function push(rows: number, second: number): Promise<void> {
    const batch = newBatch(rows);
    let body = "[";
    for (let i = 0; i < rows; i++) {
      const number = (batch.numbers[i] = draw(second));
      // A second ago: no difference between two processes' clocks puts it in the future.
      const at = (batch.at[i] = systemClock.now() - MICROS_PER_SECOND);
      const amount = (batch.amounts[i] = random.integer(1, 20_000) / 100);
      const declined = random.oneIn(10);
      batch.declined[i] = declined ? 1 : 0;
      body += `${i === 0 ? "" : ","}{"account":"${accountKey(number)}","at":{"micros":${at}},"amount":${amount},"declined":${declined}}`;
    }
    const connection = free.pop() ?? (await LoadConnection.open(port, listener));
    batches.push(batch);
    state.waiting++;
    batch.sentAt = systemClock.now();
    connection.post("/events/payments", `${body}]`, batch, true);
  }
}

/** In columns, as what is kept of each event would be garbage to look through while latencies are read. */
interface Batch {
  readonly numbers: Int32Array;
  readonly at: Float64Array;
  readonly amounts: Float64Array;
  readonly declined: Uint8Array;
  sentAt: Micros;
  acknowledgedAt: Micros;
  /** The body, which is read at the end. */
  answer: Buffer;
}

function newBatch(rows: number): Batch {
  return {
    numbers: new Int32Array(rows),
    at: new Float64Array(rows),
    amounts: new Float64Array(rows),
    declined: new Uint8Array(rows),
    sentAt: 0 as Micros,
    acknowledgedAt: 0 as Micros,
    answer: Buffer.alloc(0),
  };
}

function eventsOf({ numbers, at, amounts, declined, answer, sentAt, acknowledgedAt }: Batch): PushedEvent[] {
  const { outcomes } = JSON.parse(answer.toString()) as { readonly outcomes: readonly { readonly offset?: number }[] };
  return outcomes.map((outcome, i) => {
    const { offset } = outcome;
    if (offset === undefined) throw new Error(`a payment was not accepted: ${JSON.stringify(outcome)}`);
    const row: PaymentRow = [accountKey(numbers[i]!), at[i]! as Micros, amounts[i]!, declined[i] === 1];
    return { offset, row, sentAt, acknowledgedAt };
  });
}
