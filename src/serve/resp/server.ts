/**
 * The RESP door: a server that any Redis client talks to, on commands of its own (docs/resp.md).
 *
 *     socket ─▶ RequestParser ─▶ command ─▶ ReplyWriter ─▶ socket
 */
import { createServer, type Server, type Socket } from "node:net";
import { OnefoldError } from "../../base/errors.ts";
import type { FeatureReader } from "../feature-reader.ts";
import type { ServePorts } from "../ports.ts";
import { behindReads } from "../behind-reads.ts";
import { BytesUnderWay, EVENTS_BYTES_MAX, EVENTS_UNDER_WAY_BYTES_MAX } from "../request-body.ts";
import type { Command, Door } from "./command.ts";
import { bodyCommands } from "./body-commands.ts";
import { Connection } from "./connection.ts";
import type { ConnectionHouse } from "./connection-house.ts";
import { connectionCommands } from "./connection-commands.ts";
import { featureCommands } from "./feature-commands.ts";
import { createPassword } from "./password.ts";
import { pushCommand } from "./push-command.ts";
import type { RequestLimits } from "./request-parser.ts";
import { serverCommands } from "./server-commands.ts";

export interface RespOptions {
  /** Default 127.0.0.1: whoever opens the server to a network does so on purpose. */
  readonly host?: string;
  /** Default 6380; 0 takes any free port. */
  readonly port?: number;
  /** Asked for with `AUTH` or `HELLO`, for the user `default`. Without one, whoever connects may ask. */
  readonly password?: string;
  /** Default 10,000. */
  readonly connectionsMax?: number;
  /** A connection that has been silent for so long in the middle of something is dropped. Default 120,000. */
  readonly stuckMillisMax?: number;
  /** One of which a request has not come whole for so long, too, however often some of it came. Default 300,000. */
  readonly requestMillisMax?: number;
  /** Told of every error that is the server's own fault; the reply says no more than that there was one. */
  readonly onError?: (error: unknown, command: string) => void;
}

export interface RespServer {
  readonly host: string;
  readonly port: number;
  /** `redis://host:port`. */
  readonly url: string;
  /** Connections that are open now. */
  connectionCount(): number;
  /** Requests carried out since it was opened, by the command's name; those of unknown commands under an empty one. */
  readonly commandCounts: ReadonlyMap<string, number>;
  /** Takes no new connections, answers what came in, and resolves once all connections are closed. */
  close(): Promise<void>;
}

const LIMITS: RequestLimits = {
  inlineBytesMax: 64 * 1024,
  argumentsMax: 128 * 1024,
  requestBytesMax: EVENTS_BYTES_MAX,
};
const KEEP_ALIVE_MILLIS = 300_000;
/** Past the limit so many at a time are told why they are closed; any more are closed in silence. */
const REFUSED_AT_A_TIME_MAX = 100;
const REFUSED_MILLIS = 1000;
/** What replies under way may take once the door closes. */
const CLOSE_MILLIS = 5000;

/** Throws `LISTEN_FAILED`, and `REQUEST_INVALID` for an empty password. */
export async function openRespServer(
  reader: FeatureReader,
  ports: ServePorts,
  version: string,
  options: RespOptions = {},
): Promise<RespServer> {
  const { host = "127.0.0.1", port = 6380, connectionsMax = 10_000 } = options;
  const { stuckMillisMax = 120_000, requestMillisMax = 300_000 } = options;
  const onError = options.onError ?? ((): void => {});
  const connections = new Set<Connection>();
  const commandCounts = new Map<string, number>();
  const door: Door = {
    reader,
    ports,
    version,
    password: options.password === undefined ? null : createPassword(options.password),
    connectionsMax,
    connectionCount: () => connections.size,
    commands: allCommands(),
  };
  const house: ConnectionHouse = {
    door,
    limits: LIMITS,
    underWay: new BytesUnderWay(EVENTS_UNDER_WAY_BYTES_MAX),
    behindReads,
    stuckMillisMax,
    requestMillisMax,
    commandCounts,
    commandNames: [...door.commands.keys()],
    onError,
  };
  let lastId = 0;
  const server = createServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MILLIS },
    (socket) => {
      // A client that goes away is no failure of the server; `close` follows.
      socket.on("error", () => {});
      if (connections.size >= connectionsMax) return refuse(socket);
      const connection = new Connection(socket, ++lastId, house);
      connections.add(connection);
      socket.on("close", () => connections.delete(connection));
    },
  );
  server.maxConnections = connectionsMax + REFUSED_AT_A_TIME_MAX;
  await listen(server, host, port);
  server.on("error", (error) => onError(error, ""));
  const address = server.address();
  const actualPort = typeof address === "object" && address !== null ? address.port : port;
  const shownHost = host.includes(":") ? `[${host}]` : host;
  return {
    host,
    port: actualPort,
    url: `redis://${shownHost}:${actualPort}`,
    connectionCount: () => connections.size,
    commandCounts,
    close: () =>
      new Promise((resolve) => {
        // One that does not read its replies, or that waits for what never comes, does not hold the door open.
        const timer = setTimeout(() => connections.forEach((connection) => connection.destroy()), CLOSE_MILLIS);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        for (const connection of connections) connection.finish();
      }),
  };
}

export function allCommands(): ReadonlyMap<string, Command> {
  const all = [...featureCommands, pushCommand, ...bodyCommands, ...connectionCommands, ...serverCommands];
  return new Map(all.map((command) => [command.name, command]));
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: Error) => {
      reject(
        new OnefoldError("LISTEN_FAILED", `cannot listen on ${host}:${port}: ${cause.message}`, {
          hint: "choose another port, or stop what listens there",
          cause,
        }),
      );
    });
    server.listen({ host, port }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

function refuse(socket: Socket): void {
  socket.resume().end("-ERR max number of clients reached\r\n");
  const timer = setTimeout(() => socket.destroy(), REFUSED_MILLIS);
  socket.once("close", () => clearTimeout(timer));
}
