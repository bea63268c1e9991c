/**
 * What serving is measured beside: servers that do as little as can be done for a request.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer as createNetServer, connect, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { openFastDoor } from "../src/serve/http-fast/fast-door.ts";
import { HotRoutes } from "../src/serve/http-fast/hot-routes.ts";
import { BytesUnderWay, QUESTIONS_UNDER_WAY_BYTES_MAX } from "../src/serve/request-body.ts";
import type { Route } from "../src/serve/route.ts";

export interface ReferenceServer {
  readonly port: number;
  close(): void;
}

/** `node:http` with a handler that reads the body and answers next to nothing. */
export function openEmptyHttp(): Promise<ReferenceServer> {
  const server = createHttpServer((request, response) => {
    request.resume().on("end", () => {
      response.setHeader("content-length", "2");
      response.end("{}");
    });
  });
  return listening(server);
}

/** The fast door alone: reads, parses and routes each request, and answers the same text to all. */
export function openBareDoor(path: string, jsonText: string): Promise<ReferenceServer> {
  const route: Route = {
    method: "POST",
    path,
    summary: "the same answer to all",
    reads: "json",
    schemas: { answers: {} },
    isHot: true,
    handle: () => ({ status: 200, body: {}, jsonText: () => jsonText }),
  };
  const server = createHttpServer();
  const fail = (error: unknown): never => {
    throw error;
  };
  openFastDoor(
    server,
    new HotRoutes([route], () => () => true),
    fail,
    new BytesUnderWay(QUESTIONS_UNDER_WAY_BYTES_MAX),
  );
  return listening(server);
}

/** A bare socket that writes the same answer for each chunk it gets: correct for one request at a time only. */
export function openBareNet(answer: string): Promise<ReferenceServer> {
  const server = createNetServer({ noDelay: true }, (socket) => {
    socket.on("data", () => socket.write(answer, "latin1"));
    socket.on("error", () => socket.destroy());
  });
  return listening(server);
}

/** The same, but that the answers of a turn of the event loop are written together, behind all its reads, as Redis does. */
export function openBehindReadsNet(answer: string): Promise<ReferenceServer> {
  let asked: Socket[] = [];
  const answerAll = (): void => {
    const sockets = asked;
    asked = [];
    for (const socket of sockets) socket.write(answer, "latin1");
  };
  const server = createNetServer({ noDelay: true }, (socket) => {
    socket.on("data", () => {
      if (asked.push(socket) === 1) setImmediate(answerAll);
    });
    socket.on("error", () => socket.destroy());
  });
  return listening(server);
}

async function listening(server: Server): Promise<ReferenceServer> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}

export interface RedisReference {
  /** GETs a second of values of so many bytes, one at a time on each connection. */
  get(connections: number, requests: number, valueBytes: number): Promise<number>;
  close(): void;
}

/** `redis-server` without persistence. */
export async function startRedisServer(): Promise<{ readonly port: number; close(): void }> {
  const port = 20_000 + (process.pid % 20_000);
  const server = spawn("redis-server", ["--port", String(port), "--save", "", "--appendonly", "no"], {
    stdio: "ignore",
  });
  for (let tries = 0; !(await isListening(port)); tries++) {
    if (tries > 100 || server.exitCode !== null) throw new Error(`redis-server does not listen on ${port}`);
    await sleep(50);
  }
  return { port, close: () => void server.kill() };
}

/** `redis-server` without persistence, driven by `redis-benchmark`. */
export async function openRedis(): Promise<RedisReference> {
  const { port, close } = await startRedisServer();
  return {
    async get(connections, requests, valueBytes) {
      const options = { c: connections, n: requests, d: valueBytes, r: 1000 };
      const flags = Object.entries(options).flatMap(([name, value]) => [`-${name}`, String(value)]);
      const args = ["-p", String(port), ...flags, "-t", "set,get", "--csv"];
      const { stdout } = await promisify(execFile)("redis-benchmark", args);
      return Number(/"GET","([\d.]+)"/.exec(stdout)![1]);
    },
    close,
  };
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
