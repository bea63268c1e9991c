import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, it } from "vitest";
import { answerClientError } from "../../src/serve/refuse-bytes.ts";

it("a refused client gets all that was on its way to it, however often it is refused", async () => {
  const bytes = 24 * 1024 * 1024;
  const server = createServer((socket) => {
    socket.write(Buffer.alloc(bytes, "x"));
    const error = Object.assign(new Error("no HTTP"), { code: "HPE_INVALID_METHOD" });
    answerClientError(error, socket);
    const listeners = socket.listenerCount("finish");
    for (let i = 0; i < 5; i++) answerClientError(error, socket);
    expect(socket.listenerCount("finish")).toBeLessThanOrEqual(listeners + 1);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client: Socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  let received = 0;
  let tail = "";
  for await (const chunk of client as AsyncIterable<Buffer>) {
    received += chunk.length;
    tail = (tail + chunk.toString("latin1")).slice(-500);
  }
  server.close();
  expect(received).toBeGreaterThan(bytes);
  expect(tail).toContain("xHTTP/1.1 400 Bad Request");
  expect(tail).toContain("not an HTTP/1.1 request");
});
