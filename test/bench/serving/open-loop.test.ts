import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { runOpenLoop } from "../../../bench/serving/open-loop.ts";

const ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

/** Resolves to its port. `answer` is called with the number of the request, from 0. */
async function listen(
  answer: (n: number, socket: Socket) => void,
  onConnect?: (socket: Socket) => void,
): Promise<number> {
  let requests = 0;
  const server = createServer((socket) => {
    onConnect?.(socket);
    socket.on("error", () => {}).on("data", () => answer(requests++, socket));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

const load = { requestsPerSecond: 200, request: () => ({ path: "/", body: "{}" }), keptOneIn: 10 };

test("each request is answered though the server closes connections on which nothing is asked", async () => {
  const unused = new Set<Socket>();
  const port = await listen(
    (n, socket) => {
      unused.delete(socket);
      if (n === 40) for (const other of unused) other.end();
      // A while in which none is free that was asked lately.
      if (n >= 80 && n < 100) setTimeout(() => socket.write(ANSWER), 150);
      else socket.write(ANSWER);
    },
    (socket) => void unused.add(socket),
  );
  const { answered, latenciesMs, kept } = await runOpenLoop({ ...load, port, seconds: 0.6 });
  expect(answered).toBe(120);
  expect(latenciesMs).toHaveLength(120);
  expect(kept.map(({ n, body }) => [n, body]).sort(([a], [b]) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 12 }, (_, i) => [i * 10, "{}"]),
  );
});

test("a server that stalls is charged for the requests that were due meanwhile", async () => {
  const STALL_MS = 300;
  const port = await listen((n, socket) => {
    if (n === 20) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
    socket.write(ANSWER);
  });
  const { latenciesMs } = await runOpenLoop({ ...load, port, seconds: 0.8 });
  // Of the 60 that were due meanwhile, those that were due in its first two thirds.
  expect(latenciesMs.filter((latencyMs) => latencyMs > STALL_MS / 3).length).toBeGreaterThanOrEqual(35);
});

test("asks at the rate, however long answers take", async () => {
  const at: number[] = [];
  const port = await listen(async (_, socket) => {
    at.push(performance.now());
    await sleep(100);
    socket.write(ANSWER);
  });
  await runOpenLoop({ ...load, port, seconds: 0.5 });
  expect(at).toHaveLength(100);
  expect(at.at(-1)! - at[0]!).toBeGreaterThan(300);
});

test("fails where a connection is closed that was asked something", async () => {
  const port = await listen((n, socket) => void (n < 10 ? socket.write(ANSWER) : socket.destroy()));
  await expect(runOpenLoop({ ...load, port, seconds: 0.5 })).rejects.toThrow(/closed a connection|ECONNRESET/);
});
