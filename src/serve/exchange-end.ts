/**
 * When a request is over: its answer has gone out, or its connection is gone. `node:http` of Node 20 does not say of an
 * answer that waits behind another one of its connection that it will never go out.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Of each connection: what is to be called for its requests that are not over. */
const left = new WeakMap<Socket, Set<() => void>>();

/** Calls once. */
export function whenOver(socket: Socket, response: ServerResponse, then: () => void): void {
  const waiting = left.get(socket) ?? waitingOn(socket);
  const once = (): void => {
    if (waiting.delete(once)) then();
  };
  waiting.add(once);
  response.once("close", once);
  if (socket.closed) once();
}

/** One listener for all: requests of a connection may be many. */
function waitingOn(socket: Socket): Set<() => void> {
  const waiting = new Set<() => void>();
  left.set(socket, waiting);
  socket.once("close", () => {
    for (const once of waiting) once();
  });
  return waiting;
}
