/**
 * Measures serving latency from a thread of its own, as a client sees it: over HTTP, connection kept alive,
 * request and answer parsed. Run as a worker thread with `LatencyTask` as its data.
 */
import { parentPort, workerData } from "node:worker_threads";
import { HttpClient } from "./http-client.ts";

export interface LatencyTask {
  readonly url: string;
  readonly path: string;
  readonly bodies: readonly string[];
  readonly requests: number;
  readonly concurrency: number;
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requestsPerSecond: number;
}

const WARM_UP_REQUESTS = 1000;

async function measure(task: LatencyTask): Promise<Latency> {
  const client = new HttpClient(task.url, task.concurrency);
  const latenciesMs: number[] = [];
  const askAll = async (requests: number): Promise<void> => {
    let next = 0;
    const askInTurn = async (): Promise<void> => {
      while (next < requests) {
        const body = task.bodies[next++ % task.bodies.length]!;
        const sentMs = performance.now();
        await client.post(task.path, body);
        latenciesMs.push(performance.now() - sentMs);
      }
    };
    await Promise.all(Array.from({ length: task.concurrency }, askInTurn));
  };
  await askAll(WARM_UP_REQUESTS);
  latenciesMs.length = 0;
  const startedMs = performance.now();
  await askAll(task.requests);
  const seconds = (performance.now() - startedMs) / 1000;
  client.close();
  latenciesMs.sort((a, b) => a - b);
  const quantile = (share: number): number => latenciesMs[Math.ceil(share * latenciesMs.length) - 1]!;
  return { p50Ms: quantile(0.5), p99Ms: quantile(0.99), requestsPerSecond: task.requests / seconds };
}

parentPort!.postMessage(await measure(workerData as LatencyTask));
