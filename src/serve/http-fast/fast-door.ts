/**
 * The fast door: stands in front of a `node:http` server on that server's own listening socket. Every
 * connection begins here; the ordinary server gets it, with all bytes that were not answered, as soon as it
 * sends anything but plain requests for hot routes.
 *
 * The listening socket, the limit of connections and the end of `close()` are the ordinary server's, for
 * both phases of a connection. Its time-outs for heads, requests and idle connections are enforced here for
 * the fast phase, in which it does not know of the connection.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { systemClock } from "../../base/clock.ts";
import { behindReads } from "../behind-reads.ts";
import type { BytesUnderWay } from "../request-body.ts";
import type { OnServerError } from "../wire-answer.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { FastConnection } from "./connection.ts";
import type { ConnectionContext, ConnectionTimeouts, DoorConnection } from "./connection-context.ts";
import type { HotRoutes } from "./hot-routes.ts";

export interface FastDoor {
  /** Idle connections go at once, others with the answer to the request they are at. To be called once, beside the server's own close. */
  close(): void;
}

const SWEEP_MILLIS = 1000;

/**
 * To be called before the server listens, and once all that listens to its connections does. `bodyBytes` bounds what all
 * connections keep of bodies that are not whole yet.
 */
export function openFastDoor(
  server: Server,
  routes: HotRoutes,
  onError: OnServerError,
  bodyBytes: BytesUnderWay,
): FastDoor {
  // node:http takes a connection by listening to this event, and documents that others may emit it.
  const ordinary = server.listeners("connection") as ((this: Server, socket: Socket) => void)[];
  const connections = new Set<DoorConnection>();
  const timeouts: ConnectionTimeouts = {
    headersMillis: server.headersTimeout,
    requestMillis: server.requestTimeout,
    idleMillis: server.keepAliveTimeout,
  };
  const context: ConnectionContext & { nowMs: number; isClosing: boolean } = {
    routes,
    timeouts,
    writer: new AnswerWriter(systemClock, server.keepAliveTimeout),
    behindReads,
    onError,
    bodyBytes,
    nowMs: performance.now(),
    isClosing: false,
    handOver: (socket) => {
      for (const take of ordinary) take.call(server, socket);
    },
    forget: (connection) => {
      connections.delete(connection);
      stopIfDone();
    },
  };
  const sweep = setInterval(() => {
    context.nowMs = performance.now();
    context.writer.nextSecond();
    for (const connection of connections) connection.enforceTimeouts();
  }, sweepMillis(timeouts)).unref();

  const stopIfDone = (): void => {
    if (context.isClosing && connections.size === 0) clearInterval(sweep);
  };

  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => connections.add(new FastConnection(socket, context)));
  return {
    close: () => {
      context.isClosing = true;
      for (const connection of connections) connection.close();
      stopIfDone();
    },
  };
}

/** Often enough for the shortest of them. */
function sweepMillis({ headersMillis, requestMillis, idleMillis }: ConnectionTimeouts): number {
  return [headersMillis, requestMillis, idleMillis]
    .filter((millis) => millis > 0)
    .reduce((shortest, millis) => Math.min(shortest, Math.ceil(millis / 4)), SWEEP_MILLIS);
}
