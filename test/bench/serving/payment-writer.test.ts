import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { startWriter } from "../../../bench/serving/payment-writer.ts";

let server: Server;
afterEach(() => server.close());

test("each batch is acknowledged though the server closes connections on which nothing is sent", async () => {
  const idle = new Set<Socket>();
  let batches = 0;
  server = createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.on("data", async (bytes: Buffer) => {
      idle.delete(socket);
      text += bytes.toString();
      const [, length, body] = /content-length: (\d+)\r\n\r\n([^]*)$/.exec(text) ?? [];
      if (body === undefined || body.length < Number(length)) return;
      text = "";
      const offset = batches++;
      // Two that take long have others opened beside them; what is not needed behind them is closed.
      if (offset === 1 || offset === 12) await sleep(220);
      const answer = JSON.stringify({ outcomes: [{ offset }] });
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`);
      idle.add(socket);
      if (offset === 10) for (const other of idle) if (other !== socket) other.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const writer = startWriter({ port, accounts: 100, eventsPerSecond: 20, seed: 1 });
  await sleep(1500);
  const { events } = await writer.stop();
  expect(events.length).toBeGreaterThan(15);
  expect(events.map(({ offset }) => offset)).toEqual(events.map((_, i) => i));
});
