/** A server of a test's own that speaks to whoever connects. */
import { createServer, type Socket } from "node:net";

/** Its port. `closers` gets what ends it, and all connections to it. */
export async function listening(closers: (() => Promise<void>)[], took: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    took(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { readonly port: number }).port;
}
