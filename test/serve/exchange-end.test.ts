/** Requests of a connection are over when it is, also those whose answers wait behind another one. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { describe, expect, it } from "vitest";
import { whenOver } from "../../src/serve/exchange-end.ts";

const REQUEST = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

describe("a request", () => {
  it("is over, once, when it is answered, or when its connection ends behind one that is not", async () => {
    const over: number[] = [];
    const responses: ServerResponse[] = [];
    const server = createServer((request, response) => {
      const number = responses.push(response);
      whenOver(request.socket, response, () => over.push(number));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      const socket = connect((server.address() as AddressInfo).port, "127.0.0.1").on("error", () => {});
      socket.write(REQUEST.repeat(4));
      await expect.poll(() => responses.length, { timeout: 30_000 }).toBe(4);
      responses[0]!.end();
      await expect.poll(() => over, { timeout: 30_000 }).toEqual([1]);
      // The third is done, and waits for the second.
      responses[2]!.end();
      expect(over).toEqual([1]);
      socket.resetAndDestroy();
      await expect.poll(() => over.length, { timeout: 30_000 }).toBe(4);
      expect([...over].sort()).toEqual([1, 2, 3, 4]);
    } finally {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    }
  });
});
