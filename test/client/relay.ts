/**
 * A relay between a client and a server, of whatever protocol: counts round trips, and fails in the ways that
 * networks and servers do.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * `open` passes all on; `silent` passes what is asked on and keeps the answers; `cut` passes what is asked on and
 * breaks the connection in place of the first answer, and is `open` from then on.
 */
export type RelayMode = "open" | "silent" | "cut";

export class Relay {
  mode: RelayMode = "open";
  /** How fast what is asked, and what is answered, is passed on; null for as fast as it comes. */
  bytesPerSecond: number | null = null;
  /** Of the server behind it. */
  targetPort: number;
  /** Connections that were accepted. */
  connections = 0;
  /** How often an answer followed something that was asked. */
  roundTrips = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(targetPort: number) {
    this.targetPort = targetPort;
    this.#server = createServer((client) => this.#relay(client));
  }

  static async open(targetPort: number): Promise<Relay> {
    const relay = new Relay(targetPort);
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get openConnections(): number {
    return this.#sockets.size / 2;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #relay(client: Socket): void {
    this.connections++;
    const server = connect({ port: this.targetPort, host: "127.0.0.1", noDelay: true });
    client.setNoDelay(true);
    let isAsking = false;
    const cutBoth = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      // Being cut off is what a relay is for; `close` follows.
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        cutBoth();
      });
    }
    client.on("data", (chunk) => {
      isAsking = true;
      server.write(chunk);
      this.#hold(client, chunk.length);
    });
    server.on("data", (chunk) => {
      if (this.mode === "silent") return;
      if (this.mode === "cut") {
        this.mode = "open";
        return cutBoth();
      }
      if (isAsking) this.roundTrips++;
      isAsking = false;
      client.write(chunk);
      this.#hold(server, chunk.length);
    });
  }

  /** Takes nothing more from a socket for as long as passing on what it gave takes. */
  #hold(from: Socket, bytes: number): void {
    if (this.bytesPerSecond === null) return;
    from.pause();
    setTimeout(() => from.resume(), (bytes / this.bytesPerSecond) * 1000);
  }
}
