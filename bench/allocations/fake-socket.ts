/**
 * A connection that is none: a door that takes it for one it has accepted is given requests by a call, and what it answers
 * goes nowhere. What Node does for a connection is left out, so that what is seen is the door's own.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { openSync } from "node:fs";
import { connect, type Server, Socket } from "node:net";

/** The server that listens on this port of this process. */
export async function serverOn(port: number): Promise<Server> {
  const client = connect(port, "127.0.0.1");
  const found = await new Promise<Server>((resolve) => {
    const onSocket = (message: unknown): void => {
      const { socket } = message as { readonly socket: Socket & { readonly server: Server } };
      if (socket.localPort !== port) return;
      unsubscribe("net.server.socket", onSocket);
      resolve(socket.server);
    };
    subscribe("net.server.socket", onSocket);
  });
  client.destroy();
  return found;
}

const nowhere = openSync("/dev/null", "w");

/** Hands requests to a door of this server. They must fit into what a door receives at a time. */
export function askOver(server: Server): (request: Uint8Array) => void {
  const socket = new Socket();
  const symbols = (name: string): symbol =>
    Object.getOwnPropertySymbols(socket).find(({ description }) => description === name)!;
  const parts = socket as unknown as Record<PropertyKey, unknown>;
  parts["_handle"] = { fd: nowhere, useUserBuffer: () => {}, readStart: () => 0, readStop: () => 0, close: () => {} };
  server.emit("connection", socket);
  const block = parts[symbols("kBuffer")] as Uint8Array;
  const take = parts[symbols("kBufferCb")] as (length: number, bytes: Uint8Array) => boolean;
  return (request) => {
    block.set(request);
    take.call(socket, request.length, block);
  };
}
