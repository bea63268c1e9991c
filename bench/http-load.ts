/**
 * A load generator in a thread of its own: keep-alive connections on bare sockets, each sending its next
 * request when the answer to the last one is whole. Takes `{port, requests, connections, seconds}` and posts
 * `{requests, p50Ms, p99Ms}`.
 */
import { connect } from "node:net";
import { parentPort } from "node:worker_threads";

export interface Load {
  readonly port: number;
  /** Whole requests as text, head and body; each connection goes through them in turn. */
  readonly requests: readonly string[];
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

parentPort?.on("message", (load: Load) => {
  void run(load).then((result) => parentPort!.postMessage(result));
});

async function run(load: Load): Promise<LoadResult> {
  const requests = load.requests.map((text) => Buffer.from(text));
  const times: number[] = [];
  const start = performance.now();
  const end = start + load.seconds * 1000;
  await Promise.all(
    Array.from({ length: load.connections }, (_, i) => runConnection(load.port, requests, i, end, times)),
  );
  const seconds = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
  return { requestsPerSecond: times.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

function runConnection(
  port: number,
  requests: readonly Buffer[],
  first: number,
  end: number,
  times: number[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1").setNoDelay(true);
    let next = first;
    let sentAt = 0;
    let received = "";
    const send = (): void => {
      sentAt = performance.now();
      socket.write(requests[next++ % requests.length]!);
    };
    socket.on("connect", send).on("error", reject);
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      const headEnd = received.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const length = /content-length: (\d+)/i.exec(received)?.[1];
      if (received.length < headEnd + 4 + Number(length)) return;
      if (!received.startsWith("HTTP/1.1 200")) reject(new Error(received.slice(0, 400)));
      received = "";
      times.push(performance.now() - sentAt);
      if (performance.now() < end) send();
      else {
        socket.end();
        resolve();
      }
    });
  });
}
