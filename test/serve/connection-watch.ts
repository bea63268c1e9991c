/**
 * The connections of a server in this process: how many it has at a time, and those that it turns away.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Server, Socket } from "node:net";

/** What Node tells of one that a server has as many as it may of. */
interface Dropped {
  readonly remotePort?: number;
}

export type Fate = "accepted" | "dropped";

export class ConnectionWatch {
  readonly #port: number;
  readonly #open = new Set<Socket>();
  /** Known from the first connection that was accepted. */
  #server: Server | null = null;
  #most = 0;
  #dropped = 0;
  readonly #fates = new Map<number, Fate>();

  constructor(port: number) {
    this.#port = port;
    subscribe("net.server.socket", this.#onSocket);
  }

  /** Connections at a time, at most. */
  get most(): number {
    return this.#most;
  }

  /** Those that were closed as they came. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Of the last connection from this port of a client; undefined where it is not known yet, or was gone when it was its turn. */
  fateOf(port: number): Fate | undefined {
    return this.#fates.get(port);
  }

  /** Ports come again. */
  forgetFates(): void {
    this.#fates.clear();
  }

  openNow(): number {
    for (const socket of this.#open) if (socket.destroyed) this.#open.delete(socket);
    return this.#open.size;
  }

  stop(): void {
    unsubscribe("net.server.socket", this.#onSocket);
    this.#server?.off("drop", this.#onDrop);
  }

  readonly #onSocket = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket & { readonly server: Server } };
    if (socket.localPort !== this.#port) return;
    if (this.#server === null) (this.#server = socket.server).on("drop", this.#onDrop);
    if (socket.remotePort !== undefined) this.#fates.set(socket.remotePort, "accepted");
    this.#open.add(socket);
    this.#most = Math.max(this.#most, this.openNow());
  };

  readonly #onDrop = (data?: Dropped): void => {
    this.#dropped++;
    if (data?.remotePort !== undefined) this.#fates.set(data.remotePort, "dropped");
  };
}

/** Sockets and servers that this process has open, of its own and of others that run in it. */
export function openHandles(): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
}
