/** A real HTTP server that takes notices, and can be told to behave badly. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly json: Readonly<Record<string, unknown>>;
}

export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** How the next requests are answered; default with 204. */
  answer: (response: ServerResponse, received: Received) => void;
  /** Resolves once it has so many. */
  has(count: number): Promise<void>;
  close(): Promise<void>;
}

export async function openReceiver(port = 0): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const one = { path: request.url!, headers: request.headers, body, json: JSON.parse(body) as Received["json"] };
      received.push(one);
      receiver.answer(response, one);
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    received,
    answer: (response) => void response.writeHead(204).end(),
    has: (count) => until(() => received.length >= count, `${count} notices`),
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return receiver;
}

/** Waits for it, longer than a test may take: what it waited for is what a slow machine is slow at. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 150_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
